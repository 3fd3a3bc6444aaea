//! The test itself: critical values, keep sets, and proofs that can be checked.

use sortes_core::memory::{filled, reserve, with_capacity};
use sortes_core::{Error, Result, Run};

use super::distribution::Distribution;
use super::law::{self, Law};
use super::leverage::Leverages;
use super::membership::Membership;
use super::search::Search;
use super::{BasisAware, Failure};
use crate::decode::{Call, Element, Rows};

/// Tokens whose programs run one after the other, and may use each other's proofs.
const CHUNK: usize = 16;

/// A decision and its proof.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The token is kept: `y` with
    /// `sigma sum_(j != i) p_j max(a_j . y, 0) < sum_j p_j a_j . y`. For the signed program
    /// `a_j . y >= 0` for every other token `j` of positive probability.
    Kept(Vec<f64>),
    /// The token is removed: a `q` that explains it away.
    Removed(Vec<f64>),
}

impl BasisAware {
    /// Checks that rows have a column for each token.
    ///
    /// # Errors
    /// [`Error::Shape`] otherwise.
    pub(super) fn check<T>(&self, logits: &impl Rows<T>) -> Result<()> {
        let vocabulary = self.features.vocabulary();
        if logits.cols() == vocabulary {
            return Ok(());
        }
        Err(Error::Shape {
            name: "logits",
            expected: format!("(B, {vocabulary})"),
            got: format!("({}, {})", logits.rows(), logits.cols()),
        })
    }

    /// Writes the probability at which the rules of the call cut each row.
    ///
    /// # Errors
    /// As [`BasisAware::sample`].
    pub fn cutoffs<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        out: &mut [f64],
        run: Run<'_>,
    ) -> Result<()> {
        self.check(logits)?;
        call.for_rows(logits, out, 1, run, |row, x, out| {
            out[0] = law::cut_of(row, x)?;
            Ok(())
        })
    }

    /// Writes whether each token is kept: by the rules of the call, or by the test. Progress counts
    /// tokens.
    ///
    /// # Errors
    /// As [`BasisAware::sample`].
    pub fn keep_mask<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        out: &mut [bool],
        run: Run<'_>,
    ) -> Result<()> {
        self.check(logits)?;
        call.check(logits.rows(), logits.cols())?;
        // One row after the other: the programs of a row share the threads.
        for (index, out) in out.chunks_mut(logits.cols().max(1)).enumerate() {
            let law = call.with_row(logits, index, run, law::of_row)?;
            self.keep(law, index, out, run)?;
        }
        Ok(())
    }

    /// Writes whether each token of a row is kept.
    pub(super) fn keep(&self, law: Law, row: usize, out: &mut [bool], run: Run<'_>) -> Result<()> {
        let Law { p, kept, tau } = law;
        let distribution = Distribution::new(&self.features, self.settings, p, run)?;
        // 1. What needs no program.
        let leverages = Leverages::new(&distribution, run)?;
        let members = Membership::new(&distribution, tau, &kept);
        let mut open = Vec::new();
        for (token, out) in out.iter_mut().enumerate() {
            if token % CHUNK == 0 {
                run.check()?;
                reserve(&mut open, CHUNK, "tokens of one row")?;
            }
            let known = members.at_once(token);
            *out = known == Some(true);
            let goes = |l: &Leverages| l.remove(&distribution, token, tau);
            if known.is_none() && !leverages.as_ref().is_some_and(goes) {
                open.push(token);
            }
        }
        run.advance((out.len() - open.len()) as u64);
        // 2. The programs of the others.
        let answers = in_chunks(&open, false, run, |tokens, answers, run| {
            let mut members = Membership::new(&distribution, tau, &kept);
            for (&token, answer) in tokens.iter().zip(answers) {
                *answer = match members.at_once(token) {
                    Some(known) => known,
                    None => members
                        .solve(token, self.strict, run)
                        .map_err(|failure| failure.of(row, token, self.settings))?,
                };
                run.advance(1);
            }
            Ok(())
        })?;
        for (token, answer) in open.into_iter().zip(answers) {
            out[token] = answer;
        }
        Ok(())
    }

    /// Writes the critical values of some tokens in each row, zero for a token without mass: a token
    /// is kept if its value exceeds `tau`. Progress counts tokens.
    ///
    /// # Errors
    /// As [`BasisAware::sample`]; [`Error::Argument`] if an id is outside the vocabulary,
    /// [`Error::Row`] if the solver gives up.
    pub fn critical<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        ids: &[i64],
        out: &mut [f64],
        run: Run<'_>,
    ) -> Result<()> {
        self.check(logits)?;
        call.check(logits.rows(), logits.cols())?;
        let vocabulary = self.features.vocabulary();
        let mut tokens = with_capacity(ids.len(), "tokens")?;
        for (item, &id) in ids.iter().enumerate() {
            let token = usize::try_from(id).ok().filter(|&token| token < vocabulary);
            let domain = format!("[0, {vocabulary})");
            tokens.push(token.ok_or_else(|| Error::item("ids", item, &domain, id))?);
        }
        for (index, out) in out.chunks_mut(tokens.len().max(1)).enumerate() {
            let law = call.with_row(logits, index, run, law::of_row)?;
            out.copy_from_slice(&self.critical_of(law.p, &tokens, index, run)?);
        }
        Ok(())
    }

    /// The critical values of `tokens` under the distribution `p` of a row.
    pub(super) fn critical_of(
        &self,
        p: Vec<f64>,
        tokens: &[usize],
        row: usize,
        run: Run<'_>,
    ) -> Result<Vec<f64>> {
        let distribution = Distribution::new(&self.features, self.settings, p, run)?;
        in_chunks(tokens, 0.0, run, |tokens, values, run| {
            for (&token, value) in tokens.iter().zip(values) {
                if distribution.p[token] > 0.0 {
                    let solved = Search::new(&distribution, token, run).and_then(|mut search| {
                        search.run(None, &mut self.settings.max_pivots.clone(), run)?;
                        Ok(search.critical())
                    });
                    *value = solved.map_err(|failure| failure.of(row, token, self.settings))?;
                }
                run.advance(1);
            }
            Ok(())
        })
    }

    /// Decides on one token of the first row at the threshold `tau < 1`, with a proof. Only the law of
    /// the call counts, not what its rules cut.
    ///
    /// # Errors
    /// As [`BasisAware::sample`]; [`Error::Argument`] if the id is outside the vocabulary,
    /// [`Error::Row`] if the solver gives up.
    ///
    /// # Panics
    /// If there is no row.
    pub fn decide<T: Element>(
        &self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        id: i64,
        tau: f64,
        run: Run<'_>,
    ) -> Result<Decision> {
        self.check(logits)?;
        let vocabulary = self.features.vocabulary();
        let token = usize::try_from(id).ok().filter(|&token| token < vocabulary);
        let outside = || Error::argument("id", format!("must be in [0, {vocabulary}), got {id}"));
        let token = token.ok_or_else(outside)?;
        call.check(logits.rows(), logits.cols())?;
        let law = call.with_row(logits, 0, run, law::of_row)?;
        self.decide_of(law.p, token, tau, run)
    }

    /// Decides on one token of the distribution `p`.
    pub(super) fn decide_of(
        &self,
        p: Vec<f64>,
        token: usize,
        tau: f64,
        run: Run<'_>,
    ) -> Result<Decision> {
        if p[token] == 0.0 {
            return Ok(Decision::Removed(p));
        }
        let distribution = Distribution::new(&self.features, self.settings, p, run)?;
        let fail = |failure: Failure| failure.of(0, token, self.settings);
        let mut search = Search::new(&distribution, token, run).map_err(fail)?;
        let mut budget = self.settings.max_pivots;
        let p = &distribution.p;
        if p[token] > tau || search.run(Some(tau), &mut budget, run).map_err(fail)? {
            return Ok(Decision::Kept(self.features.unscaled(&search.proof().price)));
        }
        // What is left of the distribution without the part.
        run.check()?;
        let mut q = search.part().map_err(fail)?;
        let rest = 1.0 - q.iter().sum::<f64>();
        for (q, p) in q.iter_mut().zip(p) {
            *q = (p - *q) / rest;
        }
        Ok(Decision::Removed(q))
    }
}

/// Calls `f(items, answers, run)` for chunks of `items` on all threads; the answers in order.
fn in_chunks<T: Clone + Send>(
    items: &[usize],
    first: T,
    run: Run<'_>,
    f: impl Fn(&[usize], &mut [T], Run<'_>) -> Result<()> + Sync + Send,
) -> Result<Vec<T>> {
    let mut answers = filled(items.len(), first, "answers")?;
    let mut chunks = with_capacity(items.len().div_ceil(CHUNK), "chunks of answers")?;
    chunks.extend(items.chunks(CHUNK).zip(answers.chunks_mut(CHUNK)));
    run.try_fill_chunks(&mut chunks, 1, |_, chunk| {
        let (items, answers) = &mut chunk[0];
        f(items, answers, run.serial())
    })?;
    Ok(answers)
}
