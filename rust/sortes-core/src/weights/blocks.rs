//! Few draws from a large array: sums of blocks, and a search among them.

use super::draw_each;
use super::summary::{self, Summary, Weight};
use crate::memory::{filled, with_capacity};
use crate::rng::{Stream, uniform_of};
use crate::{Error, Result, Run, vectorised};

/// Weights of a block: what one draw reads of the array.
const BLOCK: usize = 16;
/// Blocks of one task.
const TASK: usize = 1 << 14;
/// Totals below this, `2^-900`, are scaled.
const TINY: f64 = f64::from_bits((1023 - 900) << 52);
/// Blocks that are looked at before the search proper.
const NEAR: usize = 4;

vectorised! {
    /// The sum of each block, NaN if one of its weights is not allowed.
    fn add_up<W: Weight>(weights: &[W], scale: f64, sums: &mut [f64]) {
        for (block, sum) in weights.chunks(BLOCK).zip(sums) {
            let summary = Summary::of_block(block);
            *sum = if summary.valid { summary.sum * scale } else { f64::NAN };
        }
    }
}

/// The running sums of an array by blocks of 16, for draws that read the array itself.
///
/// Making them is one pass over the weights. A draw looks up in a guide (one entry per block) where
/// the search for its block begins, and then adds up one block: three random reads,
/// whatever the weights are, and a binary search where they are very uneven.
///
/// A draw is the first index whose running sum exceeds `u` times the total, with `u` a multiple of
/// `2^-53`: probabilities are exact to `2^-53` of the total, not of their own size. An alias table
/// in full precision has no such limit.
#[derive(Debug)]
pub struct BlockSums<'w, W> {
    weights: &'w [W],
    /// The sum of all blocks up to and including each; then infinities, one for each block that a
    /// draw may look at beyond the last.
    ends: Vec<f64>,
    total: f64,
    /// What the weights are multiplied by in all sums: 1, or where they are so small that a part of
    /// the total would not be a normal number, a power of two.
    scale: f64,
    /// For each of as many equal parts of the total as there are blocks, a block at or before the
    /// one in which it begins (before it by no more than rounding can tell).
    guide: Vec<u32>,
}

impl<'w, W: Weight> BlockSums<'w, W> {
    /// Adds up `weights`.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if the sum overflows, if there are more than `2^36`
    /// weights, or if the work is cancelled.
    pub fn new(weights: &'w [W], run: Run<'_>) -> Result<Self> {
        let blocks = weights.len().div_ceil(BLOCK);
        if u32::try_from(blocks).is_err() {
            return Err(Error::argument("weights", "must be at most 2^36; make an alias table"));
        }
        let mut sums = Self {
            weights,
            ends: filled(blocks + NEAR, f64::INFINITY, "sums of weights")?,
            total: 0.0,
            scale: 1.0,
            guide: with_capacity(blocks, "entries of a guide")?,
        };
        sums.add_up(run)?;
        if sums.total > 0.0 && sums.total < TINY {
            sums.scale = 1.0 / TINY;
            sums.add_up(run)?;
        }
        sums.make_guide(run)?;
        Ok(sums)
    }

    fn add_up(&mut self, run: Run<'_>) -> Result<()> {
        let Self { weights, scale, .. } = *self;
        let blocks = weights.len().div_ceil(BLOCK);
        let ends = &mut self.ends[..blocks];
        run.fill_chunks(ends, TASK, |task, sums| {
            let first = task * TASK * BLOCK;
            let weights = &weights[first..weights.len().min(first + sums.len() * BLOCK)];
            add_up(weights, scale, sums);
            if scale == 1.0 {
                run.advance(weights.len() as u64); // once, even if they are added up twice
            }
        })?;
        let mut total = 0.0;
        for range in run.blocks(blocks, TASK) {
            for end in &mut ends[range?] {
                total += *end;
                *end = total;
            }
        }
        if total.is_nan() {
            return Err(summary::fault(weights, run));
        }
        self.total = total;
        summary::finite_total(total)
    }

    fn make_guide(&mut self, run: Run<'_>) -> Result<()> {
        let Self { ends, total, guide, .. } = self;
        let blocks = ends.len() - NEAR;
        let mut block = 0;
        let part = *total / blocks as f64 * (1.0 - 4.0 * f64::EPSILON);
        for range in run.blocks(blocks, TASK) {
            for i in range? {
                let begin = part * i as f64;
                while ends[block] <= begin && block + 1 < blocks {
                    block += 1;
                }
                guide.push(block as u32);
            }
        }
        Ok(())
    }

    /// The sum of the weights.
    pub fn total(&self) -> f64 {
        self.total / self.scale
    }

    /// The first index whose running sum exceeds `u` times the total, for `u` in `[0, 1)`; none if
    /// the total is zero. Never an index of weight zero.
    #[inline]
    pub fn pick(&self, u: f64) -> Option<usize> {
        if self.total > 0.0 {
            let block = self.block_of(u, self.guide_of(u));
            Some(self.pick_in(u, block))
        } else {
            None
        }
    }

    /// Where the search for the block of `u` begins.
    #[inline]
    fn guide_of(&self, u: f64) -> usize {
        let part = (u * self.guide.len() as f64) as usize;
        self.guide[part.min(self.guide.len() - 1)] as usize
    }

    /// The first block from `near` on that ends beyond `u` times the total.
    #[inline]
    fn block_of(&self, u: f64, near: usize) -> usize {
        let target = u * self.total;
        let passed = |ends: &[f64]| ends.iter().map(|&end| usize::from(end <= target)).sum();
        let count: usize = passed(&self.ends[near..near + NEAR]);
        let block = if count < NEAR {
            near + count
        } else {
            near + count + self.ends[near + NEAR..].partition_point(|&end| end <= target)
        };
        if block < self.guide.len() { block } else { self.last_positive_block() }
    }

    /// The item of `u` within its block.
    #[inline]
    fn pick_in(&self, u: f64, block: usize) -> usize {
        let first = block * BLOCK;
        let members = &self.weights[first..];
        let rest = u * self.total - if block > 0 { self.ends[block - 1] } else { 0.0 };
        let passed = |members: &[W]| {
            let mut sum = 0.0;
            let mut count = 0;
            for member in members {
                sum += member.wide() * self.scale;
                count += usize::from(sum <= rest);
            }
            count
        };
        let (members, count) = match members.first_chunk::<BLOCK>() {
            Some(members) => (members.as_slice(), passed(members)),
            None => (members, passed(members)),
        };
        if count < members.len() {
            return first + count;
        }
        // Rounding has carried it past the end.
        first + members.iter().rposition(|w| w.wide() > 0.0).unwrap_or(0)
    }

    #[cold]
    fn last_positive_block(&self) -> usize {
        self.ends.partition_point(|&end| end < self.total)
    }

    /// Fills `out` with draws, the first of them draw 0 of the stream.
    ///
    /// # Errors
    /// If all weights are zero and there is something to draw, or if the work is cancelled.
    pub fn sample(&self, out: &mut [i64], stream: Stream, run: Run<'_>) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        summary::positive_total(self.total)?;
        // Stage by stage for the whole batch, so that the reads of many draws are under way at once.
        draw_each(out, stream, run, |words, out| {
            for (out, &word) in out.iter_mut().zip(words) {
                *out = self.guide_of(uniform_of(word)) as i64;
            }
            for (out, &word) in out.iter_mut().zip(words) {
                *out = self.block_of(uniform_of(word), *out as usize) as i64;
            }
            for (out, &word) in out.iter_mut().zip(words) {
                *out = self.pick_in(uniform_of(word), *out as usize) as i64;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::DynamicWeights;

    fn sums<W: Weight>(weights: &[W]) -> BlockSums<'_, W> {
        BlockSums::new(weights, Run::alone()).unwrap()
    }

    #[test]
    fn vectors() {
        let vectors = include_str!("../../../../tests/data/select/weighted.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cdf_pick"].as_array().unwrap();
        for case in cases {
            let weights: Vec<f64> =
                case["w"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
            let u = case["u"].as_f64().unwrap();
            let index = case["index"].as_u64().map(|index| index as usize);
            assert_eq!(sums(&weights).pick(u), index, "{case}");
            let tree = DynamicWeights::new(weights, Run::alone()).unwrap();
            assert_eq!(tree.pick(u), index, "{case}");
        }
        assert_eq!(cases.len(), 8);
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
