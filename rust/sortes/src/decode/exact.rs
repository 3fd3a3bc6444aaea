//! Decisions that rounding could turn: they are made again in double precision.
//!
//! Rules weigh tokens in `f32`. A rule whose comparison comes out closer than the rounding of what
//! it compares is in doubt: it removes nothing, and acts once more with every exponential in `f64`.
//! What `f64` does not tell apart counts as equal, as in rows whose tokens are all alike.
//!
//! Weights of `f32` are off by up to `u (2 + k d)` of themselves, with `u = 2^-24` and the depth
//! `d = (max - l) / t`: the exponential, and the one or three roundings of what it is taken of. A
//! block adds up to fifteen roundings more. Sums are then off by `u (17 + k D)`, with the mean depth
//! `D = H - ln z <= ln n - ln z`, and the mean of `d^2`, which an entropy needs, is at most
//! `D^2 + ln^2 n / 4 + 1` (Reeb and Wolf, IEEE Trans. Inf. Theory 61, 2015).

use super::crossing::{Crossing, Goal, Rank, Reach, cross_ranked};
use super::survivors::Survivors;
use super::window::Window;
use sortes_core::num::{Sum, ceil_f32, floor_f32};
use sortes_core::rng::elementary::ln;
use sortes_core::simd::{self, BLOCK, ExpSums, Moments};

/// With what the survivors are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// Weights of `f32`.
    Single,
    /// The same, but they do not decide what the rule at work compares.
    Doubtful,
    /// Weights of `f64`.
    Double,
}

/// What is nearer than this part of itself counts as equal: a few roundings of `f64`.
pub(super) const TIE: f64 = 1.0 / (1_u64 << 50) as f64;
/// The same for what is itself a sum of rounded terms.
pub(super) const TIE_OF_SUMS: f64 = 16.0 * TIE;
const U: f64 = 1.0 / (1_u64 << 24) as f64;
/// Lists up to this length are always decided by the bounds.
const SHORT: usize = 1024;
/// Tokens of a longer row that are lighter than one in so many: roundings of many light tokens
/// cancel, so that doubt about one of them asks for less than the bound. It keeps doubt as rare as
/// it is where tokens are heavy.
const LIGHT: f64 = 16.0;
/// How far around a crossing the exact one is looked for, in units of the temperature.
const NEAR: [f64; 3] = [1.0 / 64.0, 1.0, f64::INFINITY];

/// How much rounding may have moved a law.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounding {
    /// Masses, as a part of the whole, and the logarithm of the normaliser.
    pub(super) sum: f64,
    /// The entropy, less the logarithm of the normaliser.
    pub(super) entropy: f64,
}

/// A cut between logits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Logits from here on are kept.
    pub(super) at: f64,
    /// How far rounding may have moved it.
    pub(super) error: f64,
}

impl Cut {
    /// A cut that comes from no sum.
    pub(super) fn exact(at: f64) -> Self {
        Self { at, error: 0.0 }
    }
}

impl Survivors<'_> {
    /// Lets a rule act, again in double precision if it was in doubt.
    pub(super) fn act(&mut self, rule: impl Fn(&mut Self)) {
        rule(self);
        if self.precision == Precision::Doubtful {
            self.weigh_in(Precision::Double);
            rule(self);
            self.weigh_in(Precision::Single);
        }
    }

    /// Sets the precision of the law from here on.
    pub(super) fn weigh_in(&mut self, precision: Precision) {
        self.precision = precision;
        self.law = None;
    }

    /// Whether the rule at work will act once more: until then nothing is removed.
    pub(super) fn is_doubtful(&self) -> bool {
        self.precision == Precision::Doubtful
    }

    /// How many tokens there are at most.
    fn len(&self) -> usize {
        if self.listed { self.work.values.len() } else { self.row.x.len() }
    }

    /// How much rounding may have moved the law.
    pub(super) fn rounding(&mut self) -> Rounding {
        let law = self.plain_law();
        let knows_entropy = self.law.is_some_and(|(_, had, _)| had.entropy);
        let (ln_n, ln_z) = (ln(self.len() as f64), ln(law.z));
        let entropy = if knows_entropy { law.entropy } else { ln_n };
        let depth = (entropy - ln_z).max(0.0);
        let k = if self.temperature == 1.0 { 1.0 } else { 3.0 };
        Rounding {
            sum: U * (17.0 + k * depth),
            entropy: U * (37.0 * depth + k * (2.0 * depth * depth + ln_n * ln_n / 4.0 + 1.0)),
        }
    }

    /// The part of a bound that matters to tokens of probability `p`.
    fn share_for(&self, p: f64) -> f64 {
        if self.len() <= SHORT { 1.0 } else { (LIGHT * p).min(1.0) }
    }

    /// Where a token of probability `exp(ln_p)` is cut from less likely ones, if rounding moved
    /// that logarithm or that of the normaliser by up to `error`.
    pub(super) fn cut_at(&mut self, ln_p: f64, error: f64) -> Cut {
        let (at, law, t) = (self.logit_of(ln_p), self.plain_law(), self.temperature);
        // Equals belong to what is kept.
        let ties = TIE * f64::from(law.max).abs() + TIE * t * (ln(law.z).abs() + ln_p.abs());
        Cut { at: if at.is_finite() { at - ties } else { at }, error: t * error }
    }

    /// Raises doubt where a cut may remove a survivor below `least` or not.
    pub(super) fn doubt_cut(&mut self, cut: Cut, least: f32) {
        if self.precision != Precision::Single || cut.error == 0.0 {
            return;
        }
        let share = match self.law {
            Some((law, _, t)) => self.share_for(law.p_of(cut.at, t)),
            None => (SHORT as f64 / self.len() as f64).min(1.0),
        };
        let Cut { at, error } = cut;
        let ends = (ceil_f32(at - error * share), floor_f32(at + error * share));
        if self.is_any_within((ends.0, ends.1.min(least.next_down()))) {
            self.precision = Precision::Doubtful;
        }
    }

    /// Raises doubt where a crossing is so close to its target, or to a token on the other side of
    /// the centre, that weights of `f32` do not decide where it is.
    pub(super) fn doubt_crossing(&mut self, rank: Rank, goal: Goal, crossing: &Crossing) {
        let of_mass = goal.is_of_mass();
        if self.precision != Precision::Single || (rank == Rank::Logit && !of_mass) {
            return;
        }
        let Crossing { logit, before, weight, ties, target, .. } = *crossing;
        let (law, t) = (self.plain_law(), self.temperature);
        let share = self.share_for(law.p_of(f64::from(logit), t));
        let rounding = self.rounding();
        // Ties may be cut between any two of them.
        let taken = ((target - before) / weight).round().clamp(0.0, ties as f64);
        let gap = before + if taken.is_nan() { 0.0 } else { taken * weight } - target;
        let mut is_close = of_mass && gap.abs() <= rounding.sum * share * law.z;
        if let Rank::Distance(centre) = rank {
            // An error of the centre moves both sides apart by twice as much.
            let mirrored = 2.0 * centre - f64::from(logit);
            let share = share.min(self.share_for(law.p_of(mirrored, t)));
            let error = 2.0 * t * rounding.entropy * share;
            let ends = (ceil_f32(mirrored - error), floor_f32(mirrored + error));
            is_close |= self.is_any_within(ends);
        }
        if is_close {
            self.precision = Precision::Doubtful;
        }
    }

    /// Whether a survivor lies between two logits, both included.
    fn is_any_within(&mut self, ends: (f32, f32)) -> bool {
        let (lo, hi) = (ends.0.max(self.window.lo), ends.1.min(self.window.hi));
        if lo > hi {
            return false;
        }
        self.list();
        if self.listed {
            return self.work.values.iter().any(|l| lo <= *l && *l <= hi);
        }
        let work = &mut *self.work;
        work.bin.clear();
        work.bin_ids.clear();
        let blocks = self.row.x.chunks(BLOCK).zip(self.row.blocks);
        blocks.filter(|(_, best)| **best >= lo).any(|(block, _)| {
            simd::gather_window(block, 0, (lo, hi), &mut work.bin, &mut work.bin_ids);
            !work.bin.is_empty()
        })
    }

    /// Logits, and the window of the survivors among them.
    fn values(&self) -> (&[f32], Window) {
        if self.listed { (&self.work.values, Window::ALL) } else { (self.row.x, self.window) }
    }

    /// Calls `f(l, w)` for every survivor and its weight in `f64`.
    fn each_weight(&self, max: f32, mut f: impl FnMut(f32, f64)) {
        let (values, Window { lo, hi, .. }) = self.values();
        let mut weights = [0.0; BLOCK];
        for block in values.chunks(BLOCK) {
            simd::exp_into_f64(block, max, self.temperature, &mut weights);
            for (&l, &w) in block.iter().zip(&weights).filter(|(l, _)| lo <= **l && **l <= hi) {
                f(l, w);
            }
        }
    }

    /// The sums of the law in `f64`.
    pub(super) fn weigh_exactly(&self, max: f32) -> ExpSums {
        let (values, Window { lo, hi, .. }) = self.values();
        simd::exp_sums_f64(values, max, self.temperature, (lo, hi))
    }

    /// Count, sum and sum of squares of what lies `from` a logit on, measured from the largest.
    pub(super) fn exact_moments(&mut self, from: f32) -> Moments {
        let max = self.max();
        let mut moments = Moments::default();
        self.each_weight(max, |l, _| {
            if l >= from {
                let d = f64::from(l) - f64::from(max);
                moments += Moments { count: 1, sum: d, squares: d * d };
            }
        });
        moments
    }

    /// The crossing of a share of the mass in `f64`, near one that was found in `f32`.
    pub(super) fn cross_exactly(
        &mut self,
        rank: Rank,
        target: f64,
        reach: Reach,
        near: f64,
    ) -> Crossing {
        let max = self.max();
        let mut ranked = std::mem::take(&mut self.work.ranked);
        let mut found = None;
        for width in NEAR {
            let width = width * self.temperature;
            let (first, last) = (near - width, near + width);
            let (mut ahead, mut behind) = (Sum::default(), false);
            ranked.clear();
            self.each_weight(max, |l, w| {
                let at = rank.of(l);
                if at < first {
                    ahead.add(w);
                } else if at <= last {
                    ranked.push((at, l, w));
                } else {
                    behind = true;
                }
            });
            let before = ahead.value();
            if before > 0.0 && reach.is_reached(before, target) {
                continue; // it lies before them
            }
            let crossing = cross_ranked(&mut ranked, before, target, reach);
            found = crossing.or(found);
            if crossing.is_some_and(|crossing| crossing.is_reached) || !behind {
                break;
            }
        }
        self.work.ranked = ranked;
        found.unwrap_or_else(|| unreachable!("there is a survivor"))
    }
}
