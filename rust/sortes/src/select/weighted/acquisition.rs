//! Stochastic batch acquisition: a batch drawn by scores instead of the best scores.
//!
//! Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch acquisition:
//! a simple baseline for deep active learning" (TMLR 2023, arXiv:2106.12059).

use super::keys::{Keyed, smallest_given, smallest_logs};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Stream, elementary};
use sortes_core::{Error, Result};

/// How scores become log weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `beta ln(score)`, for scores that are not negative.
    Power,
    /// `beta score`.
    Softmax,
    /// `-beta ln(rank)`, where the best score has rank 1 and equal scores share their mean rank.
    Softrank,
}

/// Where the Gumbel noise of a draw comes from.
#[derive(Debug, Clone, Copy)]
pub enum Noise<'a> {
    /// The keys of the items of a stream.
    Stream(Stream, u32),
    /// Given values, one per item.
    Given(&'a [f64]),
}

/// The log weights of `scores`; minus infinity for what is drawn only after everything else.
///
/// # Errors
/// If a score is not finite, or negative with [`Strategy::Power`], or if a log weight overflows.
pub fn log_weights(scores: &[f64], strategy: Strategy, beta: f64) -> Result<Vec<f64>> {
    let fault = |index: usize, what: &str| {
        let score = scores[index];
        let score = if score.is_nan() { "nan".into() } else { format!("{score:?}") };
        Error::argument("scores", format!("item {index} {what}: {score}"))
    };
    if let Some(index) = scores.iter().position(|s| !s.is_finite()) {
        return Err(fault(index, "is not finite"));
    }
    let out: Vec<f64> = match strategy {
        Strategy::Power => {
            if let Some(index) = scores.iter().position(|&s| s < 0.0) {
                return Err(fault(index, "is negative, which the strategy 'power' does not take"));
            }
            let log = |&score| match elementary::ln_any(score) {
                f64::NEG_INFINITY => f64::NEG_INFINITY,
                log => beta * log,
            };
            scores.iter().map(log).collect()
        }
        Strategy::Softmax => scores.iter().map(|score| beta * score).collect(),
        Strategy::Softrank => {
            mean_ranks(scores).into_iter().map(|rank| -beta * elementary::ln(rank)).collect()
        }
    };
    let overflown = |(log, score): (&f64, &f64)| {
        !(log.is_finite() || strategy == Strategy::Power && *score == 0.0)
    };
    match out.iter().zip(scores).position(overflown) {
        Some(index) => Err(fault(index, "times beta exceeds the range of float64")),
        None => Ok(out),
    }
}

fn mean_ranks(scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut ranks = vec![0.0; scores.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        // Ranks before + 1 to before + equal.len().
        let mean = before as f64 + (equal.len() + 1) as f64 / 2.0;
        for &item in equal {
            ranks[item] = mean;
        }
        before += equal.len();
    }
    ranks
}

/// Up to here log weights leave the noise its precision.
const LARGE: f64 = 1e6;
/// More than the largest difference of noise: the logarithm of an exponential of a stream lies
/// between -45.1 and 3.7.
const GAP: f64 = 64.0;

/// Where log weights are so large that adding noise to them would lose it, moves them to zero and
/// closes the gaps between them, as far as no noise bridges them: every draw comes out as it would
/// in exact arithmetic, and equal items remain equally likely.
fn close_gaps(log_weights: &mut [f64]) {
    if log_weights.iter().all(|log| log.abs() <= LARGE || log.is_infinite()) {
        return;
    }
    let mut order: Vec<usize> = (0..log_weights.len()).collect();
    order.retain(|&item| log_weights[item].is_finite());
    order.sort_unstable_by(|&a, &b| log_weights[b].total_cmp(&log_weights[a]));
    let (mut before, mut moved) = (log_weights[order[0]], 0.0);
    for item in order {
        let log = log_weights[item];
        moved -= (before - log).min(GAP);
        before = log;
        log_weights[item] = moved;
    }
}

/// A batch of `k` distinct items in the order in which they are drawn. Items of weight zero follow
/// when the others are used up, in uniformly random order.
///
/// # Errors
/// As [`log_weights`]; if `k` exceeds the number of scores; if given noise is not one finite number
/// per score; if the work is cancelled.
pub fn acquire(
    scores: &[f64],
    k: usize,
    strategy: Strategy,
    beta: f64,
    noise: Noise<'_>,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Vec<Keyed>> {
    let n = scores.len();
    if k > n {
        let reason = format!("must be at most the number of scores, {n}, got {k}");
        return Err(Error::argument("k", reason));
    }
    if let Noise::Given(noise) = noise {
        if noise.len() != n {
            let (expected, got) = (format!("({n},)"), format!("({},)", noise.len()));
            return Err(Error::Shape { name: "noise", expected, got });
        }
        if let Some(index) = noise.iter().position(|g| !g.is_finite()) {
            return Err(Error::argument("noise", format!("item {index} is not finite")));
        }
    }
    let mut log_weights = log_weights(scores, strategy, beta)?;
    cancel.check()?;
    if matches!(noise, Noise::Stream(..)) {
        close_gaps(&mut log_weights);
        cancel.check()?;
    }
    let draw = |k, log_weight: &(dyn Fn(usize) -> f64 + Sync)| match noise {
        Noise::Stream(stream, step) => {
            smallest_logs(n, k, stream, step, threads, cancel, log_weight)
        }
        Noise::Given(noise) => smallest_given(noise, k, log_weight),
    };
    let mut batch = draw(k, &|i| log_weights[i])?;
    if batch.len() < k {
        let others =
            |i: usize| if log_weights[i] == f64::NEG_INFINITY { 0.0 } else { f64::NEG_INFINITY };
        batch.extend(draw(k - batch.len(), &others)?);
    }
    Ok(batch)
}

/// The probability of each item of being drawn first; equal if all weights are zero.
///
/// # Errors
/// As [`log_weights`].
pub fn probabilities(scores: &[f64], strategy: Strategy, beta: f64) -> Result<Vec<f64>> {
    let logs = log_weights(scores, strategy, beta)?;
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return Ok(vec![1.0 / scores.len() as f64; scores.len()]);
    }
    let mut weights: Vec<f64> = logs.into_iter().map(|log| (log - max).exp()).collect();
    let total: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= total;
    }
    Ok(weights)
}
