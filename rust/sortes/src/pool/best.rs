//! The expected score, or reward, of the best of `k` samples.
//!
//! Without weights the `k` samples are a random subset of the pool. The best of them is the one of
//! rank `b`, counted from the worst, with probability `C(b, k)/C(n, k) - C(b - 1, k)/C(n, k)`, which is
//! `k / b` times the first term and the same for all pools. With weights they are independent draws in proportion to these.

use sortes_core::error::shown;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::order::sort;
use sortes_core::{Error, Result, Run};

/// Samples of one task.
const TASK: usize = 1 << 12;
/// Products that are added up side by side.
const LANES: usize = 8;

/// Pools of `size` samples each, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Pools<'a> {
    /// The samples of each pool.
    pub size: usize,
    /// What the best is chosen by.
    pub scores: &'a [f64],
    /// What is expected of the best; the scores unless given. Samples of one score share its mean.
    pub rewards: Option<&'a [f64]>,
    /// How likely each sample is; without them, the `k` samples are distinct.
    pub weights: Option<&'a [f64]>,
}

/// A sample: its score, its reward and its weight.
#[derive(Clone, Copy)]
struct Sample {
    score: f64,
    reward: f64,
    weight: f64,
}

/// The expected reward of the best of `k` samples, for each pool and each `k`: row by row. Progress
/// counts samples.
///
/// # Errors
/// If a score or reward is not finite, a weight negative or not finite, all weights of a pool zero,
/// a `k` below 1 or, without weights, above the size of the pools; if there is no memory, or the work
/// is cancelled.
pub fn best(pools: Pools<'_>, k: &[i64], run: Run<'_>) -> Result<Vec<f64>> {
    let n = pools.size;
    check_k(k, pools.weights.is_none().then_some(n))?;
    let rows = pools.scores.len().checked_div(n).unwrap_or(0);
    let mut out = zeroed(rows.saturating_mul(k.len()), "values")?;
    if out.is_empty() {
        return Ok(out);
    }
    let group = (TASK / n).max(1);
    let mut by_rank = with_capacity(k.len(), "numbers of samples")?;
    if pools.weights.is_none() {
        for &k in k {
            by_rank.push(shares(n, k, run)?);
        }
    }
    run.try_fill_chunks(&mut out, group * k.len(), |task, out| {
        let mut samples = with_capacity(n, "samples")?;
        let mut rewards = with_capacity(n, "rewards")?;
        for (i, out) in out.chunks_mut(k.len()).enumerate() {
            pools.read(task * group + i, &mut samples, &mut rewards, run)?;
            if pools.weights.is_some() {
                for (out, &k) in out.iter_mut().zip(k) {
                    *out = weighted(&samples, k as f64, run)?;
                }
            } else {
                for (out, shares) in out.iter_mut().zip(&by_rank) {
                    *out = dot(shares, &rewards, run)?;
                }
            }
            run.advance(n as u64);
        }
        Ok(())
    })?;
    Ok(out)
}

/// Refuses a `k` below 1, or above the size of pools whose samples are drawn once each.
pub(super) fn check_k(k: &[i64], most: Option<usize>) -> Result<()> {
    for &k in k {
        if k < 1 {
            return Err(Error::argument("k", format!("must be at least 1, got {k}")));
        }
        if let Some(n) = most.filter(|&n| k as u64 > n as u64) {
            let reason = format!("must be at most the number of samples, {n}, got {k}");
            return Err(Error::argument("k", reason));
        }
    }
    Ok(())
}

/// Refuses weights that are none: those of the pool of a row.
pub(super) fn check_weights(weights: &[f64], row: usize) -> Result<f64> {
    let bad = |w: &f64| !(0.0..f64::INFINITY).contains(w);
    if let Some(i) = weights.iter().position(bad) {
        return Err(refused("weights", row, i, "[0, inf)", weights[i]));
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 && total < f64::INFINITY {
        return Ok(total);
    }
    Err(Error::row("weights", row, format!("the sum must be in (0, inf), got {}", shown(total))))
}

/// The error of an item of the pool of a row.
pub(super) fn refused(name: &'static str, row: usize, i: usize, domain: &str, x: f64) -> Error {
    Error::row(name, row, format!("item {i} must be in {domain}, got {}", shown(x)))
}

impl Pools<'_> {
    /// Reads the pool of a row, the best sample first: with weights or rewards into `samples`, and
    /// without weights the rewards alone into `rewards`.
    fn read(
        &self,
        row: usize,
        samples: &mut Vec<Sample>,
        rewards: &mut Vec<f64>,
        run: Run<'_>,
    ) -> Result<()> {
        let own = row * self.size..(row + 1) * self.size;
        let scores = &self.scores[own.clone()];
        finite("scores", row, scores, run)?;
        rewards.clear();
        samples.clear();
        if self.rewards.is_none() && self.weights.is_none() {
            for range in run.blocks(scores.len(), TASK) {
                rewards.extend_from_slice(&scores[range?]);
            }
            return sort(rewards, |a, b| b.total_cmp(a), run.serial());
        }
        let worth = self.rewards.map_or(scores, |rewards| &rewards[own.clone()]);
        finite("rewards", row, worth, run)?;
        let weights = self.weights.map(|weights| &weights[own]);
        if let Some(weights) = weights {
            check_weights(weights, row)?;
        }
        for range in run.blocks(scores.len(), TASK) {
            samples.extend(range?.map(|i| Sample {
                score: scores[i],
                reward: worth[i],
                weight: weights.map_or(1.0, |weights| weights[i]),
            }));
        }
        sort(samples, |a, b| b.score.total_cmp(&a.score), run.serial())?;
        share(samples, run)?;
        if weights.is_none() {
            for range in run.blocks(samples.len(), TASK) {
                rewards.extend(samples[range?].iter().map(|sample| sample.reward));
            }
        }
        Ok(())
    }
}

/// Refuses numbers that are not finite: those of the pool of a row.
fn finite(name: &'static str, row: usize, x: &[f64], run: Run<'_>) -> Result<()> {
    for range in run.blocks(x.len(), TASK) {
        let range = range?;
        if let Some(i) = x[range.clone()].iter().position(|x| !x.is_finite()) {
            let i = range.start + i;
            return Err(refused(name, row, i, "(-inf, inf)", x[i]));
        }
    }
    Ok(())
}

/// Gives samples of one score, which are neighbours, their mean reward.
fn share(samples: &mut [Sample], run: Run<'_>) -> Result<()> {
    let mut rest = samples;
    while let Some(first) = rest.first().copied() {
        run.check()?;
        let equal = rest.iter().position(|s| s.score != first.score).unwrap_or(rest.len());
        let (group, others) = rest.split_at_mut(equal);
        let weight: f64 = group.iter().map(|s| s.weight).sum();
        if equal > 1 && weight > 0.0 {
            let mean = group.iter().map(|s| s.weight / weight * s.reward).sum();
            for sample in group {
                sample.reward = mean;
            }
        }
        rest = others;
    }
    Ok(())
}

/// The chance of each rank, the best first, to be the best of `k` distinct samples of `n`; without the
/// ranks that never are.
fn shares(n: usize, k: i64, run: Run<'_>) -> Result<Vec<f64>> {
    let mut shares = zeroed(n + 1 - k as usize, "ranks")?;
    // `below` is C(b, k)/C(n, k), the chance that all k are among the b worst.
    let mut below = 1.0;
    for range in run.blocks(shares.len(), TASK) {
        for i in range? {
            let b = (n - i) as f64;
            shares[i] = below * (k as f64 / b);
            below *= (b - k as f64) / b;
        }
    }
    Ok(shares)
}

/// The sum of the products of the shares and as many of the rewards.
fn dot(shares: &[f64], rewards: &[f64], run: Run<'_>) -> Result<f64> {
    let mut total = 0.0;
    for range in run.blocks(shares.len(), TASK) {
        let range = range?;
        let (shares, rewards) = (&shares[range.clone()], &rewards[range]);
        let ((a, rest_a), (b, rest_b)) =
            (shares.as_chunks::<LANES>(), rewards.as_chunks::<LANES>());
        let mut lanes = [0.0; LANES];
        for (a, b) in a.iter().zip(b) {
            for l in 0..LANES {
                lanes[l] += a[l] * b[l];
            }
        }
        let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
        total += lanes.iter().sum::<f64>() + rest;
    }
    Ok(total)
}

/// Of `k` independent draws; the best comes first.
fn weighted(samples: &[Sample], k: f64, run: Run<'_>) -> Result<f64> {
    let total: f64 = samples.iter().map(|s| s.weight).sum();
    // From the worst to the best, so that small shares are sums of small weights.
    let (mut below, mut before, mut value) = (0.0, 0.0, 0.0);
    for range in run.blocks(samples.len(), TASK) {
        for i in range? {
            let sample = samples[samples.len() - 1 - i];
            below += sample.weight;
            let share = (below / total).powf(k);
            value += (share - before) * sample.reward;
            before = share;
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over all subsets of `k` of the mean reward of those with the best score.
    fn enumerated(scores: &[f64], rewards: &[f64], k: usize) -> f64 {
        let (mut total, mut subsets) = (0.0, 0.0);
        for mask in 0u32..1 << scores.len() {
            if mask.count_ones() as usize == k {
                let chosen: Vec<usize> = (0..scores.len()).filter(|i| mask >> i & 1 == 1).collect();
                let top = chosen.iter().map(|&i| scores[i]).fold(f64::NEG_INFINITY, f64::max);
                // A tie is broken by a random order of the whole pool.
                let tied: Vec<f64> =
                    (0..scores.len()).filter(|&i| scores[i] == top).map(|i| rewards[i]).collect();
                total += tied.iter().sum::<f64>() / tied.len() as f64;
                subsets += 1.0;
            }
        }
        total / subsets
    }

    #[test]
    fn every_subset_is_counted() {
        let scores = [0.3, -1.0, 0.3, 2.0, 0.0, -0.0, 0.3];
        let rewards = [1.0, 0.0, 0.0, 1.0, 1.0, 5.0, 2.0];
        let k: Vec<i64> = (1..=7).collect();
        for given in [None, Some(&rewards[..])] {
            let pools = Pools { size: 7, scores: &scores, rewards: given, weights: None };
            let values = best(pools, &k, Run::alone()).unwrap();
            for (&k, value) in k.iter().zip(values) {
                let expected = enumerated(&scores, given.unwrap_or(&scores), k as usize);
                assert!((value - expected).abs() < 1e-14, "{k}: {value} {expected}");
            }
        }
    }

    #[test]
    fn equal_weights_are_draws_with_replacement() {
        let scores = [1.0, 2.0, 4.0];
        let pools = Pools { size: 3, scores: &scores, rewards: None, weights: Some(&[2.0; 3]) };
        let expected = (1.0 + 2.0 * 3.0 + 4.0 * 5.0) / 9.0;
        let value = best(pools, &[2], Run::alone()).unwrap()[0];
        assert!((value - expected).abs() < 1e-15);
    }
}
