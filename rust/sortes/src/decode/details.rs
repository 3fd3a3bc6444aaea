//! What is known of drawn tokens: log-probabilities, ranks, the kept mass, the most likely tokens.

use super::call::{Call, OneRow, check_uniforms};
use super::draw::Method;
use super::element::Element;
use super::rows::{Row, Rows};
use super::survivors::{Scratch, Survivors};
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run, simd};

/// Where to write it: an element for each row, and `n` for each row in the last two.
pub struct Details<'a> {
    /// The tokens.
    pub tokens: &'a mut [i64],
    /// Their log-probabilities in nats.
    pub logprob: &'a mut [f64],
    /// How many logits are at least as large.
    pub rank: &'a mut [i64],
    /// Mass of the kept set before it was renormalised, at the final temperature.
    pub mass: &'a mut [f64],
    /// The most likely tokens; -1 where fewer are left.
    pub top_ids: &'a mut [i64],
    /// Their log-probabilities; minus infinity where fewer are left.
    pub top_logprobs: &'a mut [f64],
}

/// The part of one row.
struct OfRow<'a> {
    token: &'a mut i64,
    logprob: &'a mut f64,
    rank: &'a mut i64,
    mass: &'a mut f64,
    top_ids: &'a mut [i64],
    top_logprobs: &'a mut [f64],
}

impl<'a> Details<'a> {
    /// Cuts everything into rows.
    fn into_rows(self) -> Result<Vec<OfRow<'a>>> {
        let Self { tokens, logprob, rank, mass, mut top_ids, mut top_logprobs } = self;
        let n = tokens.len();
        let top = top_ids.len().checked_div(n).unwrap_or(0);
        let fits = [logprob.len(), rank.len(), mass.len()] == [n; 3]
            && [top_ids.len(), top_logprobs.len()] == [n * top; 2];
        if !fits {
            return Err(Error::argument("out", "has parts of different lengths"));
        }
        let mut rows = with_capacity(n, "rows")?;
        for (((token, logprob), rank), mass) in tokens.iter_mut().zip(logprob).zip(rank).zip(mass) {
            let (ids, logprobs);
            (ids, top_ids) = top_ids.split_at_mut(top);
            (logprobs, top_logprobs) = top_logprobs.split_at_mut(top);
            rows.push(OfRow { token, logprob, rank, mass, top_ids: ids, top_logprobs: logprobs });
        }
        Ok(rows)
    }
}

impl Call<'_> {
    /// As [`Call::sample`], with what is known of each token; log-probabilities are those of the
    /// law before everything (`processed` false), or after.
    ///
    /// # Errors
    /// As [`Call::sample`].
    pub fn sample_details<T: Element>(
        &self,
        logits: &impl Rows<T>,
        uniforms: Option<&[f64]>,
        method: Method,
        processed: bool,
        out: Details<'_>,
        run: Run<'_>,
    ) -> Result<()> {
        check_uniforms(uniforms, logits.rows())?;
        let mut out = out.into_rows()?;
        self.for_rows(logits, &mut out, 1, run, |row, x, out| {
            write(row, x, uniforms, method, processed, &mut out[0])
        })
    }
}

fn write<T: Element>(
    row: &mut OneRow<'_>,
    x: &[T],
    uniforms: Option<&[f64]>,
    method: Method,
    processed: bool,
    out: &mut OfRow<'_>,
) -> Result<()> {
    let (mut survivors, token) = row.draw(x, uniforms, method)?;
    *out.token = i64::from(token);
    *out.mass = survivors.kept_mass();
    if processed {
        *out.logprob = survivors.ln_p(survivors.row.x[token as usize]);
        survivors.write_top(out.top_ids, out.top_logprobs);
    }
    // The rank, and the raw law, are those of the logits as they were given.
    let Scratch { wide, blocks, work, .. } = &mut *row.scratch;
    let raw = Row::widen(x, wide, blocks, row.index, row.run)?;
    let l = raw.x[token as usize];
    *out.rank = simd::count_at_least(raw.x, l) as i64;
    if !processed {
        let mut all = Survivors::new(raw, work, row.run)?;
        *out.logprob = all.ln_p(l);
        all.write_top(out.top_ids, out.top_logprobs);
    }
    Ok(())
}

impl Survivors<'_> {
    /// Writes the largest surviving logits, lowest id first among equals, as ids and
    /// log-probabilities.
    fn write_top(&mut self, ids: &mut [i64], logprobs: &mut [f64]) {
        ids.fill(-1);
        logprobs.fill(f64::NEG_INFINITY);
        if ids.is_empty() {
            return;
        }
        let bound = self.kth_largest(ids.len());
        let (x, window) = (self.row.x, self.window);
        let mut best = std::mem::take(&mut self.work.ranked);
        best.clear();
        let left =
            x.iter().enumerate().filter(|(id, l)| **l >= bound && window.contains(**l, *id as u32));
        best.extend(left.map(|(id, l)| (id as f64, *l, 0.0)));
        best.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.total_cmp(&b.0)));
        for ((id, logprob), best) in ids.iter_mut().zip(logprobs).zip(&best) {
            *id = best.0 as i64;
            *logprob = self.ln_p(best.1);
        }
        self.work.ranked = best;
    }
}
