//! Stochastic batch acquisition: a batch drawn by scores instead of the best scores.
//!
//! Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch acquisition:
//! a simple baseline for deep active learning", TMLR 2023, arXiv:2106.12059.

use sortes_core::error::shown;
use sortes_core::memory::{reserve, with_capacity, zeroed};
use sortes_core::order::descending;
use sortes_core::races::{Keyed, Noise, close_gaps};
use sortes_core::rng::elementary;
use sortes_core::{Error, Result, Run};

/// Scores between two polls.
const BLOCK: usize = 1 << 14;

/// How scores become log weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `beta ln(score)`, for scores that are not negative (but for [`ROUNDING`]).
    Power,
    /// `beta score`.
    Softmax,
    /// `-beta ln(rank)`, where the best score has rank 1 and equal scores share their mean rank.
    Softrank,
}

/// A negative score of at most this size, relative to the largest score or to one, is zero but for
/// rounding: differences of entropies in single precision come out like that.
pub const ROUNDING: f64 = 1e-6;

/// The log weights of `scores`; minus infinity for what is drawn only after everything else.
///
/// # Errors
/// If a score is not finite, or negative with [`Strategy::Power`], if a log weight overflows, if there
/// is no memory, or if the work is cancelled.
pub fn log_weights(
    scores: &[f64],
    strategy: Strategy,
    beta: f64,
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let refused =
        |index: usize, domain: &str| Error::item("scores", index, domain, shown(scores[index]));
    let mut largest = 0.0f64;
    for range in run.blocks(scores.len(), BLOCK) {
        for index in range? {
            if !scores[index].is_finite() {
                return Err(refused(index, "(-inf, inf)"));
            }
            largest = largest.max(scores[index]);
        }
    }
    let ranks = match strategy {
        Strategy::Softrank => mean_ranks(scores, run)?,
        _ => Vec::new(),
    };
    let zero = -ROUNDING * largest.max(1.0);
    let mut out = with_capacity(scores.len(), "log weights")?;
    for range in run.blocks(scores.len(), BLOCK) {
        for index in range? {
            let score = scores[index];
            let log = match strategy {
                Strategy::Power if score < zero => {
                    return Err(refused(index, "[0, inf) for the strategy 'power'"));
                }
                Strategy::Power if score <= 0.0 => f64::NEG_INFINITY,
                Strategy::Power => finite(beta * elementary::ln_any(score)),
                Strategy::Softmax => finite(beta * score),
                Strategy::Softrank => finite(-beta * elementary::ln(ranks[index])),
            };
            if log.is_nan() {
                return Err(refused(index, "the range of float64 divided by beta"));
            }
            out.push(log);
        }
    }
    Ok(out)
}

/// A log weight, or NaN if it has overflown.
fn finite(log: f64) -> f64 {
    if log.is_finite() { log } else { f64::NAN }
}

/// The rank of every score, from 1 for the best one; equal scores share their mean rank.
fn mean_ranks(scores: &[f64], run: Run<'_>) -> Result<Vec<f64>> {
    let order = descending(scores, run)?;
    let mut ranks = zeroed(scores.len(), "ranks of scores")?;
    let mut before = 0;
    while before < order.len() {
        // Ranks before + 1 to before + equal.
        let equal = run_of_equals(&order[before..], run)?;
        let mean = before as f64 + (equal + 1) as f64 / 2.0;
        for range in run.blocks(equal, BLOCK) {
            let range = range?;
            for &(_, item) in &order[before + range.start..before + range.end] {
                ranks[item] = mean;
            }
        }
        before += equal;
    }
    Ok(ranks)
}

/// How many of the first scores are equal.
fn run_of_equals(order: &[(f64, usize)], run: Run<'_>) -> Result<usize> {
    for range in run.blocks(order.len(), BLOCK) {
        let range = range?;
        let others = order[range.clone()].iter().position(|(score, _)| *score != order[0].0);
        if let Some(index) = others {
            return Ok(range.start + index);
        }
    }
    Ok(order.len())
}

/// A batch of `k` distinct items in the order in which they are drawn. Items of weight zero follow
/// when the others are used up, in uniformly random order. Progress counts scores.
///
/// # Errors
/// As [`log_weights`]; if `k` exceeds the number of scores; if given noise is not one finite number
/// per score.
pub fn acquire(
    scores: &[f64],
    k: usize,
    strategy: Strategy,
    beta: f64,
    noise: Noise<'_>,
    run: Run<'_>,
) -> Result<Vec<Keyed>> {
    let n = scores.len();
    if k > n {
        let reason = format!("must be at most the number of scores, {n}, got {k}");
        return Err(Error::argument("k", reason));
    }
    noise.check(n, run)?;
    let mut log_weights = log_weights(scores, strategy, beta, run)?;
    if matches!(noise, Noise::Stream(..)) {
        close_gaps(&mut log_weights, run)?;
    }
    let mut batch = noise.successive(n, k, |i| log_weights[i], run)?;
    if batch.len() < k {
        // Items of weight zero, by a second race among them alone.
        run.expect(2 * n as u64);
        let others =
            |i: usize| if log_weights[i] == f64::NEG_INFINITY { 0.0 } else { f64::NEG_INFINITY };
        let rest = noise.successive(n, k - batch.len(), others, run)?;
        reserve(&mut batch, rest.len(), "items of a batch")?;
        batch.extend(rest);
    }
    Ok(batch)
}

/// The probability of each item of being drawn first; equal if all weights are zero. Progress counts
/// scores.
///
/// # Errors
/// As [`log_weights`].
pub fn probabilities(
    scores: &[f64],
    strategy: Strategy,
    beta: f64,
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let mut weights = log_weights(scores, strategy, beta, run)?;
    let max = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        let equal = 1.0 / scores.len() as f64;
        weights.fill(equal);
        run.advance(scores.len() as u64);
        return Ok(weights);
    }
    let mut total = 0.0;
    for range in run.blocks(weights.len(), BLOCK) {
        for weight in &mut weights[range?] {
            *weight = (*weight - max).exp();
            total += *weight;
        }
    }
    for range in run.blocks(scores.len(), BLOCK) {
        let range = range?;
        weights[range.clone()].iter_mut().for_each(|weight| *weight /= total);
        run.advance(range.len() as u64);
    }
    Ok(weights)
}
