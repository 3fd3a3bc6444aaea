//! A set of units as bits.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Result, Run};

use super::BLOCK;

/// Some of the units `0..n`.
pub(super) struct Marks(Vec<u64>);

impl Marks {
    /// None of `n` units.
    pub(super) fn new(n: usize) -> Result<Self> {
        Ok(Self(zeroed(n.div_ceil(64), "marks of units")?))
    }

    /// Adds a unit.
    #[inline(always)]
    pub(super) fn mark(&mut self, unit: i64) {
        self.0[unit as usize / 64] |= 1 << (unit % 64);
    }

    /// How many units there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The units in ascending order.
    pub(super) fn list(&self, run: Run<'_>) -> Result<Vec<i64>> {
        let mut units = with_capacity(self.count(), "units")?;
        for range in run.blocks(self.0.len(), BLOCK) {
            for index in range? {
                let mut word = self.0[index];
                while word != 0 {
                    units.push((index * 64) as i64 + i64::from(word.trailing_zeros()));
                    word &= word - 1;
                }
            }
        }
        Ok(units)
    }
}
