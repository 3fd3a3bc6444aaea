//! How much of the end of a history occurs earlier in it.

use sortes_core::memory::reserve;
use sortes_core::{Result, Run};

use super::BLOCK;

/// Lengths of the matches between the end of `history` and every earlier position.
///
/// Fills `lengths[k]`, for `k` in `1..=n`, with the length of the longest common suffix of
/// `history` and `history[..n - k]`, at most `limit`; `history[n - k]` is the token that followed.
/// `lengths[0]` is `limit`. This is the Z-function of the reversed history: linear in `n`,
/// however repetitive the text.
///
/// # Errors
/// [`Error::Resource`](sortes_core::Error::Resource), or if the work is cancelled.
pub(super) fn suffix_matches(
    history: &[i64],
    limit: usize,
    lengths: &mut Vec<usize>,
    run: Run<'_>,
) -> Result<()> {
    let n = history.len();
    let back = |k: usize| history[n - 1 - k];
    lengths.clear();
    reserve(lengths, n + 1, "lengths of matches")?;
    lengths.resize(n + 1, 0);
    lengths[0] = limit;
    // `[left, right)` is the match found so far that reaches furthest back.
    let (mut left, mut right) = (0, 0);
    for k in 1..n {
        if k % BLOCK == 0 {
            run.check()?;
        }
        // Inside the window the answer is known from its mirror image, up to the window's end.
        let mut length = if k < right { lengths[k - left].min(right - k) } else { 0 };
        while length < limit && k + length < n && back(length) == back(k + length) {
            length += 1;
        }
        lengths[k] = length;
        if k + length > right {
            (left, right) = (k, k + length);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(history: &[i64], limit: usize) -> Vec<usize> {
        let n = history.len();
        let common = |k: usize| {
            let (earlier, end) = (history[..n - k].iter().rev(), history.iter().rev());
            earlier.zip(end).take_while(|(a, b)| a == b).count().min(limit)
        };
        std::iter::once(limit).chain((1..=n).map(common)).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            history in prop::collection::vec(0..3_i64, 0..60),
            limit in 0..80_usize,
        ) {
            let mut lengths = vec![9; 3];
            suffix_matches(&history, limit, &mut lengths, Run::alone()).unwrap();
            prop_assert_eq!(lengths, naive(&history, limit));
        }
    }
}
