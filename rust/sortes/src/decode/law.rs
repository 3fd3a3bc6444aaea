//! The law of the survivors: weights, moments, probabilities.

use super::exact::Precision;
use super::rows::{CHUNK, SPLIT};
use super::survivors::Survivors;
use super::window::Window;
use sortes_core::Result;
use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::simd::{self, ExpSums, Moments, Wanted};

/// Chunks that one task of a parallel pass weighs.
const CHUNKS: usize = 8;

/// The law of the survivors at the current temperature `t`:
/// `p = exp((l - max) / t) / z`, in nats where a logarithm is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    /// The largest surviving logit.
    pub(super) max: f32,
    /// `sum exp((l - max) / t)`.
    pub(super) z: f64,
    /// Shannon entropy, if asked for.
    pub(super) entropy: f64,
    /// Collision probability `sum p^2`, if asked for.
    pub(super) collision: f64,
}

impl Law {
    /// The probability of a token with this logit, at the temperature of the law.
    pub(super) fn p_of(&self, logit: f64, temperature: f64) -> f64 {
        exp_negative(((logit - f64::from(self.max)) / temperature).min(0.0)) / self.z
    }
}

/// What the sums of chunks were computed for.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct SumsOf {
    pub(super) window: Window,
    pub(super) temperature: f64,
    pub(super) max: f32,
}

impl Survivors<'_> {
    /// The law at the current temperature.
    pub(super) fn law(&mut self, wanted: Wanted) -> Law {
        if let Some((law, had, t)) = self.law
            && t == self.temperature
            && (had.entropy || !wanted.entropy)
            && (had.square || !wanted.square)
        {
            return law;
        }
        let max = self.max();
        self.list();
        let scale = self.scale();
        let sums = if self.precision == Precision::Double {
            self.weigh_exactly(max)
        } else if self.listed {
            self.weigh_list(max, scale, wanted)
        } else {
            self.weigh_row(max, scale, wanted)
        };
        let ln_z = ln(sums.z);
        let law = Law {
            max,
            z: sums.z,
            entropy: (ln_z - sums.a / sums.z).max(0.0),
            collision: sums.q / (sums.z * sums.z),
        };
        self.law = Some((law, wanted, self.temperature));
        law
    }

    /// The law with nothing but its normaliser.
    pub(super) fn plain_law(&mut self) -> Law {
        self.law(Wanted::default())
    }

    /// Makes the next call of [`law`](Self::law) weigh the survivors anew.
    pub(super) fn forget_law(&mut self) {
        self.law = None;
    }

    /// The logit that a token of probability `exp(ln_p)` would have: `max + t (ln z + ln_p)`.
    pub(super) fn logit_of(&mut self, ln_p: f64) -> f64 {
        let law = self.plain_law();
        f64::from(law.max) + self.temperature * (ln(law.z) + ln_p)
    }

    /// The logarithm of the probability of a token with this logit.
    pub(super) fn ln_p(&mut self, l: f32) -> f64 {
        let law = self.plain_law();
        (f64::from(l) - f64::from(law.max)) / self.temperature - law.z.ln()
    }

    /// The share of the row's mass, at the current temperature, that the survivors hold.
    pub(super) fn kept_mass(&mut self) -> f64 {
        let law = self.plain_law();
        let everything = (f32::NEG_INFINITY, f32::INFINITY);
        let (x, max) = (self.row.x, self.row.max);
        let all = simd::exp_sums(x, max, self.scale(), everything, Wanted::default());
        let shift = (f64::from(law.max) - f64::from(max)) / self.temperature;
        (law.z * shift.exp() / all.z).min(1.0)
    }

    /// Adds `share` times the law, with every exponential in `f64`; returns the normaliser, as in
    /// [`Law::z`].
    pub(super) fn add_law(&mut self, share: f64, out: &mut [f64]) -> f64 {
        let window = self.window;
        let max = f64::from(self.max());
        let (x, t) = (self.row.x, self.temperature);
        let weight = |id: usize| {
            let l = x[id];
            if window.contains(l, id as u32) { ((f64::from(l) - max) / t).exp() } else { 0.0 }
        };
        let z: f64 = (0..x.len()).map(weight).sum();
        for (id, p) in out.iter_mut().enumerate() {
            *p += share * weight(id) / z;
        }
        z
    }

    /// Writes a function of the probability of every token of the row.
    pub(super) fn write_of_p(&mut self, out: &mut [f64], f: impl Fn(f64) -> f64) -> Result<()> {
        let law = self.plain_law();
        let max = f64::from(law.max);
        self.write_of_logits(out, |l| f((f64::from(l) - max).exp() / law.z))
    }

    /// Writes a function of every logit of the row.
    pub(super) fn write_of_logits(&self, out: &mut [f64], f: impl Fn(f32) -> f64) -> Result<()> {
        for range in self.run.blocks(out.len(), SPLIT) {
            let range = range?;
            for (out, &l) in out[range.clone()].iter_mut().zip(&self.row.x[range]) {
                *out = f(l);
            }
        }
        Ok(())
    }

    /// Count, sum and sum of squares of the survivors `from` a logit on, measured from the largest
    /// logit.
    pub(super) fn moments(&mut self, from: f32) -> Moments {
        self.list();
        if self.precision == Precision::Double {
            return self.exact_moments(from);
        }
        let origin = self.row.max;
        if self.listed {
            return simd::moments(&self.work.values, origin, (from, f32::INFINITY));
        }
        simd::moments(self.row.x, origin, (from.max(self.window.lo), self.window.hi))
    }

    /// Writes the weights of the list, and sums them.
    pub(super) fn weigh_list(&mut self, max: f32, scale: f32, wanted: Wanted) -> ExpSums {
        let work = &mut *self.work;
        work.weights.resize(work.values.len(), 0.0);
        simd::exp_into(&work.values, max, scale, &mut work.weights);
        let mut sums = ExpSums { z: simd::sum(&work.weights), ..ExpSums::default() };
        if !wanted.entropy && !wanted.square {
            return sums;
        }
        for (&l, &w) in work.values.iter().zip(&work.weights) {
            let w = f64::from(w);
            if wanted.entropy && w > 0.0 {
                sums.a += w * f64::from((l - max) * scale);
            }
            if wanted.square {
                sums.q += w * w;
            }
        }
        sums
    }

    /// Sums the weights of the row inside the window, chunk by chunk.
    fn weigh_row(&mut self, max: f32, scale: f32, wanted: Wanted) -> ExpSums {
        let (x, ends) = (self.row.x, self.window.ends());
        let chunks = &mut self.work.chunks;
        chunks.clear();
        chunks.resize(x.len().div_ceil(CHUNK), ExpSums::default());
        let weigh = |chunk: usize| {
            let stretch = &x[chunk * CHUNK..x.len().min((chunk + 1) * CHUNK)];
            simd::exp_sums(stretch, max, scale, ends, wanted)
        };
        if self.run.threads.count() > 1 && x.len() >= SPLIT {
            self.run.threads.fill_chunks(chunks, CHUNKS, |i, part| {
                for (j, sums) in part.iter_mut().enumerate() {
                    *sums = weigh(CHUNKS * i + j);
                }
            });
        } else {
            for (i, sums) in chunks.iter_mut().enumerate() {
                *sums = weigh(i);
            }
        }
        self.sums = Some(SumsOf { window: self.window, temperature: self.temperature, max });
        let mut total = ExpSums::default();
        for &chunk in chunks.iter() {
            total += chunk;
        }
        total
    }
}
