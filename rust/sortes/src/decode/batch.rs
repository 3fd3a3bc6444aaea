//! Whole batches: every row on its own, in parallel, with its own parameters and its own stream.

use super::draw::Method;
use super::element::Element;
use super::params::{Params, Rules, Step};
use super::row::Row;
use super::rows::{Rows, each_row};
use super::rules;
use super::survivors::{Scratch, Survivors};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::simd::{self, Wanted};
use sortes_core::{Error, Result};

/// Which tokens are allowed, beside the logits.
#[derive(Clone, Copy, Default)]
pub enum Mask<'a> {
    /// All of them.
    #[default]
    None,
    /// One byte per token, nonzero if allowed, one row for all or one for each.
    Bytes(&'a [u8]),
    /// One bit per token, set if allowed, lowest bit first, rows padded to whole words.
    Bits(&'a [u32]),
}

/// Everything that a call needs beside the logits.
pub struct Batch<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// Ids and what is added to their logits.
    pub bias: Option<(&'a [i64], &'a [f32])>,
    /// Allowed tokens.
    pub mask: Mask<'a>,
    /// One key for all rows, or one for each.
    pub keys: &'a [u64],
    /// The stream ids of the rows; their indices if absent.
    pub stream_ids: Option<&'a [u32]>,
    /// The step of generation.
    pub step: u32,
    /// How rows are spread.
    pub threads: Threads<'a>,
    /// Stops the batch between rows.
    pub cancel: &'a Cancel,
}

/// What is known of a drawn token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The token.
    pub token: i64,
    /// Its log-probability in nats.
    pub logprob: f64,
    /// Number of tokens with a logit at least as large.
    pub rank: i64,
    /// Mass of the kept set before it was renormalised, at the final temperature.
    pub mass: f64,
    /// The most likely tokens with their log-probabilities; id -1 where fewer are left.
    pub top: Vec<(i64, f64)>,
}

impl Batch<'_> {
    /// Checks everything that does not depend on the logits' values.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the argument that does not fit.
    pub fn check(&self, rows: usize, cols: usize) -> Result<()> {
        self.rules.check_rows(rows)?;
        if let Some((ids, _)) = self.bias
            && let Some(id) = ids.iter().find(|id| !(0..cols as i64).contains(*id))
        {
            let reason = format!("id {id} is outside a vocabulary of {cols} tokens");
            return Err(Error::argument("logit_bias", reason));
        }
        Ok(())
    }

    fn stream(&self, row: usize) -> (Stream, u64) {
        let key = self.keys[if self.keys.len() > 1 { row } else { 0 }];
        (Stream::new(key), self.stream_ids.map_or(row as u64, |ids| u64::from(ids[row])))
    }

    /// Calls `f(row, chunk, survivors, raw)` for each row with its chunk of `out`.
    fn for_rows<T: Element, O: Send>(
        &self,
        logits: &impl Rows<T>,
        out: &mut [O],
        chunk: usize,
        f: impl Fn(&mut Prepared<'_>, &[T], &mut [O]) -> Result<()> + Sync,
    ) -> Result<()> {
        self.check(logits.rows(), logits.cols())?;
        each_row(
            self.threads,
            self.cancel,
            logits.rows(),
            out,
            chunk,
            |row, scratch, threads, out| {
                let params = self.rules.row(row);
                let mut prepared = Prepared { batch: self, row, params, scratch, threads };
                f(&mut prepared, logits.row(row), out)
            },
        )
    }

    /// Draws one token per row. `uniforms`, if given, are the coins: one per row.
    ///
    /// # Errors
    /// [`Error::Row`] for a row with NaN, plus infinity, or no finite logit; [`Error::Argument`] as
    /// [`Batch::check`].
    pub fn sample<T: Element>(
        &self,
        logits: &impl Rows<T>,
        uniforms: Option<&[f64]>,
        method: Method,
        out: &mut [i64],
    ) -> Result<()> {
        self.for_rows(logits, out, 1, |prepared, x, out| {
            let (token, _) = prepared.draw(x, uniforms, method)?;
            out[0] = i64::from(token);
            Ok(())
        })
    }

    /// As [`Batch::sample`], with the log-probability, the rank and the kept mass of each token, and
    /// the `top` most likely ones; of the law before everything (`processed` false), or after.
    ///
    /// # Errors
    /// As [`Batch::sample`].
    pub fn sample_details<T: Element>(
        &self,
        logits: &impl Rows<T>,
        uniforms: Option<&[f64]>,
        method: Method,
        top: usize,
        processed: bool,
    ) -> Result<Vec<Details>> {
        let mut out = vec![Details::default(); logits.rows()];
        self.for_rows(logits, &mut out, 1, |prepared, x, out| {
            out[0] = prepared.details(x, uniforms, method, top, processed)?;
            Ok(())
        })?;
        Ok(out)
    }

    /// Writes each row with `fill` in place of the tokens that the rules remove.
    ///
    /// # Errors
    /// As [`Batch::sample`], but a row that came without a finite logit is copied.
    pub fn truncate<T: Element>(
        &self,
        logits: &impl Rows<T>,
        fill: f64,
        out: &mut [T],
    ) -> Result<()> {
        let edits = self.bias.is_some() || !matches!(self.mask, Mask::None);
        self.for_rows(logits, out, logits.cols().max(1), |prepared, x, out| {
            let fill = T::from_f64(fill);
            let smoothed = prepared.smooths();
            let survivors = prepared.survivors(x)?;
            if survivors.is_empty() && !edits {
                out.copy_from_slice(x);
                return Ok(());
            }
            let window = survivors.window;
            let row = survivors.row.x;
            if edits || smoothed {
                for (id, (out, &l)) in out.iter_mut().zip(row).enumerate() {
                    let kept = window.contains(l, id as u32);
                    *out = if kept { T::from_f64(f64::from(l)) } else { fill };
                }
            } else {
                T::mask(x, row, &window, fill, out);
            }
            Ok(())
        })
    }

    /// Writes whether each token is kept.
    ///
    /// # Errors
    /// As [`Batch::truncate`].
    pub fn keep_mask<T: Element>(&self, logits: &impl Rows<T>, out: &mut [bool]) -> Result<()> {
        self.for_rows(logits, out, logits.cols().max(1), |prepared, x, out| {
            let survivors = prepared.survivors(x)?;
            let window = survivors.window;
            for (id, (out, &l)) in out.iter_mut().zip(survivors.row.x).enumerate() {
                *out = window.contains(l, id as u32);
            }
            Ok(())
        })
    }

    /// Writes the lowest and the highest kept logit of each row (NaN for an empty one).
    ///
    /// # Errors
    /// As [`Batch::truncate`].
    pub fn cutoffs<T: Element>(&self, logits: &impl Rows<T>, out: &mut [f64]) -> Result<()> {
        self.for_rows(logits, out, 2, |prepared, x, out| {
            let mut survivors = prepared.survivors(x)?;
            out.fill(f64::NAN);
            if let Some((lowest, _)) = survivors.least_from(f32::MIN) {
                out[0] = f64::from(lowest);
                out[1] = f64::from(survivors.max());
            }
            Ok(())
        })
    }

    /// Writes the exact law of the drawn token of each row. XTC's coin is averaged over.
    ///
    /// # Errors
    /// As [`Batch::sample`].
    pub fn distribution<T: Element>(&self, logits: &impl Rows<T>, out: &mut [f64]) -> Result<()> {
        self.for_rows(logits, out, logits.cols().max(1), |prepared, x, out| {
            out.fill(0.0);
            let coin = if prepared.batch.rules.options.order.contains(&Step::Xtc) {
                prepared.params.xtc_probability
            } else {
                0.0
            };
            for (share, excludes) in [(coin, true), (1.0 - coin, false)] {
                if share > 0.0 {
                    let row = prepared.row;
                    let mut survivors =
                        prepared.survivors_with(x, &mut || if excludes { -1.0 } else { 2.0 })?;
                    survivors.add_law(row, share, out)?;
                }
            }
            Ok(())
        })
    }
}

/// A row about to be narrowed.
struct Prepared<'a> {
    batch: &'a Batch<'a>,
    row: usize,
    params: Params,
    scratch: &'a mut Scratch,
    threads: Threads<'a>,
}

impl Prepared<'_> {
    fn smooths(&self) -> bool {
        self.params.smoothing_factor > 0.0
            && self.batch.rules.options.order.contains(&Step::Smoothing)
    }

    /// The survivors of the rules, with XTC's coin from the row's stream.
    fn survivors<'s, T: Element>(&'s mut self, x: &'s [T]) -> Result<Survivors<'s>> {
        let (stream, id) = self.batch.stream(self.row);
        let step = self.batch.step;
        self.survivors_with(x, &mut || stream.at_step(step).draws(Purpose::Coin, id).uniform())
    }

    fn survivors_with<'s, T: Element>(
        &'s mut self,
        x: &'s [T],
        coin: &mut dyn FnMut() -> f64,
    ) -> Result<Survivors<'s>> {
        let smooths = self.smooths();
        let Scratch { wide, edited, blocks, work } = &mut *self.scratch;
        let mut row = T::widen(x, wide);
        let batch = self.batch;
        if batch.bias.is_some() || !matches!(batch.mask, Mask::None) || smooths {
            edited.clear();
            edited.extend_from_slice(row);
            batch.edit(self.row, edited);
            if smooths {
                let max = Row::read(edited, blocks, self.row, self.threads)?.max;
                let Params { smoothing_factor, smoothing_curve, .. } = self.params;
                rules::smooth(edited, max, smoothing_factor, smoothing_curve);
            }
            row = edited;
        }
        let row = Row::read(row, blocks, self.row, self.threads)?;
        let mut survivors = Survivors::new(row, self.threads, work);
        if survivors.is_empty() {
            return Ok(survivors);
        }
        let options = &batch.rules.options;
        for &step in &options.order {
            rules::apply(step, &mut survivors, &self.params, options, coin);
            if survivors.is_single() {
                break;
            }
        }
        Ok(survivors)
    }

    fn draw<T: Element>(
        &mut self,
        x: &[T],
        uniforms: Option<&[f64]>,
        method: Method,
    ) -> Result<(u32, f32)> {
        let (stream, id) = self.batch.stream(self.row);
        let row = self.row;
        let mut draws = stream.at_step(self.batch.step).draws(Purpose::Token, id);
        let mut survivors = self.survivors(x)?;
        let drawn = match uniforms {
            Some(uniforms) => survivors.draw(Method::Scan, &mut || uniforms[row]),
            None => survivors.draw(method, &mut || draws.uniform()),
        };
        drawn.ok_or_else(|| Error::row("logits", row, "no finite logit"))
    }

    fn details<T: Element>(
        &mut self,
        x: &[T],
        uniforms: Option<&[f64]>,
        method: Method,
        top: usize,
        processed: bool,
    ) -> Result<Details> {
        let row = self.row;
        let (token, _) = self.draw(x, uniforms, method)?;
        let mut survivors = self.survivors(x)?;
        let mass = survivors.kept_mass();
        let mut details = Details { token: i64::from(token), mass, ..Details::default() };
        if processed {
            let l = survivors.row.x[token as usize];
            details.logprob = survivors.ln_p(l);
            details.top = survivors.top(top);
        }
        // The rank, and the raw law, are those of the logits as they were given.
        let Scratch { wide, blocks, work, .. } = &mut *self.scratch;
        let raw = Row::read(T::widen(x, wide), blocks, row, self.threads)?;
        let l = raw.x[token as usize];
        details.rank = simd::count_at_least(raw.x, l) as i64;
        if !processed {
            let mut all = Survivors::new(raw, self.threads, work);
            details.logprob = all.ln_p(l);
            details.top = all.top(top);
        }
        Ok(details)
    }
}

impl Batch<'_> {
    /// Applies the bias and the mask to a copy of the row.
    fn edit(&self, row: usize, x: &mut [f32]) {
        if let Some((ids, values)) = self.bias {
            for (id, value) in ids.iter().zip(values) {
                x[*id as usize] += value;
            }
        }
        match self.mask {
            Mask::None => {}
            Mask::Bytes(bytes) => {
                let at = if bytes.len() > x.len() { row * x.len() } else { 0 };
                for (l, allowed) in x.iter_mut().zip(&bytes[at..]) {
                    if *allowed == 0 {
                        *l = f32::NEG_INFINITY;
                    }
                }
            }
            Mask::Bits(words) => {
                let width = x.len().div_ceil(32);
                let at = if words.len() > width { row * width } else { 0 };
                for (i, l) in x.iter_mut().enumerate() {
                    if words[at + i / 32] >> (i % 32) & 1 == 0 {
                        *l = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
}

impl Survivors<'_> {
    /// Log-probability of a surviving logit under the law of the survivors.
    fn ln_p(&mut self, l: f32) -> f64 {
        let law = self.law(Wanted::default());
        (f64::from(l) - f64::from(law.max)) / self.temperature() - law.z.ln()
    }

    /// Adds `share` times the law of the survivors.
    fn add_law(&mut self, row: usize, share: f64, out: &mut [f64]) -> Result<()> {
        if self.is_empty() {
            return Err(Error::row("logits", row, "no finite logit"));
        }
        let window = self.window;
        let max = f64::from(self.max());
        let (x, t) = (self.row.x, self.temperature());
        let weight = |id: usize| {
            let l = x[id];
            if window.contains(l, id as u32) { ((f64::from(l) - max) / t).exp() } else { 0.0 }
        };
        let z: f64 = (0..x.len()).map(weight).sum();
        for (id, p) in out.iter_mut().enumerate() {
            *p += share * weight(id) / z;
        }
        Ok(())
    }

    /// The share of the row's mass, at the final temperature, that the survivors hold.
    fn kept_mass(&mut self) -> f64 {
        let law = self.law(Wanted::default());
        let scale = self.scale();
        let all = simd::exp_sums(
            self.row.x,
            self.row.max,
            scale,
            (f32::NEG_INFINITY, f32::INFINITY),
            Wanted::default(),
        );
        let shift = (f64::from(law.max) - f64::from(self.row.max)) / self.temperature();
        (law.z * shift.exp() / all.z).min(1.0)
    }

    /// The `n` largest surviving logits, lowest id first among equals, with log-probabilities.
    fn top(&mut self, n: usize) -> Vec<(i64, f64)> {
        if n == 0 {
            return Vec::new();
        }
        let bound = self.kth_largest(n);
        let window = self.window;
        let x = self.row.x;
        let mut best: Vec<(f32, u32)> = (0..x.len() as u32)
            .map(|id| (x[id as usize], id))
            .filter(|(l, id)| *l >= bound && window.contains(*l, *id))
            .collect();
        best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(n);
        let mut top: Vec<_> =
            best.into_iter().map(|(l, id)| (i64::from(id), self.ln_p(l))).collect();
        top.resize(n, (-1, f64::NEG_INFINITY));
        top
    }
}
