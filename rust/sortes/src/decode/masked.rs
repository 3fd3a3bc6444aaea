//! How much of a row's mass a mask leaves.

use super::params::GREEDY;
use super::rows::Row;
use super::survivors::{Work, grow};
use sortes_core::Result;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::{self, Wanted};

const EVERYTHING: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// The mass of a row before it is masked, at a temperature.
pub(super) struct Unmasked {
    temperature: f64,
    max: f32,
    /// The logarithm of the normaliser.
    ln_z: f64,
    /// The token that a temperature of zero leaves.
    greedy: usize,
    /// The logarithm of the share of what the mask allows, if the tokens of the smaller side say so.
    ln_share: Option<f64>,
}

impl Unmasked {
    /// Weighs a row in which some logit is finite.
    ///
    /// # Errors
    /// If there is no memory for the smaller side of the mask.
    pub(super) fn of(
        row: &Row<'_>,
        words: &[u32],
        temperature: f64,
        work: &mut Work,
    ) -> Result<Self> {
        let (x, max) = (row.x, row.max);
        let mut whole = Self { temperature, max, ln_z: 0.0, greedy: 0, ln_share: None };
        if temperature < GREEDY {
            whole.greedy = row.argmax();
            return Ok(whole);
        }
        let scale = (1.0 / temperature) as f32;
        let z = simd::exp_sums(x, max, scale, EVERYTHING, Wanted::default()).z;
        whole.ln_z = ln(z);

        let allowed: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let is_few = allowed <= x.len() / 2;
        let side = if is_few { allowed } else { x.len() - allowed };
        grow(&mut work.values, side, "logits of one row")?;
        grow(&mut work.weights, side, "logits of one row")?;
        work.values.clear();
        each(words, x.len(), is_few, |id| work.values.push(x[id]));
        let best = work.values.iter().fold(f32::NEG_INFINITY, |m, &l| if l > m { l } else { m });
        let ln_share = if best == f32::NEG_INFINITY {
            f64::NEG_INFINITY
        } else {
            work.weights.resize(side, 0.0);
            simd::exp_into(&work.values, best, scale, &mut work.weights);
            let sum: f64 = work.weights.iter().map(|&w| f64::from(w)).sum();
            whole.ln_share_of(best, sum)
        };
        // What is left is known from what is not, unless that is nearly everything.
        whole.ln_share = if is_few {
            Some(ln_share)
        } else {
            (ln_share < -std::f64::consts::LN_2).then(|| (-ln_share.exp()).ln_1p())
        };
        Ok(whole)
    }

    /// The logarithm of the share of what the mask has left of the row, which `read` reads.
    ///
    /// # Errors
    /// Those of `read`.
    pub(super) fn ln_share<'a>(
        &self,
        left: &'a [f32],
        read: impl FnOnce(&'a [f32]) -> Result<Row<'a>>,
    ) -> Result<f64> {
        if self.temperature < GREEDY {
            let is_left = left[self.greedy] > f32::NEG_INFINITY;
            return Ok(if is_left { 0.0 } else { f64::NEG_INFINITY });
        }
        if let Some(ln_share) = self.ln_share {
            return Ok(ln_share);
        }
        let max = read(left)?.max;
        if max == f32::NEG_INFINITY {
            return Ok(f64::NEG_INFINITY);
        }
        let scale = (1.0 / self.temperature) as f32;
        let sums = simd::exp_sums(left, max, scale, EVERYTHING, Wanted::default());
        Ok(self.ln_share_of(max, sums.z))
    }

    /// The logarithm of the share of tokens that have this largest logit and this normaliser.
    fn ln_share_of(&self, max: f32, z: f64) -> f64 {
        let shift = (f64::from(max) - f64::from(self.max)) / self.temperature;
        (shift + ln(z) - self.ln_z).min(0.0)
    }
}

/// Calls `f` with each of `len` ids whose bit is set, or with each whose bit is not.
pub(super) fn each(words: &[u32], len: usize, set: bool, mut f: impl FnMut(usize)) {
    for place in 0..len.div_ceil(32) {
        let word = words.get(place).copied().unwrap_or(0);
        let mut bits = if set { word } else { !word };
        if len - 32 * place < 32 {
            bits &= (1 << (len - 32 * place)) - 1;
        }
        while bits != 0 {
            f(32 * place + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
    }
}
