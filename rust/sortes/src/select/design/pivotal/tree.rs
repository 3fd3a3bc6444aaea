//! Duels over a binary tree: the fractions of two subtrees meet.

use sortes_core::memory::{filled, with_capacity};
use sortes_core::resample::{Fraction, duel};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

use super::super::marks::{Marks, WORD, mark};
use super::super::{BLOCK, check_probabilities};
use super::gaps::{BATCH, Gaps};
use super::{finish, uniform_at};

/// Units of a subtree that one task settles.
const TASK: usize = 1 << 14;

/// The result of a subtree of at most [`TASK`] units.
#[derive(Clone)]
struct Settled {
    /// The fraction that is left.
    left: Fraction,
    /// The bits of the chosen units, from that of the first unit's word on.
    chosen: [u64; TASK / WORD + 1],
}

/// A sample by duels over the balanced binary tree: a stretch of units is split in the middle, the
/// smaller half first, and the fractions of both halves meet.
///
/// # Errors
/// Where a probability is not in `[0, 1]`; if there is no memory for the units, or the work is
/// cancelled.
pub fn balanced(pi: &[f64], stream: Stream, run: Run<'_>) -> Result<Vec<i64>> {
    check_probabilities(pi, run)?;
    let mut ranges = with_capacity(2 * pi.len() / TASK + 1, "tasks")?;
    split(0, pi.len(), &mut ranges);
    // The lower levels of the tree, in tasks.
    let none = Settled { left: Fraction::default(), chosen: [0; TASK / WORD + 1] };
    let mut parts = filled(ranges.len(), none, "tasks")?;
    run.fill_chunks(&mut parts, 1, |task, part| {
        let (low, high) = ranges[task];
        let base = low / WORD * WORD;
        let mut tree = Subtree { pi, stream, gaps: Gaps::NONE, base, chosen: &mut part[0].chosen };
        part[0].left = tree.settle(low, high);
        run.advance((high - low) as u64);
    })?;
    let mut marks = Marks::new(pi.len())?;
    for ((low, _), part) in ranges.iter().zip(&parts) {
        run.check()?;
        for (all, some) in marks.words[low / WORD..].iter_mut().zip(&part.chosen) {
            *all |= some;
        }
    }
    // The levels above them.
    let mut fractions = parts.iter().map(|part| part.left);
    let last = join(0, pi.len(), &mut fractions, stream, &mut marks);
    finish(marks, last, pi, stream, run)
}

/// The subtrees of at most [`TASK`] units.
fn split(low: usize, high: usize, ranges: &mut Vec<(usize, usize)>) {
    if high - low <= TASK {
        ranges.push((low, high));
    } else {
        let middle = low.midpoint(high);
        split(low, middle, ranges);
        split(middle, high, ranges);
    }
}

/// The duels above these subtrees.
fn join(
    low: usize,
    high: usize,
    fractions: &mut impl Iterator<Item = Fraction>,
    stream: Stream,
    marks: &mut Marks,
) -> Fraction {
    if high - low <= TASK {
        return fractions.next().unwrap_or_default();
    }
    let middle = low.midpoint(high);
    let left = join(low, middle, fractions, stream, marks);
    let right = join(middle, high, fractions, stream, marks);
    if right.pi == 0.0 {
        return left;
    }
    duel(left, right, uniform_at(middle as u64, stream), |unit| marks.mark(unit))
}

struct Subtree<'a> {
    pi: &'a [f64],
    stream: Stream,
    gaps: Gaps,
    /// The unit of the first bit of `chosen`.
    base: usize,
    chosen: &'a mut [u64],
}

impl Subtree<'_> {
    #[inline(always)]
    fn choose(&mut self, unit: i64) {
        mark(self.chosen, unit as usize - self.base);
    }

    /// The fraction that is left of the units `low..high`.
    fn settle(&mut self, low: usize, high: usize) -> Fraction {
        if high - low <= BATCH {
            if low == high {
                return Fraction::default();
            }
            self.gaps.fill(low as u64, high - low, self.stream);
            return self.settle_batch(low, high);
        }
        let middle = low.midpoint(high);
        let left = self.settle(low, middle);
        let right = self.settle(middle, high);
        if right.pi == 0.0 {
            return left;
        }
        let u = uniform_at(middle as u64, self.stream);
        duel(left, right, u, |unit| self.choose(unit))
    }

    /// The same for at most [`BATCH`] units, whose gaps are filled.
    fn settle_batch(&mut self, low: usize, high: usize) -> Fraction {
        if high - low == 1 {
            let pi = self.pi[low];
            return alone(low as i64, pi, |unit| self.choose(unit));
        }
        let middle = low.midpoint(high);
        let left = self.settle_batch(low, middle);
        let right = self.settle_batch(middle, high);
        if right.pi == 0.0 {
            return left;
        }
        let u = self.gaps.at(middle as u64);
        duel(left, right, u, |unit| self.choose(unit))
    }
}

/// The fraction of a unit that nobody has met yet.
#[inline(always)]
fn alone(id: i64, pi: f64, mut choose: impl FnMut(i64)) -> Fraction {
    if pi == 1.0 {
        choose(id);
        return Fraction::default();
    }
    Fraction { id, pi }
}

/// A sample by duels over any binary tree: row `r` of `merges` joins two nodes into node `n + r`,
/// where the nodes `0..n` are the units. The duel of row `r` is that of gap `r + 1`.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, or the rows are not those of a binary tree; if there is
/// no memory for the nodes, or the work is cancelled.
pub fn over_tree(
    pi: &[f64],
    merges: &[[i64; 2]],
    stream: Stream,
    run: Run<'_>,
) -> Result<Vec<i64>> {
    check_probabilities(pi, run)?;
    let n = pi.len();
    if merges.len() + 1 != n.max(1) {
        let (expected, got) = (n.saturating_sub(1), merges.len());
        let (expected, got) = (format!("({expected}, 2)"), format!("({got}, 2)"));
        return Err(Error::Shape { name: "order", expected, got });
    }
    let mut marks = Marks::new(n)?;
    // What is left of each node; none once it has been joined to another.
    let mut nodes: Vec<Option<Fraction>> = with_capacity(n + merges.len(), "nodes")?;
    for range in run.blocks(n, BLOCK) {
        nodes.extend(range?.map(|i| Some(alone(i as i64, pi[i], |unit| marks.mark(unit)))));
    }
    for range in run.blocks(merges.len(), BLOCK) {
        let range = range?;
        run.advance(range.len() as u64);
        for row in range {
            let mut take = |node: i64| {
                let slot = usize::try_from(node).ok().and_then(|node| nodes.get_mut(node));
                slot.and_then(Option::take).ok_or_else(|| {
                    let reason = format!("joins node {node}, which is not there to be joined");
                    Error::row("order", row, reason)
                })
            };
            let [left, right] = merges[row];
            let (left, right) = (take(left)?, take(right)?);
            nodes.push(Some(if right.pi == 0.0 {
                left
            } else {
                duel(left, right, uniform_at(row as u64 + 1, stream), |unit| marks.mark(unit))
            }));
        }
    }
    run.advance(n.min(1) as u64); // the last unit has been settled as well
    let last = nodes.pop().flatten().unwrap_or_default();
    finish(marks, last, pi, stream, run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_trees_are_refused() {
        for merges in
            [vec![[0, 1], [3, 0]], vec![[0, 1], [2, 9]], vec![[0, 1]], vec![[0, 0], [1, 2]]]
        {
            assert!(over_tree(&[0.5; 3], &merges, Stream::new(0), Run::alone()).is_err());
        }
    }
}
