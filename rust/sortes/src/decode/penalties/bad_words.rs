//! Words that must not be completed.

/// Calls `ban(token)` with the last token of every word whose other tokens end `history`.
///
/// A word of one token is always banned. Empty words are ignored.
pub(super) fn bad_words(history: &[i64], words: &[Vec<i64>], mut ban: impl FnMut(i64)) {
    for word in words {
        if let Some((&last, prefix)) = word.split_last()
            && history.ends_with(prefix)
        {
            ban(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_only_what_would_complete_a_word() {
        let words = [vec![9], vec![1, 2, 3], vec![2, 2, 4], vec![2, 5], vec![], vec![0, 1, 2, 6]];
        let banned = |history: &[i64]| {
            let mut ids = Vec::new();
            bad_words(history, &words, |id| ids.push(id));
            ids
        };
        assert_eq!(banned(&[7, 1, 2]), [9, 3, 5]);
        assert_eq!(banned(&[0, 1, 2]), [9, 3, 5, 6]);
        assert_eq!(banned(&[]), [9]);
    }
}
