//! Weights that change between draws.

use super::draw_each;
use super::summary::{self, Summary, Weight, finite_total, positive_total};
use crate::rng::{Purpose, Stream, uniform_of};
use crate::{Error, Result, Run};

/// Children of a node: a block of 512 bytes.
const FAN: usize = 64;
/// Children that are added side by side before their sum is looked at.
const GROUP: usize = 8;
/// Draws or changes between two looks at the stop request.
const PIECE: usize = 1 << 12;

/// Weights under a tree of sums, for draws while they change.
///
/// A node holds the sum of its 64 children, always added up afresh from all of them, so that no
/// error builds up over many updates. An update costs 64 additions a level, a draw one scan a level;
/// a million weights are four levels.
///
/// ```
/// use sortes_core::weights::DynamicWeights;
///
/// let mut weights = DynamicWeights::new(vec![1.0, 0.0, 3.0]);
/// assert_eq!(weights.total(), 4.0);
/// assert_eq!(weights.pick(0.5), Some(2));
/// weights.set(2, 0.0);
/// assert_eq!(weights.pick(0.5), Some(0));
/// weights.set(0, 0.0);
/// assert_eq!(weights.pick(0.5), None);
/// ```
#[derive(Debug, Clone)]
pub struct DynamicWeights {
    /// The weights, then ever shorter levels of sums, the last of at most one block. Each level is
    /// padded with zeros to whole blocks.
    levels: Vec<Vec<f64>>,
    len: usize,
    total: f64,
}

impl DynamicWeights {
    /// The tree over `weights`, which must be finite and not negative.
    pub fn new(weights: Vec<f64>) -> Self {
        let len = weights.len();
        let mut out = Self { levels: vec![weights], len, total: 0.0 };
        out.rebuild();
        out
    }

    /// The tree over weights that nobody has looked at yet.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if the sum overflows, or if the work is cancelled.
    pub fn checked<W: Weight>(weights: &[W], run: Run<'_>) -> Result<Self> {
        Summary::of(weights, run)?;
        let out = Self::new(weights.iter().map(|weight| weight.wide()).collect());
        finite_total(out.total)?;
        Ok(out)
    }

    /// How many weights there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sum of the weights.
    #[inline]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The weights.
    #[inline]
    pub fn as_slice(&self) -> &[f64] {
        &self.levels[0][..self.len]
    }

    /// Changes one weight.
    #[inline]
    pub fn set(&mut self, index: usize, weight: f64) {
        debug_assert!(weight >= 0.0 && weight.is_finite());
        self.levels[0][index] = weight;
        let mut child = index;
        for level in 1..self.levels.len() {
            child /= FAN;
            let sum = block_sum(&self.levels[level - 1], child);
            self.levels[level][child] = sum;
        }
        self.total = self.levels.last().map_or(0.0, |top| block_sum(top, 0));
    }

    /// Changes any of the weights in place, then adds everything up again.
    pub fn refill(&mut self, change: impl FnOnce(&mut [f64])) {
        let len = self.len;
        change(&mut self.levels[0][..len]);
        self.rebuild();
    }

    /// Changes the weights at `indices`; of an item that comes twice, the last change counts.
    ///
    /// # Errors
    /// If there are not as many weights as indices, if an index is out of range, a weight negative or
    /// not finite, if the sum overflows, or if the work is cancelled. Nothing has changed then.
    pub fn update(&mut self, indices: &[i64], weights: &[f64], run: Run<'_>) -> Result<()> {
        let len = self.len;
        if indices.len() != weights.len() {
            let (expected, got) =
                (format!("({},)", indices.len()), format!("({},)", weights.len()));
            return Err(Error::Shape { name: "weights", expected, got });
        }
        let in_range = |(place, &index): (usize, &i64)| match usize::try_from(index) {
            Ok(index) if index < len => Ok(index),
            _ => {
                let reason = format!("item {place} must be in [0, {len}), got {index}");
                Err(Error::argument("indices", reason))
            }
        };
        let places = indices.iter().enumerate().map(in_range).collect::<Result<Vec<_>>>()?;
        summary::check_weights(weights)?;
        run.check()?;
        let old: Vec<f64> = places.iter().map(|&place| self.levels[0][place]).collect();
        let changes = places.iter().copied().zip(weights.iter().copied());
        let done = self.write(changes, run).and_then(|()| finite_total(self.total));
        if done.is_err() {
            // Backwards, in case an index came twice.
            let changes = places.into_iter().zip(old).rev();
            self.write(changes, Run::alone())?;
        }
        done
    }

    /// Makes a few changes one by one; after many, adds everything up again.
    fn write(
        &mut self,
        changes: impl ExactSizeIterator<Item = (usize, f64)>,
        run: Run<'_>,
    ) -> Result<()> {
        if changes.len() < self.len / 16 {
            for (done, (place, weight)) in changes.enumerate() {
                if done % PIECE == 0 {
                    run.check()?;
                }
                self.set(place, weight);
            }
        } else {
            self.refill(|all| changes.for_each(|(place, weight)| all[place] = weight));
        }
        Ok(())
    }

    fn rebuild(&mut self) {
        let mut weights = std::mem::take(&mut self.levels[0]);
        weights.resize(self.len.div_ceil(FAN).max(1) * FAN, 0.0);
        self.levels.truncate(1);
        self.levels[0] = weights;
        while self.levels[self.levels.len() - 1].len() > FAN {
            let below = &self.levels[self.levels.len() - 1];
            let blocks = below.len() / FAN;
            let mut sums: Vec<f64> = (0..blocks).map(|block| block_sum(below, block)).collect();
            sums.resize(blocks.div_ceil(FAN) * FAN, 0.0);
            self.levels.push(sums);
        }
        self.total = self.levels.last().map_or(0.0, |top| block_sum(top, 0));
    }

    /// The first index whose cumulative weight exceeds `u` times the total, for `u` in `[0, 1)`;
    /// none if the total is zero. Never an index of weight zero.
    #[inline]
    pub fn pick(&self, u: f64) -> Option<usize> {
        if self.total <= 0.0 {
            return None;
        }
        let mut rest = u * self.total;
        let mut child = 0;
        for level in self.levels.iter().rev() {
            let block: &[f64; FAN] = level[child * FAN..].first_chunk()?;
            let (within, left) = pick_in_block(block, rest);
            child = child * FAN + within;
            rest = left;
        }
        Some(child)
    }

    /// Fills `out` with draws, the first of them draw 0 of the stream.
    ///
    /// # Errors
    /// If all weights are zero and there is something to draw, or if the work is cancelled.
    pub fn sample(&self, out: &mut [i64], stream: Stream, run: Run<'_>) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        positive_total(self.total)?;
        draw_each(out, stream, run, |words, out| {
            for (out, &word) in out.iter_mut().zip(words) {
                *out = self.pick(uniform_of(word)).unwrap_or_default() as i64;
            }
        })
    }

    /// Draws `size` items one after the other, each from what the others have left, and sets their
    /// weights to zero; fewer if no more are positive. The first draw is draw 0 of the stream.
    ///
    /// # Errors
    /// If the work is cancelled; the weights are as they were then.
    pub fn pop(&mut self, size: usize, stream: Stream, run: Run<'_>) -> Result<Vec<i64>> {
        let (mut out, mut taken) = (Vec::new(), Vec::new());
        while out.len() < size {
            if out.len() % PIECE == 0 && run.cancel.is_cancelled() {
                let back = out.iter().map(|&index| index as usize).zip(taken);
                self.refill(|all| back.for_each(|(index, weight)| all[index] = weight));
                return Err(Error::Cancelled);
            }
            let mut draws = stream.draws(Purpose::Pick, out.len() as u64 / 2);
            draws.seek(out.len() as u64 % 2);
            let Some(index) = self.pick(draws.uniform()) else { break };
            taken.push(self.levels[0][index]);
            self.set(index, 0.0);
            out.push(index as i64);
        }
        Ok(out)
    }
}

#[inline]
fn block_sum(level: &[f64], block: usize) -> f64 {
    let mut lanes = [0.0; GROUP];
    let children = &level[block * FAN..(block + 1) * FAN];
    for group in children.as_chunks::<GROUP>().0 {
        for (lane, child) in lanes.iter_mut().zip(group) {
            *lane += child;
        }
    }
    sum_of_group(&lanes)
}

#[inline]
fn sum_of_group(group: &[f64; GROUP]) -> f64 {
    let [a, b, c, d, e, f, g, h] = group;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// The child in whose stretch `rest` falls, and how far into it; the last positive child where
/// rounding has carried `rest` past the end.
#[inline]
fn pick_in_block(block: &[f64; FAN], rest: f64) -> (usize, f64) {
    let groups = block.as_chunks::<GROUP>().0;
    let (group, rest) = pick_in_order(groups.iter().map(sum_of_group), rest);
    let (child, rest) = pick_in_order(groups[group].iter().copied(), rest);
    (group * GROUP + child, rest)
}

#[inline]
fn pick_in_order(weights: impl Iterator<Item = f64>, mut rest: f64) -> (usize, f64) {
    let mut last = (0, 0.0);
    for (index, weight) in weights.enumerate() {
        if weight > 0.0 {
            if rest < weight {
                return (index, rest);
            }
            last = (index, weight);
        }
        rest -= weight;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::par::Threads;

    #[test]
    fn picks_agree_with_the_cumulative_sums() {
        for n in [1, 2, 63, 64, 65, 4095, 4096, 4097, 300_000] {
            let mut weights: Vec<f64> =
                (0..n).map(|i| f64::from((i % 4001 * 7919 + 3) % 5)).collect();
            weights[0] = 1.0;
            let mut tree = DynamicWeights::new(vec![1.0; n as usize]);
            if n < 5000 {
                for (i, &w) in weights.iter().enumerate() {
                    tree.set(i, w);
                }
            } else {
                tree.refill(|all| all.copy_from_slice(&weights));
            }
            // Whole numbers add up without rounding, so that the answer is exact.
            let total: f64 = weights.iter().sum();
            assert_eq!(tree.total(), total);
            assert_eq!(tree.as_slice(), weights);
            for step in 0..997 {
                let u = f64::from(step) / 997.0;
                let mut cumulative = 0.0;
                let expected = weights.iter().position(|w| {
                    cumulative += w;
                    cumulative > u * total
                });
                assert_eq!(tree.pick(u), expected, "n = {n}, u = {u}");
            }
        }
    }

    #[test]
    fn rounding_past_the_end_takes_the_last_positive() {
        let mut weights = vec![0.1; 1000];
        weights.extend([0.0; 200]);
        let tree = DynamicWeights::new(weights);
        assert_eq!(tree.pick(1.0f64.next_down()), Some(999));
        assert_eq!(tree.pick(1.0), Some(999));
        assert_eq!(DynamicWeights::new(vec![]).pick(0.0), None);
        assert_eq!(DynamicWeights::new(vec![0.0; 3]).pick(0.0), None);
    }

    #[test]
    fn what_is_cancelled_or_refused_changes_nothing() {
        let weights: Vec<f64> = (0..100_000).map(|i| f64::from(i % 7)).collect();
        let mut tree = DynamicWeights::checked(&weights, Run::alone()).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        for count in [1, 5000, 90_000] {
            let indices: Vec<i64> = (0..count).collect();
            let new = vec![3.5; count as usize];
            assert_eq!(tree.update(&indices, &new, stopped), Err(Error::Cancelled));
            assert!(tree.pop(count as usize, Stream::new(0), stopped).is_err());
            // Overflow, after the changes have been made.
            let huge = vec![f64::MAX; count as usize];
            let done = tree.update(&vec![4; count as usize], &huge, Run::alone());
            assert_eq!(done, Ok(()));
            tree.set(4, weights[4]);
            if count > 1 {
                assert!(tree.update(&indices, &huge, Run::alone()).is_err());
            }
            assert_eq!(tree.as_slice(), weights);
            assert_eq!(tree.total(), DynamicWeights::new(weights.clone()).total());
        }
    }

    #[test]
    fn updates_leave_no_residue() {
        let mut tree = DynamicWeights::new(vec![1e-300; 5000]);
        tree.set(17, 1e300);
        tree.set(17, 0.0);
        assert!(tree.total() < 1e-296 && tree.total() > 0.0);
        assert_ne!(tree.pick(0.003), Some(17));
    }
}
