//! Stochastic batch acquisition: a batch drawn by scores instead of the best scores.
//!
//! Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal, "Stochastic batch acquisition:
//! a simple baseline for deep active learning", TMLR 2023, arXiv:2106.12059.

use std::cmp::Ordering;

use sortes_core::error::shown;
use sortes_core::memory::{reserve, with_capacity, zeroed};
use sortes_core::order::sort;
use sortes_core::races::{Keyed, successive_given, successive_logs};
use sortes_core::rng::{Stream, elementary};
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

/// Where the Gumbel noise of a draw comes from.
#[derive(Debug, Clone, Copy)]
pub enum Noise<'a> {
    /// The keys of the items of a stream.
    Stream(Stream),
    /// Given values, one per item.
    Given(&'a [f64]),
}

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

/// The indices of the finite `values` in order, the largest value first and among equal ones the
/// lowest index, with their values.
fn descending(values: &[f64], run: Run<'_>) -> Result<Vec<(f64, usize)>> {
    let mut order = with_capacity(values.len(), "indices of scores")?;
    for range in run.blocks(values.len(), BLOCK) {
        let range = range?;
        let pairs = values[range.clone()].iter().copied().zip(range);
        order.extend(pairs.filter(|(value, _)| value.is_finite()));
    }
    sort(&mut order, largest_first, run)?;
    Ok(order)
}

fn largest_first(a: &(f64, usize), b: &(f64, usize)) -> Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
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

/// Up to here log weights leave the noise its precision.
const LARGE: f64 = 1e6;
/// More than the largest difference of noise: the logarithm of an exponential of a stream lies
/// between -45.1 and 3.7.
const GAP: f64 = 64.0;

/// Where log weights are so large that adding noise to them would lose it, moves them to zero and
/// closes the gaps between them, as far as no noise bridges them: every draw comes out as it would
/// in exact arithmetic, and equal items remain equally likely.
fn close_gaps(log_weights: &mut [f64], run: Run<'_>) -> Result<()> {
    let mut large = false;
    for range in run.blocks(log_weights.len(), BLOCK) {
        let logs = &log_weights[range?];
        large |= logs.iter().any(|log| log.abs() > LARGE && log.is_finite());
    }
    if !large {
        return Ok(());
    }
    let order = descending(log_weights, run)?;
    let (mut before, mut moved) = (order[0].0, 0.0);
    for range in run.blocks(order.len(), BLOCK) {
        for &(log, item) in &order[range?] {
            moved -= (before - log).min(GAP);
            before = log;
            log_weights[item] = moved;
        }
    }
    Ok(())
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
    if let Noise::Given(noise) = noise {
        check_noise(noise, n, run)?;
    }
    let mut log_weights = log_weights(scores, strategy, beta, run)?;
    if matches!(noise, Noise::Stream(..)) {
        close_gaps(&mut log_weights, run)?;
    }
    let draw = |k, log_weight: &(dyn Fn(usize) -> f64 + Sync)| match noise {
        Noise::Stream(stream) => successive_logs(n, k, stream, log_weight, run),
        Noise::Given(noise) => successive_given(noise, k, log_weight, run),
    };
    let mut batch = draw(k, &|i| log_weights[i])?;
    if batch.len() < k {
        // Items of weight zero, by a second race among them alone.
        run.expect(2 * n as u64);
        let others =
            |i: usize| if log_weights[i] == f64::NEG_INFINITY { 0.0 } else { f64::NEG_INFINITY };
        let rest = draw(k - batch.len(), &others)?;
        reserve(&mut batch, rest.len(), "items of a batch")?;
        batch.extend(rest);
    }
    Ok(batch)
}

/// Refuses noise that is not one finite number per score.
fn check_noise(noise: &[f64], n: usize, run: Run<'_>) -> Result<()> {
    if noise.len() != n {
        let (expected, got) = (format!("({n},)"), format!("({},)", noise.len()));
        return Err(Error::Shape { name: "noise", expected, got });
    }
    for range in run.blocks(n, BLOCK) {
        for index in range? {
            if !noise[index].is_finite() {
                return Err(Error::item("noise", index, "(-inf, inf)", shown(noise[index])));
            }
        }
    }
    Ok(())
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
