//! Where the cumulative mass of ranked survivors crosses a target, without sorting them.
//!
//! The ranks are cut into bins; one pass adds up the mass of each bin, a walk over the bins finds
//! the one in which the target is crossed, and only its tokens are sorted. For a long row a small
//! sample first tells how far down the bins need to reach, so that the pass stores nothing for the
//! tail. The sample decides speed alone: if it misjudged, the pass is run again over everything.

use super::params::Ties;
use super::row::SPLIT;
use super::survivors::{CHUNK, SumsOf, Survivors};
use super::window::ANY;
use sortes_core::num::{ceil_f32, floor_f32};
use sortes_core::par::Threads;
use sortes_core::simd::{self, BLOCK, ExpSums, Key, Wanted};

/// Bins of a pass. A thousand `f64` stay in the first-level cache.
const BINS: usize = 1024;
/// Chunks of a row that share bins, where a row is split over threads.
const GROUP: usize = 64;
/// Lists up to this length are sorted outright.
const SORT: usize = 256;
/// A sample takes one vector out of this many logits.
const SAMPLE_STRIDE: usize = 512;
const SAMPLE_RUN: usize = 16;
/// Bins are gathered with this slack, in bins, at either side: in `f32` a rank may round across an
/// edge, and the exact order is restored among the gathered.
const SLACK: f32 = 1.0 / 64.0;

/// The order in which tokens are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank {
    /// From the largest logit down.
    Logit,
    /// By the distance of the logit from a centre.
    Distance(f64),
}

impl Rank {
    /// The exact rank: smaller comes first.
    fn of(self, logit: f32) -> f64 {
        match self {
            Rank::Logit => -f64::from(logit),
            Rank::Distance(centre) => (centre - f64::from(logit)).abs(),
        }
    }
}

/// How much mass is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// This share of the survivors' mass.
    Share(f64),
    /// This many survivors.
    Count(usize),
}

/// The first group of equally ranked tokens with which the cumulative mass reaches the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// Their rank.
    pub rank: f64,
    /// Their logit (for [`Rank::Logit`]).
    pub logit: f32,
    /// The mass of all tokens ranked before them.
    pub before: f64,
    /// How many they are.
    pub ties: usize,
    /// The weight of each of them (for [`Rank::Logit`]).
    pub weight: f64,
    /// The target, in the same unit as `before`.
    pub target: f64,
}

/// Which group counts as crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The first with which the mass is `>=` the target.
    AtLeast,
    /// The first with which the mass is `>` the target.
    Beyond,
}

impl Reach {
    fn is_reached(self, mass: f64, target: f64) -> bool {
        match self {
            Reach::AtLeast => mass >= target,
            Reach::Beyond => mass > target,
        }
    }
}

/// Where one pass looks and how it weighs.
#[derive(Clone, Copy)]
struct Pass {
    max: f32,
    scale: f32,
    ends: (f32, f32),
    rank: Rank,
}

impl Pass {
    fn key(&self, bins_per_unit: f32) -> Key {
        match self.rank {
            Rank::Logit => Key { centre: self.max, two_sided: false, scale: bins_per_unit },
            Rank::Distance(c) => Key { centre: c as f32, two_sided: true, scale: bins_per_unit },
        }
    }
}

impl Survivors<'_> {
    /// Finds where the mass of the survivors, taken in the order of `rank`, reaches `goal`.
    pub(super) fn crossing(&mut self, rank: Rank, goal: Goal, reach: Reach) -> Crossing {
        let max = self.max();
        self.list();
        // A temperature that weighs all tokens alike turns mass into counts.
        let scale = if matches!(goal, Goal::Share(_)) { self.scale() } else { 0.0 };
        let pass = Pass { max, scale, ends: (self.window.lo, self.window.hi), rank };
        let short = self.listed && self.work.values.len() <= SORT;
        if short {
            let work = &mut *self.work;
            work.bin.clear();
            work.bin.extend_from_slice(&work.values);
            let total = self.weigh_bin(pass);
            return self.cross_bin(pass, 0.0, total_target(goal, total), reach);
        }
        let known = if self.listed { None } else { self.horizon(pass, goal) };
        if let Some(bins_per_unit) = known
            && let Some(found) = self.cross_bins(pass, bins_per_unit, goal, reach, false)
        {
            return found;
        }
        let bins_per_unit = self.reach_of_all(pass);
        self.cross_bins(pass, bins_per_unit, goal, reach, true)
            .unwrap_or_else(|| unreachable!("a full pass always ends"))
    }

    /// The `k`-th largest logit by a crossing of counts.
    pub(super) fn kth_by_crossing(&mut self, k: usize) -> f32 {
        self.crossing(Rank::Logit, Goal::Count(k), Reach::AtLeast).logit
    }

    fn source(&self) -> &[f32] {
        if self.listed { &self.work.values } else { self.row.x }
    }

    /// Bins per unit of rank with which every survivor falls into a bin.
    fn reach_of_all(&self, pass: Pass) -> f32 {
        let key = pass.key(1.0);
        let furthest = self
            .source()
            .iter()
            .filter(|l| pass.ends.0 <= **l && **l <= pass.ends.1)
            .fold(0.0_f32, |far, l| far.max(key.of(*l)));
        spread(furthest)
    }

    /// Estimates from a sample how far the goal lies, as bins per unit of rank; `None` if everything
    /// must be binned.
    fn horizon(&mut self, pass: Pass, goal: Goal) -> Option<f32> {
        let x = self.row.x;
        let work = &mut *self.work;
        work.sample.clear();
        for stretch in x.chunks_exact(SAMPLE_STRIDE) {
            work.sample.extend_from_slice(&stretch[..SAMPLE_RUN]);
        }
        let key = pass.key(1.0);
        let furthest = work
            .sample
            .iter()
            .filter(|l| pass.ends.0 <= **l && **l <= pass.ends.1)
            .fold(0.0_f32, |far, l| far.max(key.of(*l)));
        let bins_per_unit = spread(furthest);
        let key = pass.key(bins_per_unit);
        work.bins.clear();
        work.bins.resize(BINS, 0.0);
        // The sample stands for all; block maxima are exact, and carry what a peaked row has.
        let mut mass = simd::key_histogram(
            &work.sample,
            pass.max,
            pass.scale,
            pass.ends,
            &key,
            &mut work.bins,
        );
        let each = (SAMPLE_STRIDE / SAMPLE_RUN) as f64;
        mass *= each;
        for bin in &mut work.bins {
            *bin *= each;
        }
        mass += simd::key_histogram(
            self.row.blocks,
            pass.max,
            pass.scale,
            pass.ends,
            &key,
            &mut work.bins,
        );
        let target = total_target(goal, mass);
        let enough = target + 0.5 * (mass - target).min(target);
        let mut sum = 0.0;
        let bin = work.bins.iter().position(|b| {
            sum += b;
            sum >= enough
        })?;
        Some(bins_per_unit * BINS as f32 / (bin + 1) as f32)
    }

    /// One pass over the bins. `None` if the goal lies beyond them and `all` is false.
    fn cross_bins(
        &mut self,
        pass: Pass,
        bins_per_unit: f32,
        goal: Goal,
        reach: Reach,
        all: bool,
    ) -> Option<Crossing> {
        let key = pass.key(bins_per_unit);
        let mut bins = std::mem::take(&mut self.work.bins);
        bins.clear();
        bins.resize(BINS, 0.0);
        let total = self.fill_bins(pass, &key, goal, &mut bins);
        let target = total_target(goal, total);
        let (mut before, mut last) = (0.0, None);
        let mut crossed = None;
        for (bin, &mass) in bins.iter().enumerate() {
            if mass > 0.0 {
                last = Some((bin, before));
                if reach.is_reached(before + mass, target) {
                    crossed = last;
                    break;
                }
            }
            before += mass;
        }
        self.work.bins = bins;
        // Rounding may leave the target just above the mass of everything: take the last bin.
        let (bin, before) = if all { crossed.or(last).unwrap_or((0, 0.0)) } else { crossed? };

        let mut gathered = std::mem::take(&mut self.work.bin);
        gathered.clear();
        let range = (bin as f32 - SLACK, (bin + 1) as f32 + SLACK);
        self.gather_keys(pass, &key, range, &mut gathered);
        self.work.bin = gathered;
        self.weigh_bin(pass);
        // What the slack took from the bin before was counted in `before` already.
        let counted: f64 = self
            .work
            .bin
            .iter()
            .zip(&self.work.weights)
            .filter(|(l, _)| key.of(**l) < bin as f32)
            .map(|(_, w)| f64::from(*w))
            .sum();
        Some(self.cross_bin(pass, before - counted, target, reach))
    }

    /// Gathers the tokens whose key lies in `range`; a scan skips the blocks that are all too small.
    fn gather_keys(&self, pass: Pass, key: &Key, range: (f32, f32), out: &mut Vec<f32>) {
        if self.listed {
            simd::gather_keys(&self.work.values, pass.ends, key, range, out);
            return;
        }
        let x = self.row.x;
        let reach = range.1 / key.scale;
        let least = key.centre - reach - 1e-5 * (reach + key.centre.abs());
        for (blocks, stretch) in self.row.blocks.chunks(4).zip(x.chunks(4 * BLOCK)) {
            if blocks.iter().any(|max| *max >= least) {
                simd::gather_keys(stretch, pass.ends, key, range, out);
            }
        }
    }

    /// Fills the bins and returns the total mass. A scan leaves its chunk sums to the draw.
    fn fill_bins(&mut self, pass: Pass, key: &Key, goal: Goal, bins: &mut [f64]) -> f64 {
        let Pass { max, scale, ends, .. } = pass;
        if self.listed {
            return simd::key_histogram(&self.work.values, max, scale, ends, key, bins);
        }
        // Groups of fixed size have bins of their own, added up in order: the sums do not depend on
        // how many threads there are.
        let x = self.row.x;
        let groups = x.len().div_ceil(GROUP * CHUNK);
        let mut parts = std::mem::take(&mut self.work.parts);
        parts.clear();
        parts.resize(groups * (BINS + GROUP), 0.0);
        let fill = |group: usize, part: &mut [f64]| {
            let first = group * GROUP * CHUNK;
            let stretch = &x[first..x.len().min(first + GROUP * CHUNK)];
            let (bins, sums) = part.split_at_mut(BINS);
            for (chunk, sum) in stretch.chunks(CHUNK).zip(sums) {
                *sum = simd::key_histogram(chunk, max, scale, ends, key, bins);
            }
        };
        let threads = if x.len() >= SPLIT { self.threads } else { Threads::SERIAL };
        threads.fill_chunks(&mut parts, BINS + GROUP, fill);
        let chunks = &mut self.work.chunks;
        chunks.clear();
        for part in parts.chunks(BINS + GROUP) {
            let (part_bins, sums) = part.split_at(BINS);
            for (bin, mass) in bins.iter_mut().zip(part_bins) {
                *bin += mass;
            }
            chunks.extend(sums.iter().map(|z| ExpSums { z: *z, ..ExpSums::default() }));
        }
        chunks.truncate(x.len().div_ceil(CHUNK));
        let total = chunks.iter().map(|c| c.z).sum();
        self.work.parts = parts;
        self.sums = matches!(goal, Goal::Share(_)).then_some(SumsOf {
            window: self.window,
            temperature: self.temperature,
            max,
        });
        total
    }

    /// Weighs the gathered tokens.
    fn weigh_bin(&mut self, pass: Pass) -> f64 {
        let work = &mut *self.work;
        work.weights.resize(work.bin.len(), 0.0);
        simd::exp_into(&work.bin, pass.max, pass.scale, &mut work.weights);
        work.weights.iter().map(|w| f64::from(*w)).sum()
    }

    /// Sorts the gathered tokens by exact rank, and walks them.
    fn cross_bin(&mut self, pass: Pass, mut before: f64, target: f64, reach: Reach) -> Crossing {
        let work = &mut *self.work;
        work.ranked.clear();
        work.ranked
            .extend(work.bin.iter().zip(&work.weights).map(|(l, w)| (pass.rank.of(*l), *l, *w)));
        work.ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut found = None;
        for group in work.ranked.chunk_by(|a, b| a.0 == b.0) {
            let mass: f64 = group.iter().map(|(.., w)| f64::from(*w)).sum();
            let (rank, logit, weight) = group[0];
            let ties = group.len();
            let weight = f64::from(weight);
            found = Some(Crossing { rank, logit, before, ties, weight, target });
            if reach.is_reached(before + mass, target) {
                break;
            }
            before += mass;
        }
        found.unwrap_or_else(|| unreachable!("a bin with mass holds a token"))
    }

    /// Keeps the tokens before a crossing in logit order, and `take` of those at it.
    pub(super) fn keep_prefix(&mut self, crossing: &Crossing, take: usize, ties: Ties) {
        let t = crossing.logit;
        if take == 0 {
            self.raise(t.next_up(), ANY);
        } else if ties == Ties::All || take >= crossing.ties {
            self.raise(t, ANY);
        } else {
            let ids = self.tied_ids(t, take, ties);
            self.raise(t, ids);
        }
    }

    /// The range of ids that holds `take` of the tokens at `logit`: the highest or the lowest ones.
    pub(super) fn tied_ids(&self, logit: f32, take: usize, ties: Ties) -> (u32, u32) {
        let window = self.window;
        let nth = |ids: &mut dyn Iterator<Item = u32>| ids.nth(take - 1);
        let bound = if self.listed {
            let (values, ids) = (&self.work.values, &self.work.ids);
            let mut tied = values.iter().zip(ids).filter(|(l, _)| **l == logit).map(|(_, id)| *id);
            if ties == Ties::Low { nth(&mut tied) } else { nth(&mut tied.rev()) }
        } else {
            let mut tied = (0..self.row.x.len() as u32).filter(|&id| {
                let l = self.row.x[id as usize];
                l == logit && window.contains(l, id)
            });
            if ties == Ties::Low { nth(&mut tied) } else { nth(&mut tied.rev()) }
        };
        match (bound, ties) {
            (Some(id), Ties::Low) => (0, id),
            (Some(id), _) => (id, u32::MAX),
            (None, _) => ANY,
        }
    }

    /// Keeps the tokens within a distance of a centre.
    pub(super) fn keep_within(&mut self, centre: f64, distance: f64) {
        // The f32 ends that decide as `|centre - l| <= distance` does in f64.
        let inside = |l: f32| (centre - f64::from(l)).abs() <= distance;
        let mut lo = ceil_f32(centre - distance);
        if !inside(lo) && inside(lo.next_up()) {
            lo = lo.next_up();
        } else if inside(lo.next_down()) {
            lo = lo.next_down();
        }
        let mut hi = floor_f32(centre + distance);
        if !inside(hi) && inside(hi.next_down()) {
            hi = hi.next_down();
        } else if inside(hi.next_up()) {
            hi = hi.next_up();
        }
        self.raise(lo, ANY);
        self.lower(hi, ANY);
    }

    /// The law with nothing but its normaliser.
    pub(super) fn plain_law(&mut self) -> super::survivors::Law {
        self.law(Wanted::default())
    }
}

/// Bins per unit with which the furthest rank falls into the last bin.
fn spread(furthest: f32) -> f32 {
    let bins_per_unit = (BINS as f32 - 0.5) / furthest;
    if bins_per_unit.is_finite() && bins_per_unit > 0.0 { bins_per_unit } else { 1.0 }
}

fn total_target(goal: Goal, total: f64) -> f64 {
    match goal {
        Goal::Share(share) => share * total,
        Goal::Count(count) => count as f64,
    }
}
