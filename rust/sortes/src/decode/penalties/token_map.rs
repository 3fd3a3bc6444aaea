//! Counts and maxima keyed by token id, cleared in constant time.

use sortes_core::memory::reserve;
use sortes_core::{Result, Run};

use super::BLOCK;

/// A map from token ids to `u32` that forgets everything without touching its memory.
///
/// Each cell carries the number of the row that wrote it, so that starting a new row is one
/// increment rather than a sweep over the vocabulary. Tokens are listed in order of first touch.
#[derive(Debug, Default)]
pub(super) struct TokenMap {
    /// High half: the generation that wrote the cell. Low half: its index in `entries`.
    cells: Vec<u64>,
    generation: u32,
    entries: Vec<(usize, u32)>,
}

impl TokenMap {
    /// Forgets all tokens and makes room for `most` of them, with ids below `vocabulary`.
    ///
    /// # Errors
    /// [`Error::Resource`](sortes_core::Error::Resource).
    pub(super) fn clear(&mut self, vocabulary: usize, most: usize) -> Result<()> {
        self.entries.clear();
        reserve(&mut self.entries, most.min(vocabulary), "tokens of a history")?;
        if let Some(more) = vocabulary.checked_sub(self.cells.len()) {
            reserve(&mut self.cells, more, "tokens of a vocabulary")?;
            self.cells.resize(vocabulary, 0);
        }
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.cells.fill(0);
            self.generation = 1;
        }
        Ok(())
    }

    /// The value of `token`, zero where it is new.
    pub(super) fn entry(&mut self, token: usize) -> &mut u32 {
        let cell = &mut self.cells[token];
        if (*cell >> 32) as u32 != self.generation {
            *cell = (u64::from(self.generation) << 32) | self.entries.len() as u64;
            self.entries.push((token, 0));
        }
        &mut self.entries[*cell as u32 as usize].1
    }

    /// The tokens touched since the last `clear`, each once, with their values.
    pub(super) fn entries(&self) -> &[(usize, u32)] {
        &self.entries
    }

    /// Clears, then counts the ids of `history` that lie in the vocabulary.
    ///
    /// # Errors
    /// [`Error::Resource`](sortes_core::Error::Resource), or if the work is cancelled.
    pub(super) fn count(
        &mut self,
        history: &[i64],
        vocabulary: usize,
        run: Run<'_>,
    ) -> Result<&[(usize, u32)]> {
        self.clear(vocabulary, history.len())?;
        for block in history.chunks(BLOCK) {
            run.check()?;
            for &id in block {
                if let Some(token) = in_vocabulary(id, vocabulary) {
                    *self.entry(token) += 1;
                }
            }
        }
        Ok(&self.entries)
    }
}

/// `id` as an index, unless it lies outside `[0, vocabulary)`.
pub(super) fn in_vocabulary(id: i64, vocabulary: usize) -> Option<usize> {
    usize::try_from(id).ok().filter(|&token| token < vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_distinct_tokens_in_order_of_first_touch_and_ignores_foreign_ids() {
        let mut map = TokenMap::default();
        let mut count =
            |history, vocabulary| map.count(history, vocabulary, Run::alone()).unwrap().to_vec();
        assert_eq!(count(&[7, 3, 7, -1, 8, 3, 7], 8), [(7, 3), (3, 2)]);
        assert_eq!(count(&[0], 4), [(0, 1)]);
        assert_eq!(count(&[], 4), []);
    }

    #[test]
    fn a_generation_that_wraps_does_not_resurrect_old_cells() {
        let mut map = TokenMap::default();
        map.count(&[1, 2], 4, Run::alone()).unwrap();
        map.generation = u32::MAX;
        assert_eq!(map.count(&[2], 4, Run::alone()).unwrap(), [(2, 1)]);
        assert_eq!(map.generation, 1);
    }
}
