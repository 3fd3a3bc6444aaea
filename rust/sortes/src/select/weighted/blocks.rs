//! Few draws from a large array: sums of blocks, and a search among them.

use super::weights::{self, Summary, Weight};
use super::{draw_each, uniform};
use sortes_core::Result;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::Stream;

/// Weights of a block: what one draw reads of the array.
const BLOCK: usize = 64;
/// Blocks of one task.
const TASK: usize = 1 << 12;

/// The running sums of an array by blocks of 64, for draws that read the array itself.
///
/// Making them is one pass over the weights. A draw looks up in a guide (one entry per block) where
/// the search for its block begins, and then adds up one block: a constant number of cache misses,
/// whatever the weights are, and a search of `log2` steps at worst.
///
/// A draw is the first index whose running sum exceeds `u` times the total, with `u` a multiple of
/// `2^-53`: probabilities are exact to `2^-53` of the total, not of their own size. An alias table
/// in full precision has no such limit.
#[derive(Debug)]
pub struct BlockSums<'w, W> {
    weights: &'w [W],
    /// The sum of all blocks before each, and at the end the total.
    before: Vec<f64>,
    /// For each of as many equal parts of the total as there are blocks, the block in which it
    /// begins.
    guide: Vec<usize>,
}

impl<'w, W: Weight> BlockSums<'w, W> {
    /// Adds up `weights`.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if the sum overflows, or if the work is cancelled.
    pub fn new(weights: &'w [W], threads: Threads<'_>, cancel: &Cancel) -> Result<Self> {
        let blocks = weights.len().div_ceil(BLOCK);
        let mut before = vec![0.0; blocks + 1];
        threads.fill_chunks(&mut before[1..], TASK, |task, sums| {
            if cancel.is_cancelled() {
                return;
            }
            let first = task * TASK * BLOCK;
            for (block, sum) in weights[first..].chunks(BLOCK).zip(sums.iter_mut()) {
                let summary = Summary::of_block(block);
                *sum = if summary.valid { summary.sum } else { f64::NAN };
            }
            cancel.advance((sums.len() * BLOCK) as u64);
        });
        cancel.check()?;
        let mut total = 0.0;
        for sum in &mut before[1..] {
            total += *sum;
            *sum = total;
        }
        if total.is_nan() {
            return Err(weights::fault(weights));
        }
        weights::finite_total(total)?;

        let mut guide = vec![0; blocks];
        let mut block = 0;
        for (part, entry) in guide.iter_mut().enumerate() {
            let target = part as f64 / blocks as f64 * total;
            while block + 1 < blocks && before[block + 1] <= target {
                block += 1;
            }
            *entry = block;
        }
        Ok(Self { weights, before, guide })
    }

    /// The sum of the weights.
    pub fn total(&self) -> f64 {
        self.before[self.before.len() - 1]
    }

    /// The first index whose running sum exceeds `u` times the total, for `u` in `[0, 1)`; none if
    /// the total is zero. Never an index of weight zero.
    #[inline]
    pub fn pick(&self, u: f64) -> Option<usize> {
        if self.total() > 0.0 { Some(self.pick_positive(u)) } else { None }
    }

    #[inline]
    fn pick_positive(&self, u: f64) -> usize {
        let target = u * self.total();
        let blocks = self.guide.len();
        let part = ((u * blocks as f64) as usize).min(blocks - 1);
        // Rounding may put the target just before the part's first block.
        let low = self.guide[part].saturating_sub(1);
        let high = self.guide.get(part + 1).map_or(blocks, |&block| block + 1);
        let within = &self.before[low + 1..=high];
        let mut block = low + within.partition_point(|&end| end <= target);
        // Rounding past the end, or the last blocks are empty: the last one that is not.
        while block >= blocks || self.before[block + 1] <= self.before[block] {
            block -= 1;
        }
        let first = block * BLOCK;
        let members = &self.weights[first..self.weights.len().min(first + BLOCK)];
        first + pick_in_block(members, target - self.before[block])
    }

    /// Fills `out` with draws, the first of them draw 0 of the step.
    ///
    /// # Errors
    /// If all weights are zero and there is something to draw, or if the work is cancelled.
    pub fn sample(
        &self,
        out: &mut [i64],
        stream: Stream,
        step: u32,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        weights::positive_total(self.total())?;
        draw_each(out, stream, step, threads, cancel, |word| self.pick_positive(uniform(word)))
    }
}

/// The first member whose running sum exceeds `rest`; the last positive one if rounding leaves none.
#[inline]
fn pick_in_block<W: Weight>(members: &[W], rest: f64) -> usize {
    const GROUP: usize = 8;
    let (mut sum, mut last) = (0.0, 0);
    for (group, members) in members.chunks(GROUP).enumerate() {
        let begin = sum;
        for member in members {
            sum += member.wide();
        }
        // A group that adds nothing has no positive member to speak of.
        if sum > rest {
            sum = begin;
            for (i, member) in members.iter().enumerate() {
                sum += member.wide();
                if sum > rest {
                    return group * GROUP + i;
                }
            }
        }
        if sum > begin {
            last = group;
        }
    }
    let members = &members[last * GROUP..members.len().min((last + 1) * GROUP)];
    last * GROUP + members.iter().rposition(|w| w.wide() > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums<W: Weight>(weights: &[W]) -> BlockSums<'_, W> {
        BlockSums::new(weights, Threads::SERIAL, &Cancel::default()).unwrap()
    }

    #[test]
    fn picks_agree_with_the_running_sum() {
        for n in [1, 2, 63, 64, 65, 129, 5000, 100_000] {
            let weights: Vec<f32> =
                (0..n).map(|i| ((i * 7919 + 3) % 5 * (i % 97 / 60)) as f32).collect();
            let blocks = sums(&weights);
            let total: f64 = weights.iter().map(|w| w.wide()).sum();
            assert_eq!(blocks.total(), total);
            for step in 0..997 {
                let u = f64::from(step) / 997.0;
                let mut running = 0.0;
                let expected = weights.iter().position(|w| {
                    running += w.wide();
                    running > u * total
                });
                assert_eq!(blocks.pick(u), expected, "n = {n}, u = {u}");
            }
        }
    }

    #[test]
    fn rounding_past_the_end_takes_the_last_positive() {
        let mut weights = vec![0.1; 1000];
        weights.extend([0.0; 300]);
        assert_eq!(sums(&weights).pick(1.0f64.next_down()), Some(999));
        assert_eq!(sums(&weights).pick(1.0), Some(999));
        assert_eq!(sums::<f64>(&[]).pick(0.0), None);
        assert_eq!(sums(&[0.0; 3]).pick(0.0), None);
    }

    #[test]
    fn uneven_weights_are_found_by_search() {
        // All parts of the guide but one lie in the last block.
        let mut weights = vec![1e-9; 64 * 1000];
        weights[63_999] = 1.0;
        let blocks = sums(&weights);
        assert_eq!(blocks.pick(0.5), Some(63_999));
        let index = blocks.pick(3.21e-5).unwrap() as f64;
        assert!((index - 3.21e-5 * blocks.total() / 1e-9).abs() < 1.0);
    }
}
