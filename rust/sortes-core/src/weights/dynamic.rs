//! Weights that change between draws.

use super::draw_for;
use super::summary::{Summary, Weight, checked_sum, finite_total, positive_total};
use crate::bytes::{Kind, Reader, Writer};
use crate::memory::{reserve, with_capacity, zeroed};
use crate::rng::{Purpose, Stream, uniform_of};
use crate::{Error, Result, Run};
use std::ops::Range;

/// Children of a node: a block of 512 bytes.
const FAN: usize = 64;
/// Children that are added side by side before their sum is looked at.
const GROUP: usize = 8;
/// Draws or changes between two polls.
const BLOCK: usize = 1 << 12;
/// Weights that one task converts, or sums that it makes.
const TASK: usize = 1 << 16;
/// A change takes as long as adding up about this many weights: where a larger part changes,
/// all sums are made anew.
const PER_CHANGE: usize = 256;

/// Weights under a tree of sums, for draws while they change.
///
/// A node holds the sum of its 64 children, always added up afresh from all of them, so that no
/// error builds up over many updates. An update costs 64 additions a level, a draw one scan a level;
/// a million weights are four levels.
///
/// ```
/// use sortes_core::Run;
/// use sortes_core::weights::DynamicWeights;
///
/// let mut weights = DynamicWeights::new(vec![1.0, 0.0, 3.0], Run::alone())?;
/// assert_eq!(weights.total(), 4.0);
/// assert_eq!(weights.pick(0.5), Some(2));
/// weights.set(2, 0.0);
/// assert_eq!(weights.pick(0.5), Some(0));
/// weights.set(0, 0.0);
/// assert_eq!(weights.pick(0.5), None);
/// # Ok::<(), sortes_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DynamicWeights {
    /// The weights, then ever shorter levels of sums, the last of at most one block. Each level is
    /// padded with zeros to whole blocks.
    levels: Vec<Vec<f64>>,
    len: usize,
    total: f64,
}

impl DynamicWeights {
    /// The tree over `weights`, which must be finite and not negative.
    ///
    /// # Errors
    /// If there is no memory for the sums, or the work is cancelled.
    pub fn new(mut weights: Vec<f64>, run: Run<'_>) -> Result<Self> {
        let len = weights.len();
        reserve(&mut weights, padded(len) - len, "weights")?;
        weights.resize(padded(len), 0.0);
        Self::over(weights, len, run)
    }

    /// The tree over weights that are still to be checked. Progress counts weights.
    ///
    /// # Errors
    /// If a weight is negative or not finite, if the sum overflows, if there is no memory, or if the
    /// work is cancelled.
    pub fn checked<W: Weight>(weights: &[W], run: Run<'_>) -> Result<Self> {
        Summary::of(weights, run)?;
        let mut leaves = zeroed(padded(weights.len()), "weights")?;
        run.fill_chunks(&mut leaves, TASK, |task, leaves| {
            let weights = weights.get(task * TASK..).unwrap_or_default();
            for (leaf, weight) in leaves.iter_mut().zip(weights) {
                *leaf = weight.wide();
            }
            run.advance(leaves.len().min(weights.len()) as u64);
        })?;
        let out = Self::over(leaves, weights.len(), run)?;
        finite_total(out.total)?;
        Ok(out)
    }

    /// The tree over padded leaves.
    fn over(leaves: Vec<f64>, len: usize, run: Run<'_>) -> Result<Self> {
        let mut levels = vec![leaves];
        while levels[levels.len() - 1].len() > FAN {
            let blocks = levels[levels.len() - 1].len() / FAN;
            levels.push(zeroed(padded(blocks), "sums of weights")?);
        }
        let mut out = Self { levels, len, total: 0.0 };
        out.add_up(run)?;
        Ok(out)
    }

    /// A copy of the tree.
    ///
    /// # Errors
    /// If it cannot be allocated, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        let copy = |level: &Vec<f64>| crate::memory::copied(level, "weights", run);
        let levels = self.levels.iter().map(copy).collect::<Result<_>>()?;
        Ok(Self { levels, ..*self })
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If they cannot be allocated, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let mut to = Writer::with_capacity(Kind::DynamicWeights, self.len)?;
        to.words(self.as_slice().iter().map(|weight| weight.to_bits()), run)?;
        Ok(to.finish())
    }

    /// The weights of these bytes.
    ///
    /// # Errors
    /// If no weights have these bytes, if there is no memory for them, or if the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let mut from = Reader::of(bytes, Kind::DynamicWeights, run)?;
        let weights = from.column(from.remaining(), "weights", run, f64::from_bits)?;
        Self::checked(&weights, run)
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
    ///
    /// # Errors
    /// If the work is cancelled: the sums are then those of no weights.
    pub fn refill(&mut self, change: impl FnOnce(&mut [f64]), run: Run<'_>) -> Result<()> {
        let len = self.len;
        change(&mut self.levels[0][..len]);
        self.add_up(run)
    }

    /// Changes some weights, which must be finite and not negative.
    ///
    /// # Errors
    /// If the work is cancelled: the sums are then those of no weights.
    pub fn set_all(
        &mut self,
        changes: impl Iterator<Item = (usize, f64)> + Clone,
        run: Run<'_>,
    ) -> Result<()> {
        if self.is_few(changes.clone().count()) {
            changes.for_each(|(index, weight)| self.set(index, weight));
            return Ok(());
        }
        self.refill(|leaves| changes.for_each(|(index, weight)| leaves[index] = weight), run)
    }

    /// Changes the weights at `indices`; of an item that comes twice, the last change counts. Progress
    /// counts changes.
    ///
    /// # Errors
    /// If there are not as many weights as indices, if an index is out of range, a weight negative or
    /// not finite, if the sum overflows, if there is no memory, or if the work is cancelled. Nothing
    /// has changed then.
    pub fn update(&mut self, indices: &[i64], weights: &[f64], run: Run<'_>) -> Result<()> {
        let old = self.replaced(indices, weights, run)?;
        let mut written = 0;
        let done = self.write(indices, weights, &mut written, run);
        let done = done.and_then(|()| finite_total(self.total));
        if done.is_err() {
            // Backwards, in case an index came twice.
            let back = indices[..written].iter().zip(&old).rev();
            if self.is_few(written) {
                back.for_each(|(&index, &weight)| self.set(index as usize, weight));
            } else {
                let put_back = |leaves: &mut [f64]| {
                    back.for_each(|(&index, &weight)| leaves[index as usize] = weight);
                };
                self.refill(put_back, run.to_the_end())?;
            }
        }
        done
    }

    /// Checks a change, and returns the weights that it replaces.
    fn replaced(&self, indices: &[i64], weights: &[f64], run: Run<'_>) -> Result<Vec<f64>> {
        let len = self.len;
        if indices.len() != weights.len() {
            let (expected, got) =
                (format!("({},)", indices.len()), format!("({},)", weights.len()));
            return Err(Error::Shape { name: "weights", expected, got });
        }
        checked_sum(weights, run)?;
        let mut old = with_capacity(indices.len(), "weights")?;
        for range in run.blocks(indices.len(), BLOCK) {
            for item in range? {
                let index = indices[item];
                match usize::try_from(index) {
                    Ok(index) if index < len => old.push(self.levels[0][index]),
                    _ => return Err(Error::item("indices", item, &format!("[0, {len})"), index)),
                }
            }
        }
        Ok(old)
    }

    /// Makes a few changes one by one; after many, adds everything up again. `written` counts those
    /// that were made.
    fn write(
        &mut self,
        indices: &[i64],
        weights: &[f64],
        written: &mut usize,
        run: Run<'_>,
    ) -> Result<()> {
        let few = self.is_few(indices.len());
        for range in run.blocks(indices.len(), BLOCK) {
            let range = range?;
            let (indices, weights) = (&indices[range.clone()], &weights[range]);
            let changes = indices.iter().zip(weights).map(|(&index, &w)| (index as usize, w));
            if few {
                changes.for_each(|(index, weight)| self.set(index, weight));
            } else {
                changes.for_each(|(index, weight)| self.levels[0][index] = weight);
            }
            *written += indices.len();
            run.advance(indices.len() as u64);
        }
        if few { Ok(()) } else { self.add_up(run) }
    }

    /// Whether as many changes are quicker one by one than all sums.
    fn is_few(&self, changes: usize) -> bool {
        changes < self.len / PER_CHANGE
    }

    /// Makes all sums.
    fn add_up(&mut self, run: Run<'_>) -> Result<()> {
        for level in 1..self.levels.len() {
            let (below, above) = self.levels.split_at_mut(level);
            let below = &below[level - 1];
            // What lies behind the last block is padding.
            let sums = &mut above[0][..below.len() / FAN];
            run.fill_chunks(sums, TASK / FAN, |task, sums| {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = block_sum(below, task * (TASK / FAN) + i);
                }
            })?;
        }
        self.total = self.levels.last().map_or(0.0, |top| block_sum(top, 0));
        Ok(())
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
        draw_for(Purpose::Dynamic, out, stream, run, |words, out| {
            for (out, &word) in out.iter_mut().zip(words) {
                *out = self.pick(uniform_of(word)).unwrap_or_default() as i64;
            }
        })
    }

    /// Draws `size` items one after the other, each from what the others have left, and sets their
    /// weights to zero. The first draw is draw 0 of the stream.
    ///
    /// # Errors
    /// If fewer are positive, there is no memory, or the work is cancelled; the weights are as they
    /// were then.
    pub fn pop(&mut self, size: usize, stream: Stream, run: Run<'_>) -> Result<Vec<i64>> {
        let most = size.min(self.len);
        let mut out = with_capacity(most, "items")?;
        let mut weights = with_capacity(most, "weights of items")?;
        let mut done = self.pop_into(most, &mut out, &mut weights, stream, run);
        if done.is_ok() && out.len() < size {
            let reason = format!(
                "must be at most the number of positive weights, {}, got {size}",
                out.len()
            );
            done = Err(Error::argument("size", reason));
        }
        if done.is_err() {
            let put_back = |leaves: &mut [f64]| {
                for (&index, &weight) in out.iter().zip(&weights) {
                    leaves[index as usize] = weight;
                }
            };
            self.refill(put_back, run.to_the_end())?;
        }
        done.map(|()| out)
    }

    /// Draws this many items, or as many as are positive.
    fn pop_into(
        &mut self,
        most: usize,
        out: &mut Vec<i64>,
        weights: &mut Vec<f64>,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<()> {
        for range in run.blocks(most, BLOCK) {
            let Range { start, end } = range?;
            for draw in start..end {
                let mut draws = stream.draws(Purpose::Dynamic, draw as u64 / 2);
                draws.seek(draw as u64 % 2);
                let Some(index) = self.pick(draws.uniform()) else { break };
                weights.push(self.levels[0][index]);
                self.set(index, 0.0);
                out.push(index as i64);
            }
            run.advance((out.len() - start) as u64);
            if out.len() < end {
                break;
            }
        }
        Ok(())
    }
}

/// The length of a level of whole blocks.
fn padded(len: usize) -> usize {
    len.div_ceil(FAN).max(1) * FAN
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

    fn tree_of(weights: Vec<f64>) -> DynamicWeights {
        DynamicWeights::new(weights, Run::alone()).unwrap()
    }

    #[test]
    fn picks_agree_with_the_cumulative_sums() {
        for n in [1, 2, 63, 64, 65, 4095, 4096, 4097, 300_000] {
            let mut weights: Vec<f64> =
                (0..n).map(|i| f64::from((i % 4001 * 7919 + 3) % 5)).collect();
            weights[0] = 1.0;
            let mut tree = tree_of(vec![1.0; n as usize]);
            if n < 5000 {
                for (i, &w) in weights.iter().enumerate() {
                    tree.set(i, w);
                }
            } else {
                tree.refill(|all| all.copy_from_slice(&weights), Run::alone()).unwrap();
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
        let tree = tree_of(weights);
        assert_eq!(tree.pick(1.0f64.next_down()), Some(999));
        assert_eq!(tree.pick(1.0), Some(999));
        assert_eq!(tree_of(vec![]).pick(0.0), None);
        assert_eq!(tree_of(vec![0.0; 3]).pick(0.0), None);
    }

    #[test]
    fn what_is_cancelled_or_refused_changes_nothing() {
        let weights: Vec<f64> = (0..100_000).map(|i| f64::from(i % 7)).collect();
        let mut tree = DynamicWeights::checked(&weights, Run::alone()).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        for count in [1, 300, 5000, 90_000] {
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
            assert_eq!(tree.total(), tree_of(weights.clone()).total());
        }
    }

    #[test]
    fn updates_leave_no_residue() {
        let mut tree = tree_of(vec![1e-300; 5000]);
        tree.set(17, 1e300);
        tree.set(17, 0.0);
        assert!(tree.total() < 1e-296 && tree.total() > 0.0);
        assert_ne!(tree.pick(0.003), Some(17));
    }

    #[test]
    fn bytes_carry_the_weights() {
        let run = Run::alone();
        for n in [0, 1, 64, 65, 5000] {
            let tree = tree_of((0..n).map(|i| f64::from(i % 7)).collect());
            let again = DynamicWeights::from_bytes(&tree.to_bytes(run).unwrap(), run).unwrap();
            assert_eq!((again.as_slice(), again.total()), (tree.as_slice(), tree.total()));
            assert_eq!(tree.copied(run).unwrap().levels, tree.levels);
        }
        let negative = tree_of(vec![1.0, 2.0]).to_bytes(run).unwrap();
        let (words, _) = negative.as_chunks::<8>();
        let mut words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        words.pop();
        *words.last_mut().unwrap() = (-1.0f64).to_bits();
        assert!(DynamicWeights::from_bytes(&crate::bytes::seal(&words), run).is_err());
    }
}
