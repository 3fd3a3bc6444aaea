//! The pivotal method: duels of two fractions, until at most one is left.
//!
//! Deville and Tille, "Unequal probability sampling without replacement through a splitting method",
//! Biometrika 85 (1998). A duel of the probabilities `a` and `b` settles at least one of the units
//! and keeps both expectations: below a sum of one it moves all of the sum to one of them, above it
//! chooses one and leaves the rest to the other. Any order of duels gives each unit its probability.
//!
//! Units stand in an order, and a duel is named by where it happens: the gap in front of the first
//! unit of the part that starts later. A binary tree over an order uses each gap once, so that the
//! names are the same for a scan, for a tree and for shards that meet later. The duel at gap `g` reads draw
//! `g % 2` of entity `g / 2` of [`Purpose::Duel`]; gap 0, in front of all units, decides about a
//! fraction that is left alone.

use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream, bulk};
use sortes_core::{Error, Result};

use sortes_core::num::{Sum, as_integer};
use sortes_core::resample::{Fraction, check_order, duel};

use super::check_probabilities;

/// Gaps whose draws are made at once.
const STRETCH: usize = 256;
/// Units of a subtree that one task settles.
const TASK: usize = 1 << 14;

/// The uniform number of a gap.
pub(super) fn uniform_at(gap: u64, stream: Stream, step: u32) -> f64 {
    let mut draws = stream.at_step(step).draws(Purpose::Duel, gap / 2);
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
        let ids = bulk::Ids::From(stream.at_step(step), first / 2);
        let blocks = &mut self.blocks[..((first % 2) as usize + len).div_ceil(2)];
        bulk::words(Purpose::Duel, ids, blocks);
    }

    #[inline]
    fn at(&self, gap: u64) -> f64 {
        let i = (gap - self.first) as usize;
        (self.blocks[i / 2][i % 2] >> 11) as f64 * (f64::EPSILON / 2.0)
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
/// assert_eq!(whole.finish(stream, 0).len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pivotal {
    /// The chosen units, in the order of their duels, and the probabilities that they came with.
    pub chosen: Vec<(i64, f64)>,
    /// The unit that is undecided, and the probability that it came with.
    pub open: (i64, f64),
    /// What is left of that probability.
    pub left: f64,
    /// The sum of the probabilities.
    pub total: Sum,
    /// The positions of the units: stretches `[from, to)` in order, apart and not empty.
    pub stretches: Vec<(u64, u64)>,
    /// The position of the next unit.
    pub next: u64,
}

impl Pivotal {
    /// A part that starts at position `first` and has no units yet.
    pub fn new(first: u64) -> Self {
        Self { next: first, ..Self::default() }
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
        let (first, open) = (self.next, self.open);
        // Places among the new units; the one that was open before has none.
        let unit = |place: i64| match usize::try_from(place) {
            Ok(i) => (ids.map_or((first + i as u64).cast_signed(), |ids| ids[i]), pi[i]),
            Err(_) => open,
        };
        let before = Fraction { id: -1, pi: self.left };
        let chosen = &mut self.chosen;
        let after = scan(before, pi, first, stream, step, |place| chosen.push(unit(place)));
        (self.open, self.left) = (unit(after.id), after.pi);
        for &p in pi {
            self.total.add(p);
        }
        self.next += pi.len() as u64;
        match self.stretches.last_mut() {
            Some((_, to)) if *to == first => *to = self.next,
            _ if pi.is_empty() => {}
            _ => self.stretches.push((first, self.next)),
        }
        Ok(())
    }

    /// The gap in front of all units.
    fn front(&self) -> u64 {
        self.stretches.first().map_or(self.next, |&(from, _)| from)
    }

    /// The union with another part. The parts may come together in any grouping and order: their
    /// duel is at the gap in front of the one that starts later, which no other merger uses.
    ///
    /// # Errors
    /// Where the positions of the two overlap.
    pub fn merge(self, other: Self, stream: Stream, step: u32) -> Result<Self> {
        let (mut left, right) =
            if self.front() <= other.front() { (self, other) } else { (other, self) };
        let gap = right.front();
        left.stretches.extend(right.stretches);
        left.stretches.sort_unstable();
        for pair in left.stretches.windows(2) {
            let [(a, b), (c, d)] = [pair[0], pair[1]];
            if b > c {
                let reason = format!("positions [{a}, {b}) and [{c}, {d}) overlap");
                return Err(Error::argument("other", reason));
            }
        }
        left.stretches.dedup_by(|later, earlier| {
            let touch = earlier.1 == later.0;
            if touch {
                earlier.1 = later.1;
            }
            touch
        });
        left.chosen.extend(right.chosen);
        if right.left > 0.0 {
            let open = [left.open, right.open];
            let [a, b] = [(0, left.left), (1, right.left)].map(|(id, pi)| Fraction { id, pi });
            let u = uniform_at(gap, stream, step);
            let after = duel(a, b, u, |side| left.chosen.push(open[side as usize]));
            (left.open, left.left) = (open[after.id as usize], after.pi);
        }
        left.total = left.total.plus(right.total);
        left.next = left.next.max(right.next);
        Ok(left)
    }

    /// Decides about the last fraction; returns the chosen units and their probabilities, the units
    /// in ascending order.
    ///
    /// If the probabilities sum to an integer but for rounding, so many units are chosen.
    pub fn finish(&self, stream: Stream, step: u32) -> Vec<(i64, f64)> {
        let mut chosen = self.chosen.clone();
        let uniform = || uniform_at(self.front(), stream, step);
        if stays(self.left, chosen.len(), self.total.value(), uniform) {
            chosen.push(self.open);
        }
        chosen.sort_unstable_by_key(|&(id, _)| id);
        chosen
    }
}

/// Whether a last fraction is chosen.
pub(super) fn stays(left: f64, chosen: usize, total: f64, uniform: impl FnOnce() -> f64) -> bool {
    let stays = match as_integer(total) {
        Some(size) => (chosen as f64) < size,
        None => uniform() < left,
    };
    stays && left > 0.0
}

/// A new unit meets the fraction that is left; units without a fraction do not duel.
#[inline(always)]
fn meet(left: Fraction, unit: Fraction, u: f64, mut choose: impl FnMut(i64)) -> Fraction {
    if unit.pi == 0.0 {
        left
    } else if unit.pi == 1.0 {
        choose(unit.id);
        left
    } else {
        duel(left, unit, u, choose)
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

/// Lets each unit, called by its place, meet the fraction left by those before it. The first unit
/// stands behind `gap`.
#[inline(always)]
fn scan(
    mut left: Fraction,
    pi: &[f64],
    gap: u64,
    stream: Stream,
    step: u32,
    mut choose: impl FnMut(i64),
) -> Fraction {
    let mut gaps = Gaps::NONE;
    for (stretch, pi) in pi.chunks(STRETCH).enumerate() {
        let place = stretch * STRETCH;
        let gap = gap + place as u64;
        gaps.fill(gap, pi.len(), stream, step);
        for (i, &pi) in pi.iter().enumerate() {
            let unit = Fraction { id: (place + i) as i64, pi };
            left = meet(left, unit, gaps.at(gap + i as u64), &mut choose);
        }
    }
    left
}

/// A set of units, a bit for each.
struct Marks(Vec<u64>);

impl Marks {
    fn new(n: usize) -> Self {
        Self(vec![0; n.div_ceil(64)])
    }

    #[inline(always)]
    fn mark(&mut self, unit: i64) {
        self.0[unit as usize / 64] |= 1 << (unit % 64);
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Decides about the last fraction, and lists the units in ascending order.
    fn finish(mut self, last: Fraction, pi: &[f64], stream: Stream, step: u32) -> Vec<i64> {
        let mut total = Sum::default();
        for &p in pi {
            total.add(p);
        }
        if stays(last.pi, self.count(), total.value(), || uniform_at(0, stream, step)) {
            self.mark(last.id);
        }
        let mut units = Vec::with_capacity(self.count());
        for (at, &word) in self.0.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                units.push((at * 64) as i64 + i64::from(word.trailing_zeros()));
                word &= word - 1;
            }
        }
        units
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
    check_probabilities(pi)?;
    let mut marks = Marks::new(pi.len());
    let none = Fraction::default();
    let last = match order {
        None => scan(none, pi, 0, stream, step, |unit| marks.mark(unit)),
        Some(order) => {
            check_order(order, pi.len(), sortes_core::Run::alone())?;
            let along: Vec<f64> = order.iter().map(|&i| pi[i as usize]).collect();
            let unit = |place: i64| order[place as usize];
            let last = scan(none, &along, 0, stream, step, |place| marks.mark(unit(place)));
            Fraction { id: order.get(last.id as usize).copied().unwrap_or_default(), ..last }
        }
    };
    Ok(marks.finish(last, pi, stream, step))
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
    let mut marks = Marks::new(pi.len());
    let mut fractions = Vec::with_capacity(parts.len());
    for (fraction, part) in parts {
        fractions.push(fraction);
        for unit in part {
            marks.mark(unit);
        }
    }
    let mut fractions = fractions.into_iter();
    let last = join(0, pi.len(), &mut fractions, stream, step, &mut marks);
    Ok(marks.finish(last, pi, stream, step))
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
    marks: &mut Marks,
) -> Fraction {
    if high - low <= TASK {
        return fractions.next().unwrap_or_default();
    }
    let middle = low.midpoint(high);
    let left = join(low, middle, fractions, stream, step, marks);
    let right = join(middle, high, fractions, stream, step, marks);
    if right.pi == 0.0 {
        return left;
    }
    duel(left, right, uniform_at(middle as u64, stream, step), |unit| marks.mark(unit))
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
        duel(left, right, u, |unit| self.chosen.push(unit))
    }

    /// The same for at most [`STRETCH`] units, whose gaps are filled.
    fn settle_stretch(&mut self, low: usize, high: usize) -> Fraction {
        if high - low == 1 {
            return alone(low as i64, self.pi[low], |unit| self.chosen.push(unit));
        }
        let middle = low.midpoint(high);
        let left = self.settle_stretch(low, middle);
        let right = self.settle_stretch(middle, high);
        if right.pi == 0.0 {
            return left;
        }
        let u = self.gaps.at(middle as u64);
        duel(left, right, u, |unit| self.chosen.push(unit))
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
    let mut marks = Marks::new(n);
    // What is left of each node; none once it has been joined to another.
    let mut nodes: Vec<Option<Fraction>> = Vec::with_capacity(2 * n);
    for (id, &pi) in pi.iter().enumerate() {
        let unit = alone(id as i64, pi, |unit| marks.mark(unit));
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
            duel(left, right, u, |unit| marks.mark(unit))
        }));
    }
    let last = nodes.pop().flatten().unwrap_or_default();
    Ok(marks.finish(last, pi, stream, step))
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
