//! Where the cumulative mass of ranked survivors crosses a target, without sorting them.
//!
//! The ranks are cut into bins; one pass adds up the mass of each bin, a walk over the bins finds
//! the one in which the target is crossed, and only its tokens are sorted. For a long row a small
//! sample first tells between which ranks the crossing lies: one pass adds up what comes before
//! them and picks out the tokens in between, which are few, and only those are binned. The sample
//! decides speed alone: if it misjudged, there is another pass, at last one over everything.

use super::exact::{Precision, TIE};
use super::rows::SPLIT;
use super::survivors::{Survivors, Work};
use sortes_core::num::Sum;
use sortes_core::simd::{self, BLOCK, Key, Split};

/// Bins of a pass. A thousand `f64` stay in the first-level cache.
pub(super) const BINS: usize = 1024;
/// Logits of a row that share bins, where a row is split over threads.
pub(super) const GROUP: usize = 1 << 16;
/// Lists up to this length are sorted outright.
const SORT: usize = 256;
/// Lists up to this length are cut into fewer bins, which are faster to walk.
const FEW: usize = 4096;
/// A sample takes this many logits out of each block.
const SAMPLE_RUN: usize = 8;
/// How wide the bracket around the estimated crossing is, at each attempt: this part of the mass
/// behind the target, or this part of the mass before it, whichever is less. The mass behind it is
/// spread over many light tokens, so that a sample estimates it closely.
const MARGINS: [(f64, f64); 2] = [(0.06, 0.2), (0.6, 0.6)];
/// Bins are gathered with this slack, in bins, at either side: in `f32` a rank may round across an
/// edge, and the exact order is restored among the gathered.
const SLACK: f32 = 1.0 / 64.0;

/// The order in which tokens are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rank {
    /// From the largest logit down.
    Logit,
    /// By the distance of the logit from a centre.
    Distance(f64),
}

impl Rank {
    /// The exact rank: smaller comes first.
    pub(super) fn of(self, logit: f32) -> f64 {
        match self {
            Rank::Logit => -f64::from(logit),
            Rank::Distance(centre) => (centre - f64::from(logit)).abs(),
        }
    }
}

/// How much mass is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Goal {
    /// This share of the survivors' mass.
    Share(f64),
    /// This many survivors.
    Count(usize),
}

impl Goal {
    /// Whether it is a mass.
    pub(super) fn is_of_mass(self) -> bool {
        matches!(self, Self::Share(_))
    }
}

/// The first group of equally ranked tokens with which the cumulative mass reaches the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    /// Their rank.
    pub(super) rank: f64,
    /// The logit of one of them.
    pub(super) logit: f32,
    /// The mass of all tokens ranked before them.
    pub(super) before: f64,
    /// How many they are.
    pub(super) ties: usize,
    /// The weight of that one.
    pub(super) weight: f64,
    /// The target, in the same unit as `before`.
    pub(super) target: f64,
    /// Whether the target is reached with them; if not, they are the last.
    pub(super) is_reached: bool,
}

/// Which group counts as crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The first with which the mass is `>=` the target.
    AtLeast,
    /// The first with which the mass is `>` the target.
    Beyond,
}

impl Reach {
    /// The target, moved so that what is equal to it but for the rounding of `f64` is treated as
    /// equal.
    fn with_ties(self, target: f64) -> f64 {
        match self {
            Reach::AtLeast => target * (1.0 - TIE),
            Reach::Beyond => target * (1.0 + TIE),
        }
    }

    pub(super) fn is_reached(self, mass: f64, target: f64) -> bool {
        match self {
            Reach::AtLeast => mass >= target,
            Reach::Beyond => mass > target,
        }
    }
}

/// Where one pass looks and how it weighs.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    pub(super) max: f32,
    pub(super) scale: f32,
    pub(super) ends: (f32, f32),
    pub(super) rank: Rank,
}

impl Pass {
    pub(super) fn key(&self, bins_per_unit: f32) -> Key {
        match self.rank {
            Rank::Logit => Key { centre: self.max, two_sided: false, scale: bins_per_unit },
            Rank::Distance(c) => Key { centre: c as f32, two_sided: true, scale: bins_per_unit },
        }
    }
}

impl Pass {
    /// The largest distance from rank zero among the tokens inside the window.
    pub(super) fn furthest(&self, x: &[f32]) -> f32 {
        let key = self.key(1.0);
        let distance = |l: f32| {
            let inside = self.ends.0 <= l && l <= self.ends.1;
            if inside { key.of(l) } else { 0.0 }
        };
        // Sixteen maxima side by side, which the compiler turns into vector instructions.
        let (whole, rest) = x.as_chunks::<16>();
        let mut far = [0.0_f32; 16];
        for chunk in whole {
            for (far, l) in far.iter_mut().zip(chunk) {
                let d = distance(*l);
                *far = if d > *far { d } else { *far };
            }
        }
        let last = rest.iter().map(|l| distance(*l)).fold(0.0, f32::max);
        far.into_iter().fold(last, f32::max)
    }
}

impl Survivors<'_> {
    /// Finds where the mass of the survivors, taken in the order of `rank`, reaches `goal`.
    pub(super) fn crossing(&mut self, rank: Rank, goal: Goal, reach: Reach) -> Crossing {
        // A temperature that weighs all tokens alike turns mass into counts.
        let (scale, target) = match goal {
            Goal::Share(share) => (self.scale(), reach.with_ties(share * self.plain_law().z)),
            Goal::Count(count) => (0.0, count as f64),
        };
        let found = self.find_crossing(rank, goal, (scale, target), reach);
        if self.precision == Precision::Double && goal.is_of_mass() {
            return self.cross_exactly(rank, target, reach, found.rank);
        }
        self.doubt_crossing(rank, goal, &found);
        found
    }

    /// The crossing with weights of `f32`.
    fn find_crossing(
        &mut self,
        rank: Rank,
        goal: Goal,
        (scale, target): (f32, f64),
        reach: Reach,
    ) -> Crossing {
        let max = self.max();
        self.list();
        let pass = Pass { max, scale, ends: (self.window.lo, self.window.hi), rank };
        if self.listed {
            return self.cross_all(pass, target, reach);
        }
        let (bins_per_unit, sampled) = self.sample(pass);
        let total = match goal {
            Goal::Share(_) => self.plain_law().z,
            Goal::Count(_) => sampled,
        };
        for margins in MARGINS {
            let range = self.bracket(target, total, sampled, margins);
            if let Some(found) = self.cross_bracket(pass, bins_per_unit, range, target, reach) {
                return found;
            }
        }
        self.cross_all(pass, target, reach)
    }

    /// Looks at all survivors.
    fn cross_all(&mut self, pass: Pass, target: f64, reach: Reach) -> Crossing {
        let mut values = std::mem::take(&mut self.work.bracket);
        values.clear();
        if self.listed {
            values.extend_from_slice(&self.work.values);
        } else {
            let everything = (0.0, f32::INFINITY);
            simd::gather_keys(self.row.x, pass.ends, &pass.key(1.0), everything, &mut values);
        }
        self.work.bracket = values;
        self.cross_values(pass, 0.0, target, reach)
    }

    /// Bins the ranks of a sample, for `bracket`: returns bins per unit of rank, and the mass that
    /// the sample stands for.
    fn sample(&mut self, pass: Pass) -> (f32, f64) {
        let x = self.row.x;
        let work = &mut *self.work;
        work.sample.clear();
        for (i, stretch) in x.chunks_exact(BLOCK).enumerate() {
            let best = self.row.blocks[i];
            let others = |l: &f32| if *l == best { f32::NEG_INFINITY } else { *l };
            work.sample.extend(stretch[..SAMPLE_RUN].iter().map(others));
        }
        let bins_per_unit = spread(pass.furthest(&work.sample), BINS);
        let key = pass.key(bins_per_unit);
        work.sampled.clear();
        work.sampled.resize(BINS, 0.0);
        // Two strata: the block maxima, all of them, which carry what a peaked row has; and the
        // rest, for which the sample stands.
        let Pass { max, scale, ends, .. } = pass;
        simd::key_histogram(&work.sample, max, scale, ends, &key, &mut work.sampled);
        for bin in &mut work.sampled {
            *bin *= (BLOCK / SAMPLE_RUN) as f64;
        }
        simd::key_histogram(self.row.blocks, max, scale, ends, &key, &mut work.sampled);
        (bins_per_unit, work.sampled.iter().sum())
    }

    /// The bins of the sample between which the crossing lies, by the estimate.
    fn bracket(&self, target: f64, total: f64, sampled: f64, margins: (f64, f64)) -> (f32, f32) {
        let (behind, before) = (margins.0 * (total - target).max(0.0), margins.1 * target);
        // The sum starts from the end whose mass is known more closely.
        let (slack, origin) =
            if behind < before { (behind, total - sampled) } else { (before, 0.0) };
        let mut sum = origin;
        let mut first = None;
        for (bin, mass) in self.work.sampled.iter().enumerate() {
            sum += mass;
            if first.is_none() && sum > target - slack {
                first = Some(bin as f32);
            }
            if sum >= target + slack {
                return (first.unwrap_or(0.0), (bin + 1) as f32);
            }
        }
        (first.unwrap_or(0.0), f32::INFINITY)
    }

    /// Picks out the survivors whose rank lies in a range of bins, and finds the crossing among
    /// them; `None` if it is elsewhere.
    fn cross_bracket(
        &mut self,
        pass: Pass,
        bins_per_unit: f32,
        range: (f32, f32),
        target: f64,
        reach: Reach,
    ) -> Option<Crossing> {
        let key = pass.key(bins_per_unit);
        let Pass { max, scale, ends, .. } = pass;
        let (x, blocks) = (self.row.x, self.row.blocks);
        // Blocks whose tokens are all too small are passed over.
        let reaches = range.1 / key.scale;
        let least = key.centre - reaches - 1e-5 * (reaches + key.centre.abs());
        let split = Split { window: ends, key, range, least };
        let split = |group: usize, values: &mut Vec<f32>| {
            let stretch = &x[group * GROUP..x.len().min((group + 1) * GROUP)];
            let blocks = &blocks[group * (GROUP / BLOCK)..];
            simd::split_keys(stretch, blocks, max, scale, &split, values)
        };
        let groups = x.len().div_ceil(GROUP);
        let mut values = std::mem::take(&mut self.work.bracket);
        values.clear();
        let mut ahead = 0.0;
        // Groups of fixed size, added up in order: the sum does not depend on the threads.
        if self.run.threads.count() > 1 && x.len() >= SPLIT {
            let mut parts = std::mem::take(&mut self.work.parts);
            self.run.threads.fill_chunks(&mut parts[..groups], 1, |group, part| {
                part[0].1.clear();
                part[0].0 = split(group, &mut part[0].1);
            });
            for (mass, part) in &parts[..groups] {
                ahead += mass;
                values.extend_from_slice(part);
            }
            self.work.parts = parts;
        } else {
            for group in 0..groups {
                ahead += split(group, &mut values);
            }
        }
        self.work.bracket = values;
        if self.work.bracket.is_empty() || (ahead > 0.0 && reach.is_reached(ahead, target)) {
            return None;
        }
        Some(self.cross_values(pass, ahead, target, reach)).filter(|crossing| crossing.is_reached)
    }

    /// Finds the crossing among the tokens of the bracket, of which `ahead` is the mass before
    /// them; if it lies beyond them, the last of them.
    fn cross_values(&mut self, pass: Pass, ahead: f64, target: f64, reach: Reach) -> Crossing {
        let work = &mut *self.work;
        let Pass { max, scale, ends, .. } = pass;
        work.bin.clear();
        if work.bracket.len() <= SORT {
            work.bin.extend_from_slice(&work.bracket);
            self.weigh_bin(pass);
            return self.cross_bin(pass, ahead, target, reach);
        }
        let bins = if work.bracket.len() <= FEW { BINS / 4 } else { BINS };
        let key = pass.key(spread(pass.furthest(&work.bracket), bins));
        work.bins.clear();
        work.bins.resize(bins, 0.0);
        simd::key_histogram(&work.bracket, max, scale, ends, &key, &mut work.bins);
        let (mut before, mut last) = (ahead, None);
        for (bin, &mass) in work.bins.iter().enumerate() {
            if mass > 0.0 {
                last = Some((bin, before));
                if reach.is_reached(before + mass, target) {
                    break;
                }
            }
            before += mass;
        }
        // Only tokens too unlikely to be weighed: none is told from the others.
        let (bin, before, range) = match last {
            Some((bin, before)) => (bin, before, (bin as f32 - SLACK, (bin + 1) as f32 + SLACK)),
            None => (0, ahead, (0.0, f32::INFINITY)),
        };
        simd::gather_keys(&work.bracket, ends, &key, range, &mut work.bin);
        self.weigh_bin(pass);
        // What the slack took from the bin before was counted in `before` already.
        let gathered = self.work.bin.iter().zip(&self.work.weights);
        let counted: f64 =
            gathered.filter(|(l, _)| key.of(**l) < bin as f32).map(|(_, w)| f64::from(*w)).sum();
        self.cross_bin(pass, before - counted, target, reach)
    }

    /// Weighs the gathered tokens.
    fn weigh_bin(&mut self, pass: Pass) {
        let work = &mut *self.work;
        work.weights.resize(work.bin.len(), 0.0);
        simd::exp_into(&work.bin, pass.max, pass.scale, &mut work.weights);
    }

    /// Finds the crossing among the gathered tokens.
    fn cross_bin(&mut self, pass: Pass, before: f64, target: f64, reach: Reach) -> Crossing {
        let Work { ranked, bin, weights, .. } = &mut *self.work;
        ranked.clear();
        let tokens = bin.iter().zip(&*weights);
        ranked.extend(tokens.map(|(l, w)| (pass.rank.of(*l), *l, f64::from(*w))));
        let found = cross_ranked(ranked, before, target, reach);
        found.unwrap_or_else(|| unreachable!("there is a survivor"))
    }
}

/// Sorts tokens, their logits and weights by exact rank, and walks them from the mass `before`
/// them to the group with which the mass reaches the target, or to the last one.
pub(super) fn cross_ranked(
    ranked: &mut [(f64, f32, f64)],
    before: f64,
    target: f64,
    reach: Reach,
) -> Option<Crossing> {
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut mass = Sum { high: before, low: 0.0 };
    let mut found = None;
    for group in ranked.chunk_by(|a, b| a.0 == b.0) {
        let (rank, logit, weight) = group[0];
        let before = mass.value();
        for (.., w) in group {
            mass.add(*w);
        }
        let is_reached = reach.is_reached(mass.value(), target);
        let ties = group.len();
        found = Some(Crossing { rank, logit, before, ties, weight, target, is_reached });
        if is_reached {
            break;
        }
    }
    found
}

/// Bins per unit with which the furthest rank falls into the last bin.
pub(super) fn spread(furthest: f32, bins: usize) -> f32 {
    let bins_per_unit = (bins as f32 - 0.5) / furthest;
    if bins_per_unit.is_finite() && bins_per_unit > 0.0 { bins_per_unit } else { 1.0 }
}
