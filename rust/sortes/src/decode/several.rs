//! Several tokens of a row, none of them twice: drawn one after the other, or the most likely ones.
//!
//! One pass leaves the mass of each chunk of the row; a token that is drawn after that costs the walk
//! over these masses and over one chunk.

use super::call::{Call, nothing_left};
use super::element::Element;
use super::rows::{CHUNK, Rows};
use super::survivors::Survivors;
use super::window::ANY;
use sortes_core::memory::{reserve, with_capacity, zeroed};
use sortes_core::num::ceil_f32;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::{self, Wanted};
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run};

/// By how much a bound of log-probabilities is lowered, for rounding.
const SLACK: f64 = 1e-3;

impl Call<'_> {
    /// Calls `f(row, tokens, out)` with what the rules leave of each row.
    ///
    /// With `masks`, one for each row, only tokens whose bit is set are left, the lowest bit first. A
    /// mask may leave none.
    ///
    /// # Errors
    /// As [`Call::sample`], and those of `f`. Some of `out` has changed then.
    pub fn each_row<T: Element, O: Send>(
        &self,
        logits: &impl Rows<T>,
        masks: Option<&[&[u32]]>,
        out: &mut [O],
        run: Run<'_>,
        f: impl Fn(usize, Tokens<'_, '_>, &mut O) -> Result<()> + Sync,
    ) -> Result<()> {
        self.for_rows(logits, out, 1, run, |row, x, out| {
            let index = row.index;
            let (mut survivors, ln_share) = match masks {
                Some(masks) => row.masked(x, masks[index])?,
                None => (row.survivors(x)?, 0.0),
            };
            if masks.is_none() && survivors.is_empty() {
                return Err(nothing_left(index));
            }
            f(index, Tokens { survivors: &mut survivors, ln_share }, &mut out[0])
        })
    }
}

/// What the rules, and a mask, leave of a row.
pub struct Tokens<'r, 's> {
    survivors: &'r mut Survivors<'s>,
    ln_share: f64,
}

impl<'r, 's> Tokens<'r, 's> {
    /// Whether no token is left: a mask alone can do that.
    pub fn is_empty(&self) -> bool {
        self.survivors.is_empty()
    }

    /// The logarithm of the share of the mass that the mask leaves at the plain temperature, before any
    /// other rule acts.
    pub fn ln_share(&self) -> f64 {
        self.ln_share
    }

    /// The `n` most likely tokens and the logarithms of their probabilities, the most likely first and
    /// among equals the lowest id. Those below `least` may be left out, but for the first.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn likeliest(self, n: usize, least: f64) -> Result<Vec<(u32, f64)>> {
        let survivors = self.survivors;
        let law = survivors.plain_law();
        let (max, t, ln_z) = (f64::from(law.max), survivors.temperature(), ln(law.z));
        // 1. Narrow the row, ties included: the law is known.
        if least > f64::NEG_INFINITY {
            let cut = max + t * (ln_z + least - SLACK);
            survivors.raise(ceil_f32(cut).min(law.max), ANY);
            survivors.list();
        }
        if !survivors.listed || survivors.work.ids.len() > n {
            let bound = survivors.kth_largest(n.max(1));
            survivors.raise(bound, ANY);
            survivors.list();
        }

        // 2. Sort what is left.
        let window = survivors.window;
        let mut found = Vec::new();
        if survivors.listed {
            let work = &*survivors.work;
            reserve(&mut found, work.ids.len(), "tokens of a row")?;
            found.extend(work.ids.iter().zip(&work.values).map(|(id, l)| (*id, *l)));
        } else {
            reserve(&mut found, survivors.row.x.len(), "tokens of a row")?;
            let row = (0..).zip(survivors.row.x);
            found.extend(row.filter(|(id, l)| window.contains(**l, *id)).map(|(id, l)| (id, *l)));
        }
        found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(n);
        let mut out = with_capacity(found.len(), "tokens of a row")?;
        out.extend(found.into_iter().map(|(id, l)| (id, (f64::from(l) - max) / t - ln_z)));
        Ok(out)
    }

    /// The tokens as they are drawn one after the other.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn successive(self) -> Result<Successive<'r, 's>> {
        let survivors = self.survivors;
        survivors.list();
        let law = survivors.plain_law();
        let (max, scale) = (survivors.max(), survivors.scale());
        let len =
            if survivors.listed { survivors.work.values.len() } else { survivors.row.x.len() };
        let mut masses = with_capacity(len.div_ceil(CHUNK), "chunks of a row")?;
        if survivors.listed {
            survivors.weigh_list(max, scale, Wanted::default());
            masses.extend(survivors.work.weights.chunks(CHUNK).map(sum));
        } else {
            survivors.exact_sums();
            masses.extend(survivors.work.chunks.iter().map(|c| c.z));
        }
        let taken = zeroed(len.div_ceil(64), "tokens of a row")?;
        Ok(Successive { survivors, masses, taken, max, scale, z: law.z, ln_z: ln(law.z) })
    }
}

/// Tokens of a row, drawn one after the other in proportion to what is left.
pub struct Successive<'r, 's> {
    survivors: &'r mut Survivors<'s>,
    /// What is left of each chunk.
    masses: Vec<f64>,
    /// One bit for each token, set if it was drawn.
    taken: Vec<u64>,
    max: f32,
    scale: f32,
    z: f64,
    ln_z: f64,
}

impl Successive<'_, '_> {
    /// The share of the mass that is left.
    pub fn left(&self) -> f64 {
        self.masses.iter().sum::<f64>() / self.z
    }

    /// Draws the next token by a uniform number; `None` if no token with weight is left.
    pub fn draw(&mut self, uniform: f64) -> Option<(u32, f64)> {
        let target = uniform * self.masses.iter().sum::<f64>();
        let (chunk, before) = first_beyond(self.masses.iter().copied(), 0.0, target)?;

        // The weights of what is left of the chunk.
        let first = chunk * CHUNK;
        let (window, listed) = (self.survivors.window, self.survivors.listed);
        let row = self.survivors.row.x;
        let work = &mut *self.survivors.work;
        let all = if listed { &work.values[..] } else { row };
        let stretch = &all[first..all.len().min(first + CHUNK)];
        work.weights.resize(stretch.len(), 0.0);
        simd::exp_into(stretch, self.max, self.scale, &mut work.weights);
        for (i, (w, l)) in work.weights.iter_mut().zip(stretch).enumerate() {
            let at = first + i;
            let is_taken = self.taken[at / 64] >> (at % 64) & 1 == 1;
            if is_taken || !(listed || window.contains(*l, at as u32)) {
                *w = 0.0;
            }
        }

        let weights = work.weights.iter().map(|&w| f64::from(w));
        let (i, _) = first_beyond(weights, before, target)?;
        work.weights[i] = 0.0;
        self.masses[chunk] = sum(&work.weights);
        let (at, l) = (first + i, stretch[i]);
        self.taken[at / 64] |= 1 << (at % 64);
        let token = if listed { work.ids[at] } else { at as u32 };
        let t = self.survivors.temperature();
        Some((token, (f64::from(l) - f64::from(self.max)) / t - self.ln_z))
    }
}

fn sum(weights: &[f32]) -> f64 {
    weights.iter().map(|&w| f64::from(w)).sum()
}
