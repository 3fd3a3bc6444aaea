//! No n-gram twice.

use sortes_core::{Result, Run};

use super::suffix::suffix_matches;
use super::token_map::in_vocabulary;

/// Calls `ban(token)` for every token that would complete an n-gram which `history` already holds.
///
/// A token may be named more than once. Size 0 is off; size 1 bans all that was said. Linear in
/// the history, whatever `size`.
pub(super) fn no_repeat_ngram(
    history: &[i64],
    vocabulary: usize,
    size: usize,
    lengths: &mut Vec<usize>,
    run: Run<'_>,
    mut ban: impl FnMut(usize),
) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    suffix_matches(history, size - 1, lengths, run)?;
    for (&follower, &length) in history.iter().rev().zip(&lengths[1..]) {
        if length == size - 1
            && let Some(token) = in_vocabulary(follower, vocabulary)
        {
            ban(token);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn bans_the_last_token_of_every_window_that_starts_like_the_end(
            history in prop::collection::vec(0..4_i64, 0..40),
            size in 0..6_usize,
        ) {
            let mut banned = BTreeSet::new();
            no_repeat_ngram(&history, 3, size, &mut Vec::new(), Run::alone(), |token| {
                banned.insert(token);
            })
            .unwrap();
            let mut want = BTreeSet::new();
            if size > 0 && history.len() >= size {
                let prefix = &history[history.len() + 1 - size..];
                for window in history.windows(size) {
                    if window.starts_with(prefix) && window[size - 1] < 3 {
                        want.insert(window[size - 1] as usize);
                    }
                }
            }
            prop_assert_eq!(banned, want);
        }
    }
}
