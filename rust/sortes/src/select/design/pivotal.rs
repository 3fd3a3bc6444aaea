//! The pivotal method: duels of two fractions, until at most one is left.
//!
//! Deville and Tille, "Unequal probability sampling without replacement through a splitting method",
//! Biometrika 85 (1998). A duel of the probabilities `a` and `b` settles at least one of the units
//! and keeps both expectations: below a sum of one it moves all of the sum to one of them, above it
//! chooses one and leaves the rest to the other. Any order of duels gives each unit its probability.
//!
//! Units stand in an order, and a duel is named by where it happens: the gap in front of the first
//! unit of the part on its right. A binary tree over an order uses each gap once, so that the names
//! are the same for a scan, for a tree and for shards that meet later. The duel at gap `g` reads draw
//! `g % 2` of entity `g / 2` of [`Purpose::Duel`]; gap 0, in front of all units, decides about a
//! fraction that is left alone.

use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Error, Result};

use super::check_probabilities;
use super::sums::{Running, as_integer};
use super::systematic::check_order;

/// Gaps whose draws are made at once.
const STRETCH: usize = 256;
/// Units of a subtree that one task settles.
const TASK: usize = 1 << 14;

/// The uniform number of a gap.
pub(super) fn uniform_at(gap: u64, stream: Stream, step: u32) -> f64 {
    let mut draws = stream.at(Purpose::Duel, gap / 2, step);
    draws.seek(gap % 2);
    draws.uniform()
}

/// The uniform numbers of neighbouring gaps.
struct Gaps {
    blocks: [[u64; 2]; STRETCH / 2 + 1],
    first: u64,
}

impl Gaps {
    const NONE: Self = Self { blocks: [[0; 2]; STRETCH / 2 + 1], first: 0 };

    /// Makes those of the gaps `first..first + len`, at most [`STRETCH`].
    fn fill(&mut self, first: u64, len: usize, stream: Stream, step: u32) {
        self.first = first & !1;
        let ids = bulk::Ids::Range { first: first / 2, step };
        let blocks = &mut self.blocks[..((first % 2) as usize + len).div_ceil(2)];
        bulk::words(stream, Purpose::Duel, ids, blocks);
    }

    #[inline]
    fn at(&self, gap: u64) -> f64 {
        let i = (gap - self.first) as usize;
        (self.blocks[i / 2][i % 2] >> 11) as f64 * (f64::EPSILON / 2.0)
    }
}

/// A unit that is still undecided, and what is left of its probability. Zero: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fraction {
    /// The unit.
    pub id: i64,
    /// What is left of its probability, in `[0, 1)`.
    pub pi: f64,
    /// The probability that it came with.
    pub own: f64,
}

impl Fraction {
    /// A unit that has not met another yet.
    #[inline]
    pub(super) fn new(id: i64, pi: f64) -> Self {
        Self { id, pi, own: pi }
    }
}

/// Settles one of two fractions, for a uniform `u`; returns the other.
///
/// `b` is positive. A zero `a` is no opponent: `b` stays as it is.
#[inline]
pub(super) fn duel(a: Fraction, b: Fraction, u: f64, mut choose: impl FnMut(Fraction)) -> Fraction {
    let sum = a.pi + b.pi;
    if sum < 1.0 {
        let left = if u * sum < a.pi { a } else { b };
        Fraction { pi: sum, ..left }
    } else {
        let first = u * (2.0 - sum) < 1.0 - b.pi;
        let (chosen, left) = if first { (a, b) } else { (b, a) };
        choose(chosen);
        Fraction { pi: sum - 1.0, ..left }
    }
}

/// A part of a population whose duels are done: the chosen units and at most one fraction.
///
/// Parts of one population, each with the draws of its own gaps, merge in any grouping: that is a
/// duel over a tree whose lower levels ran elsewhere.
///
/// ```
/// use sortes::select::design::Pivotal;
/// use sortes_core::rng::Stream;
///
/// let stream = Stream::new(7);
/// let (mut left, mut right) = (Pivotal::new(0), Pivotal::new(3));
/// left.extend(&[0.4, 0.3, 0.8], None, stream, 0).unwrap();
/// right.extend(&[0.9, 0.6], None, stream, 0).unwrap();
/// let whole = left.merge(right, stream, 0).unwrap();
/// assert_eq!(whole.finish(stream, 0).0.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pivotal {
    /// The chosen units, in the order of their duels.
    pub chosen: Vec<i64>,
    /// The probabilities that they came with.
    pub chosen_pi: Vec<f64>,
    /// The unit that is undecided.
    pub fraction: Fraction,
    /// The sum of the probabilities.
    pub total: Running,
    /// The position of the first unit.
    pub first: u64,
    /// The position of the next unit.
    pub next: u64,
}

impl Pivotal {
    /// A part that starts at position `first` and has no units yet.
    pub fn new(first: u64) -> Self {
        Self { first, next: first, ..Self::default() }
    }

    /// Appends units, each of which meets the fraction left by those before it. Their ids are their
    /// positions unless given.
    ///
    /// # Errors
    /// Where a probability is not in `[0, 1]`, or there are not as many ids.
    pub fn extend(
        &mut self,
        pi: &[f64],
        ids: Option<&[i64]>,
        stream: Stream,
        step: u32,
    ) -> Result<()> {
        check_probabilities(pi)?;
        if let Some(ids) = ids
            && ids.len() != pi.len()
        {
            let (expected, got) = (format!("({},)", pi.len()), format!("({},)", ids.len()));
            return Err(Error::Shape { name: "ids", expected, got });
        }
        let mut gaps = Gaps::NONE;
        for (stretch, pi) in pi.chunks(STRETCH).enumerate() {
            let first = self.next;
            gaps.fill(first, pi.len(), stream, step);
            for (i, &pi) in pi.iter().enumerate() {
                let gap = first + i as u64;
                let id = ids.map_or(gap.cast_signed(), |ids| ids[stretch * STRETCH + i]);
                self.total.add(pi);
                self.fraction = meet(self.fraction, id, pi, gaps.at(gap), |unit| {
                    self.chosen.push(unit.id);
                    self.chosen_pi.push(unit.own);
                });
            }
            self.next += pi.len() as u64;
        }
        Ok(())
    }

    /// The union with another part.
    ///
    /// # Errors
    /// Where the positions of the two overlap.
    pub fn merge(self, other: Self, stream: Stream, step: u32) -> Result<Self> {
        let (mut left, right) =
            if self.first <= other.first { (self, other) } else { (other, self) };
        if left.next > right.first && right.next > right.first {
            let reason = format!(
                "positions [{}, {}) and [{}, {}) overlap",
                left.first, left.next, right.first, right.next
            );
            return Err(Error::argument("other", reason));
        }
        left.chosen.extend(right.chosen);
        left.chosen_pi.extend(right.chosen_pi);
        if right.fraction.pi > 0.0 {
            let u = uniform_at(right.first, stream, step);
            left.fraction = duel(left.fraction, right.fraction, u, |unit| {
                left.chosen.push(unit.id);
                left.chosen_pi.push(unit.own);
            });
        }
        left.total = left.total.plus(right.total);
        left.next = left.next.max(right.next);
        Ok(left)
    }

    /// Decides about the last fraction; returns the chosen units and their probabilities, the units
    /// in ascending order.
    ///
    /// If the probabilities sum to an integer but for rounding, so many units are chosen.
    pub fn finish(self, stream: Stream, step: u32) -> (Vec<i64>, Vec<f64>) {
        let mut chosen: Vec<(i64, f64)> = self.chosen.into_iter().zip(self.chosen_pi).collect();
        let uniform = || uniform_at(self.first, stream, step);
        if stays(self.fraction, chosen.len(), self.total.value(), uniform) {
            chosen.push((self.fraction.id, self.fraction.own));
        }
        chosen.sort_unstable_by_key(|&(id, _)| id);
        chosen.into_iter().unzip()
    }
}

/// Whether a last fraction is chosen.
pub(super) fn stays(
    last: Fraction,
    chosen: usize,
    total: f64,
    uniform: impl FnOnce() -> f64,
) -> bool {
    let stays = match as_integer(total) {
        Some(size) => (chosen as f64) < size,
        None => uniform() < last.pi,
    };
    stays && last.pi > 0.0
}

/// A new unit meets the fraction that is left; units without a fraction do not duel.
#[inline]
fn meet(left: Fraction, id: i64, pi: f64, u: f64, mut choose: impl FnMut(Fraction)) -> Fraction {
    if pi == 0.0 {
        left
    } else if pi == 1.0 {
        choose(Fraction::new(id, pi));
        left
    } else {
        duel(left, Fraction::new(id, pi), u, choose)
    }
}

/// A sample by duels in sequence: each unit meets the fraction left by those before it.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, or `order` is not an order of the units.
pub fn sequential(
    pi: &[f64],
    order: Option<&[i64]>,
    stream: Stream,
    step: u32,
) -> Result<Vec<i64>> {
    let mut state = Pivotal::new(0);
    match order {
        None => state.extend(pi, None, stream, step)?,
        Some(order) => {
            check_probabilities(pi)?;
            check_order(order, pi.len())?;
            let along: Vec<f64> = order.iter().map(|&i| pi[i as usize]).collect();
            state.extend(&along, Some(order), stream, step)?;
        }
    }
    Ok(state.finish(stream, step).0)
}

/// A sample by duels over the balanced binary tree: a stretch of units is split in the middle, the
/// smaller half first, and the fractions of both halves meet.
///
/// # Errors
/// Where a probability is not in `[0, 1]`.
pub fn balanced(pi: &[f64], stream: Stream, step: u32, threads: Threads<'_>) -> Result<Vec<i64>> {
    check_probabilities(pi)?;
    let mut ranges = Vec::new();
    split(0, pi.len(), &mut ranges);
    let mut parts = vec![(Fraction::default(), Vec::new()); ranges.len()];
    threads.fill_chunks(&mut parts, 1, |task, part| {
        let (low, high) = ranges[task];
        let mut tree = Tree { pi, stream, step, gaps: Gaps::NONE, chosen: Vec::new() };
        part[0] = (tree.settle(low, high), tree.chosen);
    });
    let mut chosen = Vec::with_capacity(parts.iter().map(|(_, part)| part.len()).sum());
    let mut fractions = Vec::with_capacity(parts.len());
    for (fraction, part) in parts {
        fractions.push(fraction);
        chosen.extend(part);
    }
    let mut fractions = fractions.into_iter();
    let last = join(0, pi.len(), &mut fractions, stream, step, &mut chosen);
    let mut total = Running::default();
    pi.iter().for_each(|&p| total.add(p));
    if stays(last, chosen.len(), total.value(), || uniform_at(0, stream, step)) {
        chosen.push(last.id);
    }
    chosen.sort_unstable();
    Ok(chosen)
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
    step: u32,
    chosen: &mut Vec<i64>,
) -> Fraction {
    if high - low <= TASK {
        return fractions.next().unwrap_or_default();
    }
    let middle = low.midpoint(high);
    let left = join(low, middle, fractions, stream, step, chosen);
    let right = join(middle, high, fractions, stream, step, chosen);
    if right.pi == 0.0 {
        return left;
    }
    duel(left, right, uniform_at(middle as u64, stream, step), |unit| chosen.push(unit.id))
}

struct Tree<'a> {
    pi: &'a [f64],
    stream: Stream,
    step: u32,
    gaps: Gaps,
    chosen: Vec<i64>,
}

impl Tree<'_> {
    /// The fraction that is left of the units `low..high`.
    fn settle(&mut self, low: usize, high: usize) -> Fraction {
        if high - low <= STRETCH {
            if low == high {
                return Fraction::default();
            }
            self.gaps.fill(low as u64, high - low, self.stream, self.step);
            return self.settle_stretch(low, high);
        }
        let middle = low.midpoint(high);
        let left = self.settle(low, middle);
        let right = self.settle(middle, high);
        if right.pi == 0.0 {
            return left;
        }
        let u = uniform_at(middle as u64, self.stream, self.step);
        duel(left, right, u, |unit| self.chosen.push(unit.id))
    }

    fn settle_stretch(&mut self, low: usize, high: usize) -> Fraction {
        if high - low == 1 {
            return meet(Fraction::default(), low as i64, self.pi[low], 0.0, |unit| {
                self.chosen.push(unit.id);
            });
        }
        let middle = low.midpoint(high);
        let left = self.settle_stretch(low, middle);
        let right = self.settle_stretch(middle, high);
        if right.pi == 0.0 {
            return left;
        }
        let u = self.gaps.at(middle as u64);
        duel(left, right, u, |unit| self.chosen.push(unit.id))
    }
}

/// A sample by duels over any binary tree: row `r` of `merges` joins two nodes into node `n + r`,
/// where the nodes `0..n` are the units. The duel of row `r` is that of gap `r + 1`.
///
/// # Errors
/// Where a probability is not in `[0, 1]`, or the rows are not those of a binary tree.
pub fn over_tree(pi: &[f64], merges: &[[i64; 2]], stream: Stream, step: u32) -> Result<Vec<i64>> {
    check_probabilities(pi)?;
    let n = pi.len();
    if merges.len() + 1 != n.max(1) {
        let (expected, got) = (n.saturating_sub(1), merges.len());
        let (expected, got) = (format!("({expected}, 2)"), format!("({got}, 2)"));
        return Err(Error::Shape { name: "order", expected, got });
    }
    let mut chosen = Vec::new();
    // What is left of each node; none once it has been joined to another.
    let mut nodes: Vec<Option<Fraction>> = Vec::with_capacity(2 * n);
    let mut total = Running::default();
    for (id, &pi) in pi.iter().enumerate() {
        total.add(pi);
        let unit = meet(Fraction::default(), id as i64, pi, 0.0, |unit| chosen.push(unit.id));
        nodes.push(Some(unit));
    }
    for (row, pair) in merges.iter().enumerate() {
        let mut take = |node: i64| {
            let slot = usize::try_from(node).ok().and_then(|node| nodes.get_mut(node));
            slot.and_then(Option::take).ok_or_else(|| {
                let reason =
                    format!("row {row} joins node {node}, which is not there to be joined");
                Error::argument("order", reason)
            })
        };
        let (left, right) = (take(pair[0])?, take(pair[1])?);
        nodes.push(Some(if right.pi == 0.0 {
            left
        } else {
            let u = uniform_at(row as u64 + 1, stream, step);
            duel(left, right, u, |unit| chosen.push(unit.id))
        }));
    }
    let last = nodes.pop().flatten().unwrap_or_default();
    if stays(last, chosen.len(), total.value(), || uniform_at(0, stream, step)) {
        chosen.push(last.id);
    }
    chosen.sort_unstable();
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Merges of the tree that `sequential` and `balanced` run over.
    fn comb(n: i64) -> Vec<[i64; 2]> {
        (1..n).map(|i| [if i == 1 { 0 } else { n + i - 2 }, i]).collect()
    }

    #[test]
    fn a_comb_of_merges_is_the_sequence() {
        let pi: Vec<f64> = (0..700).map(|i| f64::from(i * 37 % 101) / 100.0).collect();
        for seed in 0..20 {
            let stream = Stream::new(seed);
            assert_eq!(
                over_tree(&pi, &comb(700), stream, 3).unwrap(),
                sequential(&pi, None, stream, 3).unwrap()
            );
        }
    }

    #[test]
    fn extending_in_parts_is_extending_at_once() {
        let pi: Vec<f64> = (0..1000).map(|i| f64::from(i * 37 % 101) / 100.0).collect();
        let stream = Stream::new(1);
        let mut whole = Pivotal::new(5);
        whole.extend(&pi, None, stream, 0).unwrap();
        for cut in [0, 1, 255, 256, 257, 999, 1000] {
            let mut parts = Pivotal::new(5);
            parts.extend(&pi[..cut], None, stream, 0).unwrap();
            parts.extend(&pi[cut..], None, stream, 0).unwrap();
            assert_eq!(parts, whole);
        }
    }

    #[test]
    fn sizes_are_fixed_and_certainties_kept() {
        for n in [1usize, 2, 255, 256, 257, 40_000] {
            let mut pi: Vec<f64> = (0..n).map(|i| (i * 7 % 10) as f64 / 9.0).collect();
            let total: f64 = pi.iter().sum();
            pi.push(total.ceil() - total);
            for seed in 0..5 {
                let stream = Stream::new(seed);
                for chosen in [
                    sequential(&pi, None, stream, 0).unwrap(),
                    balanced(&pi, stream, 0, Threads::SERIAL).unwrap(),
                ] {
                    assert_eq!(chosen.len() as f64, total.ceil());
                    assert!(chosen.is_sorted_by(|a, b| a < b));
                    assert!(chosen.iter().all(|&i| pi[i as usize] > 0.0));
                    let certain = pi.iter().filter(|&&p| p == 1.0).count();
                    assert_eq!(chosen.iter().filter(|&&i| pi[i as usize] == 1.0).count(), certain);
                }
            }
        }
    }

    #[test]
    fn overlaps_and_broken_trees_are_refused() {
        let stream = Stream::new(0);
        let mut a = Pivotal::new(0);
        a.extend(&[0.5; 4], None, stream, 0).unwrap();
        let mut b = Pivotal::new(3);
        b.extend(&[0.5; 4], None, stream, 0).unwrap();
        assert!(a.merge(b, stream, 0).is_err());
        for merges in
            [vec![[0, 1], [3, 0]], vec![[0, 1], [2, 9]], vec![[0, 1]], vec![[0, 0], [1, 2]]]
        {
            assert!(over_tree(&[0.5; 3], &merges, stream, 0).is_err());
        }
    }
}
