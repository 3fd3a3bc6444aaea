//! The law of a row raised to a power, as far as a mask allows: `p^b` over the legal tokens, where `p` is
//! what the rules leave of the whole row. The mask acts last, for it is a condition and no rule.

use super::call::{Call, OneRow, nothing_left};
use super::draw::Method;
use super::element::Element;
use super::rows::{Row, Rows};
use super::survivors::{Survivors, grow};
use super::window::Window;
use sortes_core::rng::elementary::ln;
use sortes_core::{Result, Run, simd};

/// The legal tokens of a row by a power of their probabilities.
pub struct Powered<'r, 's> {
    /// The legal ones, at the temperature of the power.
    survivors: &'r mut Survivors<'s>,
    /// The law of the rules: its largest logit, its temperature, the logarithm of its normaliser.
    law: (f64, f64, f64),
    ln_mass: f64,
}

impl Call<'_> {
    /// Calls `f(row, powered, out)` with the law of each row raised to `power`, for rows that are
    /// `wanted`. With `masks`, one for each row, only tokens whose bit is set are left, the lowest bit
    /// first: there may be none.
    ///
    /// # Errors
    /// As [`Call::sample`], and those of `f`. Some of `out` has changed then.
    pub fn each_powered<T: Element, O: Send>(
        &self,
        logits: &impl Rows<T>,
        (masks, power): (Option<&[&[u32]]>, f64),
        wanted: impl Fn(usize) -> bool + Sync,
        out: &mut [O],
        run: Run<'_>,
        f: impl Fn(usize, &mut Powered<'_, '_>, &mut O) -> Result<()> + Sync,
    ) -> Result<()> {
        self.for_rows(logits, out, 1, run, |row, x, out| {
            let index = row.index;
            if !wanted(index) {
                return Ok(());
            }
            let words = masks.map(|masks| masks[index]);
            row.powered(x, words, power, |powered| f(index, powered, &mut out[0]))
        })
    }
}

impl OneRow<'_> {
    fn powered<T: Element>(
        &mut self,
        x: &[T],
        words: Option<&[u32]>,
        power: f64,
        f: impl FnOnce(&mut Powered<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let (index, run) = (self.index, self.run);
        let mut survivors = self.survivors(x)?;
        if survivors.is_empty() {
            return Err(nothing_left(index));
        }
        let (max, z) = (survivors.plain_law().max, survivors.plain_law().z);
        let t = survivors.temperature();
        let law = (f64::from(max), t, ln(z));
        let Some(words) = words else {
            return f(&mut Powered::of(&mut survivors, law, power));
        };

        // The rules have seen the whole row: what the mask leaves is weighed anew, on a copy.
        let Survivors { row, window, work, .. } = survivors;
        let mut masked = std::mem::take(&mut work.masked);
        let mut blocks = std::mem::take(&mut work.masked_blocks);
        masked.clear();
        grow(&mut masked, row.x.len(), "logits")?;
        masked.extend_from_slice(row.x);
        if window != Window::ALL {
            for (id, l) in masked.iter_mut().enumerate() {
                *l = if window.contains(*l, id as u32) { *l } else { f32::NEG_INFINITY };
            }
        }
        simd::mask_bits(&mut masked, words, f32::NEG_INFINITY);
        let row = Row::read(&masked, &mut blocks, index, run)?;
        let mut left = Survivors::new(row, &mut *work, run)?;
        left.list_few(words);
        left.set_temperature(t);
        let result = f(&mut Powered::of(&mut left, law, power));
        (work.masked, work.masked_blocks) = (masked, blocks);
        result
    }
}

impl<'r, 's> Powered<'r, 's> {
    /// Weighs what is left of a row at the temperature of its law.
    fn of(survivors: &'r mut Survivors<'s>, law: (f64, f64, f64), power: f64) -> Self {
        let mut ln_mass = f64::NEG_INFINITY;
        if !survivors.is_empty() {
            let (max, t, ln_z) = law;
            if power != 1.0 {
                survivors.set_temperature(t / power);
            }
            let left = survivors.plain_law();
            ln_mass = power * ((f64::from(left.max) - max) / t - ln_z) + ln(left.z);
        }
        Self { survivors, law, ln_mass }
    }

    /// The logarithm of the mass: of the sum of the powers over the legal tokens.
    pub fn ln_mass(&self) -> f64 {
        self.ln_mass
    }

    /// Draws a token in proportion to its power, by a uniform number; and the logarithm of its
    /// probability in the law of the rules. `None` if there is no legal one.
    pub fn draw(&mut self, uniform: f64) -> Option<(u32, f64)> {
        let token = self.survivors.draw(Method::Scan, &mut || uniform)?;
        Some((token, self.ln_p(self.survivors.row.x[token as usize])))
    }

    /// Calls `f(token, ln_p)` with every legal token, in the order of the ids, and the logarithm of its
    /// probability in the law of the rules.
    pub fn each(&self, mut f: impl FnMut(u32, f64)) {
        let Survivors { row, window, .. } = &*self.survivors;
        for (id, &l) in (0..).zip(row.x) {
            if window.contains(l, id) {
                f(id, self.ln_p(l));
            }
        }
    }

    fn ln_p(&self, l: f32) -> f64 {
        let (max, t, ln_z) = self.law;
        ((f64::from(l) - max) / t - ln_z).min(0.0)
    }
}
