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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Mask, Options, Rule, Rules};
    use sortes_core::rng::{Purpose, Stream};
    use sortes_core::simd::{available_levels, with_level};

    struct OneRow(Vec<f32>);

    impl Rows<f32> for OneRow {
        fn rows(&self) -> usize {
            1
        }
        fn cols(&self) -> usize {
            self.0.len()
        }
        fn row(&self, _: usize) -> &[f32] {
            &self.0
        }
    }

    /// The mass, and a token with the logarithm of its probability for each uniform.
    type Found = (f64, Vec<Option<(u32, f64)>>);

    fn found(x: &OneRow, rules: &Rules, words: Option<&[u32]>, power: f64, us: &[f64]) -> Found {
        let streams = [Stream::new(0)];
        let call = Call { rules, streams: &streams, rows: None, bias: None, mask: Mask::None };
        let masks = words.map(|words| [words]);
        let masks = masks.as_ref().map(|masks| &masks[..]);
        let mut out = [Found::default()];
        call.each_powered(
            x,
            (masks, power),
            |_| true,
            &mut out,
            Run::alone(),
            |_, law, out| {
                let tokens = us.iter().map(|u| law.draw(*u)).collect();
                *out = (law.ln_mass(), tokens);
                Ok(())
            },
        )
        .unwrap();
        let [found] = out;
        found
    }

    /// Rows of few tokens and of many, masks that leave few and many, rules that list and that do not;
    /// against the definition in double precision, and the same on every instruction set.
    #[test]
    fn the_mass_and_the_draws_are_those_of_the_definition() {
        let us: Vec<f64> = (0..200).map(|i| (f64::from(i) + 0.5) / 200.0).collect();
        for (size, keeps, top_k) in [
            (50, 2, 0),
            (50, 1, 7),
            (20_000, 2, 0),
            (20_000, 900, 0),
            (20_000, 3, 40),
            (20_000, 1, 0),
        ] {
            let mut draws = Stream::new(size).draws(Purpose::Uniform, keeps);
            let x: Vec<f32> = (0..size).map(|_| draws.gumbel() as f32 * 2.0).collect();
            let words: Vec<u32> = (0..size.div_ceil(32))
                .map(|word| {
                    (0..32)
                        .filter(|bit| (32 * word + bit).is_multiple_of(keeps))
                        .map(|b| 1 << b)
                        .sum()
                })
                .collect();
            let order = vec![Rule::named("top_k").unwrap(), Rule::named("temperature").unwrap()];
            let mut rules = Rules::new(Options { order, ..Options::default() });
            rules.set("temperature", 0.8).unwrap();
            if top_k > 0 {
                rules.set("top_k", f64::from(top_k)).unwrap();
            }
            // The definition.
            let mut sorted = x.clone();
            sorted.sort_unstable_by(|a, b| b.total_cmp(a));
            let least = if top_k > 0 { sorted[top_k as usize - 1] } else { f32::MIN };
            let ln_w = |l: f32| (f64::from(l) - f64::from(sorted[0])) / 0.8;
            let z: f64 = x.iter().filter(|l| **l >= least).map(|l| ln_w(*l).exp()).sum();
            for (masked, power) in [(false, 4.0), (true, 4.0), (true, 1.0), (true, 0.3)] {
                let legal =
                    |id: usize| x[id] >= least && (!masked || (id as u64).is_multiple_of(keeps));
                let p = |id: usize| {
                    if legal(id) { (power * (ln_w(x[id]) - z.ln())).exp() } else { 0.0 }
                };
                let mass: f64 = (0..x.len()).map(p).sum();
                let mask = masked.then_some(&words[..]);
                let (ln_mass, tokens) = found(&OneRow(x.clone()), &rules, mask, power, &us);
                assert!((ln_mass - mass.ln()).abs() < 1e-6, "{size} {keeps} {power}");
                let mut through = 0.0;
                let mut next = 0;
                for (u, token) in us.iter().zip(&tokens) {
                    let (token, ln_p) = token.unwrap();
                    assert!(legal(token as usize));
                    assert!((ln_p - (ln_w(x[token as usize]) - z.ln())).abs() < 1e-6);
                    while next < token as usize {
                        through += p(next);
                        next += 1;
                    }
                    assert!(through / mass <= u + 1e-6);
                    assert!((through + p(next)) / mass >= u - 1e-6);
                }
                for level in available_levels() {
                    let again =
                        with_level(level, || found(&OneRow(x.clone()), &rules, mask, power, &us));
                    assert_eq!(again.0.to_bits(), ln_mass.to_bits(), "{}", level.name());
                    assert_eq!(again.1, tokens);
                }
            }
        }
        let nothing =
            found(&OneRow(vec![0.0; 40]), &Rules::new(Options::default()), Some(&[0, 0]), 2.0, &us);
        assert_eq!(nothing.0, f64::NEG_INFINITY);
        assert!(nothing.1.iter().all(Option::is_none));
    }
}
