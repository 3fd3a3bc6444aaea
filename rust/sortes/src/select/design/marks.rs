//! A set of units as bits.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Result, Run};

/// Bits of a word.
pub(super) const WORD: usize = 64;
/// Words whose units one task lists.
const TASK: usize = 512;

/// Some of the units `0..n`.
pub(super) struct Marks {
    /// Bit `i % 64` of word `i / 64` is that of unit `i`.
    pub(super) words: Vec<u64>,
}

impl Marks {
    /// None of `n` units.
    pub(super) fn new(n: usize) -> Result<Self> {
        Ok(Self { words: zeroed(n.div_ceil(WORD), "marks of units")? })
    }

    /// Adds a unit.
    #[inline(always)]
    pub(super) fn mark(&mut self, unit: i64) {
        mark(&mut self.words, unit as usize);
    }

    /// How many units there are.
    pub(super) fn count(&self) -> usize {
        count(&self.words)
    }

    /// The units in ascending order.
    pub(super) fn list(&self, run: Run<'_>) -> Result<Vec<i64>> {
        let mut units = zeroed(self.count(), "units")?;
        let mut parts = with_capacity(self.words.len().div_ceil(TASK), "tasks")?;
        let mut rest = &mut units[..];
        for words in self.words.chunks(TASK) {
            let part;
            (part, rest) = rest.split_at_mut(count(words));
            parts.push((words, part));
        }
        run.fill_chunks(&mut parts, 1, |task, part| {
            let (words, units) = &mut part[0];
            let mut units = units.iter_mut();
            for (index, &word) in words.iter().enumerate() {
                let first = ((task * TASK + index) * WORD) as i64;
                let mut word = word;
                while word != 0 {
                    if let Some(unit) = units.next() {
                        *unit = first + i64::from(word.trailing_zeros());
                    }
                    word &= word - 1;
                }
            }
        })?;
        Ok(units)
    }
}

/// Sets a bit.
#[inline(always)]
pub(super) fn mark(words: &mut [u64], unit: usize) {
    words[unit / WORD] |= 1 << (unit % WORD);
}

fn count(words: &[u64]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}
