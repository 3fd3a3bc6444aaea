//! The test itself: critical values, keep sets, and proofs that can be checked.

use std::sync::OnceLock;

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Error, Result};

use super::interior::Interior;
use super::judge::Judge;
use super::row::Row;
use super::search::Search;
use super::{Failure, Features, Settings};

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

/// Decides on one token of the distribution `p` at the threshold `tau < 1`, with a proof.
///
/// # Errors
/// [`Error::Row`] if the solver gives up, [`Error::Cancelled`].
pub fn decide(
    features: &Features,
    settings: Settings,
    p: Vec<f64>,
    token: usize,
    tau: f64,
    cancel: &Cancel,
) -> Result<Decision> {
    if p[token] == 0.0 {
        return Ok(Decision::Removed(p));
    }
    let row = Row::new(features, settings, p);
    let fail = |failure: Failure| failure.of(0, token, settings);
    let mut search = Search::new(&row, token).map_err(fail)?;
    let mut budget = settings.max_pivots;
    if row.p[token] > tau || search.run(Some(tau), &mut budget, cancel).map_err(fail)? {
        return Ok(Decision::Kept(features.unscaled(&search.proof().price)));
    }
    let part = search.part();
    let rest = 1.0 - part.iter().sum::<f64>();
    Ok(Decision::Removed(row.p.iter().zip(part).map(|(p, d)| (p - d) / rest).collect()))
}

/// The critical values of `tokens` under the distribution `p`; zero for a token without mass.
///
/// `row` names the distribution in errors.
///
/// # Errors
/// [`Error::Row`] if the solver gives up, [`Error::Cancelled`].
pub fn critical(
    features: &Features,
    settings: Settings,
    p: Vec<f64>,
    tokens: &[usize],
    row: usize,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<f64>> {
    let shared = Row::new(features, settings, p);
    let one = |&token: &usize| {
        if shared.p[token] == 0.0 {
            return Ok(0.0);
        }
        let solved = Search::new(&shared, token).and_then(|mut search| {
            search.run(None, &mut settings.max_pivots.clone(), cancel)?;
            Ok(search.critical())
        });
        cancel.advance(1);
        solved.map_err(|failure| failure.of(row, token, settings))
    };
    in_chunks(tokens, threads, cancel, |chunk| chunk.iter().map(one).collect())
}

/// The ids that are kept at `tau` under the distribution `p`, as a mask.
///
/// A token that the solver gives up on is kept, unless `strict`.
///
/// # Errors
/// [`Error::Row`] if `strict` and the solver gives up, [`Error::Cancelled`].
#[allow(clippy::too_many_arguments)] // each is one thing that a caller decides
pub fn keep(
    features: &Features,
    settings: Settings,
    p: Vec<f64>,
    tau: f64,
    strict: bool,
    row: usize,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<bool>> {
    let shared = Row::new(features, settings, p);
    let interior = Interior::new(&shared);
    let judge = Judge::new(&shared, tau);
    let mut mask = vec![false; shared.p.len()];
    let mut open = Vec::new();
    for (token, kept) in mask.iter_mut().enumerate() {
        match judge.at_once(token) {
            Some(known) => *kept = known,
            None if interior.as_ref().is_some_and(|i| i.removes(&shared, token, tau)) => {}
            None => open.push(token),
        }
    }
    cancel.advance((mask.len() - open.len()) as u64);
    let kept = in_chunks(&open, threads, cancel, |chunk| {
        let mut judge = Judge::new(&shared, tau);
        chunk
            .iter()
            .map(|&token| {
                cancel.advance(1);
                match judge.at_once(token) {
                    Some(known) => Ok(known),
                    None => judge
                        .solve(token, strict, cancel)
                        .map_err(|failure| failure.of(row, token, settings)),
                }
            })
            .collect()
    })?;
    for (token, kept) in open.into_iter().zip(kept) {
        mask[token] = kept;
    }
    Ok(mask)
}

/// Runs `f` over chunks of `items` and joins the answers.
fn in_chunks<T: Send + Sync>(
    items: &[usize],
    threads: Threads<'_>,
    cancel: &Cancel,
    f: impl Fn(&[usize]) -> Result<Vec<T>> + Sync + Send,
) -> Result<Vec<T>> {
    let chunks: Vec<&[usize]> = items.chunks(CHUNK).collect();
    let slots: Vec<OnceLock<Result<Vec<T>>>> = chunks.iter().map(|_| OnceLock::new()).collect();
    threads.for_each(chunks.len(), |task| {
        if !cancel.is_cancelled() {
            let _ = slots[task].set(f(chunks[task]));
        }
    });
    let mut joined = Vec::with_capacity(items.len());
    for slot in slots {
        joined.extend(slot.into_inner().unwrap_or(Err(Error::Cancelled))?);
    }
    Ok(joined)
}
