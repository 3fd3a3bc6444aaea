//! pass@k of independent samples, estimated from distinct ones of known probability.
//!
//! Independent draws of a model, repeats left out, are draws without replacement. So the other way
//! round: who has `m` distinct draws and their probabilities knows the law of the independent draws
//! behind them, of which the first `k <= m` lie among them for certain. The estimate is the chance,
//! given the set of the `m` samples, that these `k` hold a right one: it is unbiased, lies in `[0, 1]`,
//! and no unbiased estimate that looks at the order of the samples has a smaller variance for it.
//! For `k = 1` it is the unordered-set estimate of Kool, van Hoof and Welling, "Estimating gradients
//! for discrete random variables by sampling without replacement", ICLR 2020, arXiv:2002.06043.
//!
//! In continuous time item `i` arrives at rate `p_i`, and the first arrival outside the set at time
//! `t`, with density `r exp(-r t)` and `r` the mass outside. All of the set have arrived before:
//!
//! `P(set) = int r exp(-r t) prod_i (1 - exp(-p_i t)) dt`.
//!
//! With the first `k` draws wrong ones, the factor of a wrong sample becomes `exp(p_i x) - exp(-p_i t)`,
//! and `k!` times the coefficient of `x^k` is taken: each wrong sample is among the `k`, or arrives
//! later. The integrals are those of [`sortes_core::arrivals`].

use sortes_core::arrivals::{LogSum, NOTHING, over_times};
use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

use super::best::{check_k, refused};
use super::gamma::ln_rise;
use super::laws::Law;

/// Samples of a product between two looks at the stop request.
const POLL: usize = 1 << 12;
/// A smaller log-probability counts as this one: what matters is only that repeats are impossible.
const LEAST: f64 = -50.0;
/// By how much log-probabilities of single precision may add up to more than one.
const ROUNDING: f64 = 1e-4;

/// Pools of `size` distinct samples each, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Distinct<'a> {
    /// The samples of each pool.
    pub size: usize,
    /// Which samples are right.
    pub correct: &'a [bool],
    /// The log-probability of each sample.
    pub log_p: &'a [f64],
}

/// An unbiased estimate of pass@k and one of its variance, which is NaN where `2 k` exceeds the size
/// of the pools: for each pool and each `k`, row by row. Progress counts samples.
///
/// # Errors
/// If a log-probability is not in `(-inf, 0]`, those of a pool make more than one, or a `k` is not in
/// `[1, size]`; if there is no memory, or the work is cancelled.
pub fn distinct(pools: Distinct<'_>, k: &[i64], run: Run<'_>) -> Result<Vec<[f64; 2]>> {
    let n = pools.size;
    check_k(k, Some(n))?;
    let rows = pools.correct.len().checked_div(n).unwrap_or(0);
    let mut out = filled(rows.saturating_mul(k.len()), [0.0; 2], "values")?;
    if out.is_empty() {
        return Ok(out);
    }
    run.try_fill_chunks(&mut out, k.len(), |row, out| {
        let pool = pools.read(row)?;
        for (out, &k) in out.iter_mut().zip(k) {
            let k = k as usize;
            let missed = pool.missed(k, run)?;
            let twice = if 2 * k > n { f64::NAN } else { pool.missed(2 * k, run)? };
            // NaN stays what it is.
            let variance = missed * missed - twice;
            *out = [1.0 - missed, if variance < 0.0 { 0.0 } else { variance }];
        }
        run.advance(n as u64);
        Ok(())
    })?;
    Ok(out)
}

/// The probabilities of a pool.
struct Pool {
    right: Vec<f64>,
    wrong: Vec<f64>,
    outside: f64,
}

impl Distinct<'_> {
    fn read(&self, row: usize) -> Result<Pool> {
        let first = row * self.size;
        let mut pool = Pool {
            right: with_capacity(self.size, "samples")?,
            wrong: with_capacity(self.size, "samples")?,
            outside: 1.0,
        };
        for i in 0..self.size {
            let log_p = self.log_p[first + i];
            if !(f64::NEG_INFINITY < log_p && log_p <= 0.0) {
                return Err(refused("logprobs", row, i, "(-inf, 0]", log_p));
            }
            let to = if self.correct[first + i] { &mut pool.right } else { &mut pool.wrong };
            to.push(log_p.max(LEAST).exp());
        }
        pool.outside -= pool.right.iter().sum::<f64>() + pool.wrong.iter().sum::<f64>();
        if pool.outside < -ROUNDING {
            let reason = format!("distinct samples cannot have a mass of {}", 1.0 - pool.outside);
            return Err(Error::row("logprobs", row, reason));
        }
        Ok(pool)
    }
}

impl Pool {
    /// The chance, given the set, that the first `k` independent draws are wrong.
    fn missed(&self, k: usize, run: Run<'_>) -> Result<f64> {
        let wrong: f64 = self.wrong.iter().sum();
        if wrong == 0.0 {
            return Ok(0.0);
        }
        if self.outside < NOTHING {
            let right: f64 = self.right.iter().sum();
            return Ok((wrong / (wrong + right)).powf(k as f64));
        }
        let mut product = zeroed(k + 1, "coefficients")?;
        let mut next = zeroed(k + 1, "coefficients")?;

        let (mut of_set, mut of_wrong) = (LogSum::default(), LogSum::default());
        over_times(&[&self.right, &self.wrong], self.outside, run, |u| {
            let t = u.exp();
            let ln_arrived = |p: &f64| (-(-p * t).exp_m1()).ln();
            let arrived = |some: &[f64]| some.iter().map(ln_arrived).sum::<f64>();
            let log = u - self.outside * t + arrived(&self.right);
            let log_product = log_coefficient(&self.wrong, k, t, &mut product, &mut next, run)?;
            let whole = log + arrived(&self.wrong);
            of_set.add(whole);
            Ok((whole, of_wrong.add(log + log_product)))
        })?;
        Ok((of_wrong.ln() - of_set.ln()).exp().min(1.0))
    }
}

/// The logarithm of `k!` times the coefficient of `x^k` in the product of `exp(p x) - exp(-p t)`.
///
/// With `x = tilt z` and divided by their values at `z = 1`, the factors are laws of counts whose sum
/// is `k` with a chance that is not small, if the tilt makes `k` its mean.
fn log_coefficient(
    wrong: &[f64],
    k: usize,
    t: f64,
    product: &mut Vec<f64>,
    next: &mut Vec<f64>,
    run: Run<'_>,
) -> Result<f64> {
    let tilt = tilt(wrong, k as f64, t, run)?;
    product.fill(0.0);
    product[0] = 1.0;
    let mut log = ln_rise(1.0, k as f64) - k as f64 * tilt.ln();
    for (i, p) in wrong.iter().enumerate() {
        if i % POLL == 0 {
            run.check()?;
        }
        let law = Law::poisson(p * tilt, k)?;
        let some = -(-p * (tilt + t)).exp_m1();
        log += p * tilt + some.ln();
        next.fill(0.0);
        for (v, &share) in (law.first..).zip(&law.p) {
            // What is not among the k arrives before t.
            let share = if v == 0 { share * -(-p * t).exp_m1() } else { share } / some;
            next[v..].iter_mut().zip(&*product).for_each(|(to, from)| *to += share * from);
        }
        std::mem::swap(product, next);
    }
    Ok(log + product[k].ln())
}

/// About where the counts of [`log_coefficient`] have the sum `k` on average.
fn tilt(wrong: &[f64], k: f64, t: f64, run: Run<'_>) -> Result<f64> {
    let (count, mass) = (wrong.len() as f64, wrong.iter().sum::<f64>());
    // The mean lies between the larger of `count x / (x + t)` and `mass x`, and their sum.
    let b = mass * t + count - k;
    let root = (b * b + 4.0 * mass * k * t).sqrt();
    let mut low = if b > 0.0 { 2.0 * k * t / (b + root) } else { (root - b) / (2.0 * mass) };
    let mut high = if k < count { (k * t / (count - k)).min(k / mass) } else { k / mass };
    for _ in 0..8 {
        run.check()?;
        let middle = (low * high).sqrt();
        let mean: f64 = wrong.iter().map(|p| p * middle / -(-p * (middle + t)).exp_m1()).sum();
        if mean < k { low = middle } else { high = middle }
    }
    Ok((low * high).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every ordered draw of `m` distinct items of a law, with its probability.
    fn draws(p: &[f64], m: usize) -> Vec<(Vec<usize>, f64)> {
        let mut all = vec![(Vec::new(), 1.0)];
        for _ in 0..m {
            let longer = |(draw, chance): &(Vec<usize>, f64)| {
                let left = 1.0 - draw.iter().map(|&i| p[i]).sum::<f64>();
                let free: Vec<usize> = (0..p.len()).filter(|i| !draw.contains(i)).collect();
                let (draw, chance) = (draw.clone(), *chance);
                free.into_iter().map(move |i| {
                    let longer = draw.iter().copied().chain([i]).collect();
                    (longer, chance * p[i] / left)
                })
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }

    #[test]
    fn estimates_of_a_law_are_unbiased() {
        let p = [0.4, 0.25, 0.02, 0.2, 0.1, 0.03];
        let right = [false, true, false, false, false, true];
        let pi: f64 = p.iter().zip(right).filter(|(_, right)| *right).map(|(p, _)| p).sum();
        for m in [4, 6] {
            let (mut value, mut square, mut variance) = ([0.0; 4], [0.0; 4], [0.0; 4]);
            for (draw, chance) in draws(&p, m) {
                let correct: Vec<bool> = draw.iter().map(|&i| right[i]).collect();
                let log_p: Vec<f64> = draw.iter().map(|&i| p[i].ln()).collect();
                let pools = Distinct { size: m, correct: &correct, log_p: &log_p };
                let found = distinct(pools, &[1, 2, 3, 4], Run::alone()).unwrap();
                for (k, [pass, var]) in found.into_iter().enumerate() {
                    assert!((0.0..=1.0).contains(&pass));
                    value[k] += chance * pass;
                    square[k] += chance * pass * pass;
                    variance[k] += chance * var;
                }
            }
            for k in 1..=4 {
                let expected = 1.0 - (1.0 - pi).powi(k as i32);
                assert!((value[k - 1] - expected).abs() < 1e-12, "{m} {k} {}", value[k - 1]);
            }
            // Clipped at zero, the estimate of the variance is a little too large.
            for k in 1..=2 {
                let expected = square[k - 1] - value[k - 1] * value[k - 1];
                assert!(variance[k - 1] >= expected - 1e-12, "{m} {k} {variance:?} {expected}");
            }
            assert!(variance[3].is_nan() == (m == 4 || m == 6));
        }
    }

    /// Nothing repeats itself: as many independent samples.
    #[test]
    fn tiny_probabilities_are_those_of_independent_draws() {
        let correct: Vec<bool> = (0..20).map(|i| i % 3 == 0).collect();
        for log_p in [-60.0, -1e5] {
            let log_p = [log_p; 20];
            let pools = Distinct { size: 20, correct: &correct, log_p: &log_p };
            let found = distinct(pools, &[1, 5, 13], Run::alone()).unwrap();
            for (k, [pass, _]) in [1, 5, 13].into_iter().zip(found) {
                assert!((pass - super::super::passes::some(20, 7, k)).abs() < 1e-12, "{k} {pass}");
            }
        }
    }
}
