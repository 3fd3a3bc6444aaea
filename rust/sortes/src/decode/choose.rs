//! Tokens that somebody else takes, by an order of the vocabulary that he may choose: the decoder of
//! a code, where the draw would read a uniform.
//!
//! A long row is shown in two levels, as the draw walks it: the masses of groups of neighbours in the
//! order, then the weights within the group that was taken. Every weight and every sum is a function
//! of the row alone, so that all who look at equal rows see equal numbers.

use super::call::{Call, nothing_left};
use super::crossing::{BINS, Pass, Rank, spread};
use super::element::Element;
use super::pipeline::Ties;
use super::rows::{CHUNK, Rows};
use super::survivors::Survivors;
use sortes_core::simd::{self, Wanted};
use sortes_core::{Result, Run};

/// How far below the largest logit, in units of the temperature, an exponential is zero in `f32`.
const WEIGHTLESS: f32 = 88.0;

/// Who takes one token of a row.
pub trait Chooser: Send {
    /// Whether it takes nothing at all; the row is not read then.
    fn is_done(&self) -> bool;

    /// Takes one of several parts of what is left of the row, by their masses, which need not sum to
    /// one; `None` if all of them are zero.
    fn choose(&mut self, masses: impl Iterator<Item = f64> + Clone) -> Option<usize>;

    /// Is told which token that was, and the logarithm of its probability.
    fn take(&mut self, token: u32, ln_p: f64);
}

/// The order in which tokens are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrder<'a> {
    /// By id.
    Id,
    /// The most likely first, the lowest id among equals.
    Probability,
    /// This one: every id once.
    Given(&'a [i64]),
}

impl Call<'_> {
    /// Lets each chooser take a token of its row, from the law of the kept set.
    ///
    /// # Errors
    /// As [`Call::sample`]. Choosers have changed then.
    pub fn choose<T: Element, C: Chooser>(
        &self,
        logits: &impl Rows<T>,
        order: TokenOrder<'_>,
        choosers: &mut [C],
        run: Run<'_>,
    ) -> Result<()> {
        self.for_rows(logits, choosers, 1, run, |row, x, choosers| {
            let chooser = &mut choosers[0];
            if chooser.is_done() {
                return Ok(());
            }
            let index = row.index;
            let mut survivors = row.survivors(x)?;
            let token = survivors.choose(order, chooser).ok_or_else(|| nothing_left(index))?;
            let l = survivors.row.x[token as usize];
            chooser.take(token, survivors.ln_p(l));
            Ok(())
        })
    }
}

impl Survivors<'_> {
    fn choose(&mut self, order: TokenOrder<'_>, chooser: &mut impl Chooser) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        if self.is_single() {
            return self.work.ids.first().copied();
        }
        match order {
            TokenOrder::Id => self.choose_by_id(chooser),
            TokenOrder::Probability => self.choose_by_probability(chooser),
            TokenOrder::Given(ids) => self.choose_in(ids, chooser),
        }
    }

    fn choose_by_id(&mut self, chooser: &mut impl Chooser) -> Option<u32> {
        self.list();
        if self.listed {
            let (max, scale) = (self.max(), self.scale());
            self.weigh_list(max, scale, Wanted::default());
            return Some(self.work.ids[chooser.choose(self.weights())?]);
        }
        let sums = self.exact_sums()?;
        let chunk = chooser.choose(self.work.chunks.iter().map(|c| c.z))?;
        self.weigh_chunk(chunk, sums);
        Some((chunk * CHUNK + chooser.choose(self.weights())?) as u32)
    }

    /// The groups are bins of logits, which are sorted within the bin that is taken, and no others.
    fn choose_by_probability(&mut self, chooser: &mut impl Chooser) -> Option<u32> {
        let (max, scale) = (self.max(), self.scale());
        self.list();
        let ends = (self.window.lo, self.window.hi);
        let work = &mut *self.work;
        let x = if self.listed { &work.values } else { self.row.x };
        let pass = Pass { max, scale, ends, rank: Rank::Logit };
        // What is further away than this has no weight.
        let key = pass.key(spread(pass.furthest(x).min(WEIGHTLESS / scale), BINS));
        work.bins.clear();
        work.bins.resize(BINS, 0.0);
        simd::key_histogram(x, max, scale, ends, &key, &mut work.bins);

        let bin = chooser.choose(work.bins.iter().copied())?;
        work.bin.clear();
        simd::gather_keys(x, ends, &key, (bin as f32, (bin + 1) as f32), &mut work.bin);
        work.bin.sort_unstable_by(|a, b| b.total_cmp(a));
        work.weights.resize(work.bin.len(), 0.0);
        simd::exp_into(&work.bin, max, scale, &mut work.weights);

        let at = chooser.choose(self.weights())?;
        let logit = self.work.bin[at];
        let equals = self.work.bin[..at].iter().rev().take_while(|l| **l == logit).count();
        Some(self.tied_ids(logit, equals + 1, Ties::Low).1)
    }

    /// The row is copied in the order, and then walked as the draw does it.
    fn choose_in(&mut self, ids: &[i64], chooser: &mut impl Chooser) -> Option<u32> {
        let (max, scale) = (self.max(), self.scale());
        let (x, window, work) = (self.row.x, self.window, &mut *self.work);
        work.bin.clear();
        work.bin.extend(ids.iter().map(|&id| {
            let l = x[id as usize];
            if window.contains(l, id as u32) { l } else { f32::NEG_INFINITY }
        }));
        let everything = (f32::NEG_INFINITY, f32::INFINITY);
        let weigh = |chunk| simd::exp_sums(chunk, max, scale, everything, Wanted::default());
        self.sums = None;
        work.chunks.clear();
        work.chunks.extend(work.bin.chunks(CHUNK).map(weigh));

        let chunk = chooser.choose(work.chunks.iter().map(|c| c.z))?;
        let first = chunk * CHUNK;
        let stretch = &work.bin[first..work.bin.len().min(first + CHUNK)];
        work.weights.resize(stretch.len(), 0.0);
        simd::exp_into(stretch, max, scale, &mut work.weights);
        Some(ids[first + chooser.choose(self.weights())?] as u32)
    }

    /// The weights that were written last.
    fn weights(&self) -> impl Iterator<Item = f64> + Clone + use<'_> {
        self.work.weights.iter().map(|&w| f64::from(w))
    }
}
