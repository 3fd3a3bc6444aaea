//! A beta law of the difficulty of problems, fitted to counts of right samples and extrapolated.
//!
//! A problem is solved by a sample with probability `p`, which has a beta law over the problems:
//! then `c` of `n` has the beta-binomial law, and pass@k is `1 - B(alpha, beta + k) / B(alpha, beta)`.
//! For large `k` failure decays as `k^-alpha`.
//!
//! Schaeffer, Kazdan, Hughes and others, "How do large language monkeys get their power (laws)?", ICML
//! 2025, arXiv:2502.17578.

use sortes_core::memory::{copied, filled, with_capacity, zeroed};
use sortes_core::order::sort;
use sortes_core::{Error, Result, Run};

use super::LARGEST;
use super::gamma::{digamma, ln_rise, rise_bend, rise_slope};

/// Problems between two looks at the stop request.
const BLOCK: usize = 1 << 14;
/// More steps than any fit should need.
const STEPS: usize = 500;
/// Steps of the logarithms of the parameters below this end a fit.
const STILL: f64 = 1e-11;
/// From this sum of the parameters on, the law of difficulty is a point.
const POINT: f64 = 1e9;

/// Where the likelihood is largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optimum {
    /// At finite parameters.
    Inside,
    /// Nothing is ever solved.
    Failed,
    /// Everything is always solved.
    Solved,
    /// A problem is solved always or never.
    AllOrNothing,
    /// All problems are equally hard.
    Equal,
}

/// A fitted law of difficulty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// How solved problems weigh.
    pub alpha: f64,
    /// How failed ones weigh.
    pub beta: f64,
    /// The mean of the law.
    pub mean: f64,
    /// The log-likelihood, without the binomial coefficients.
    pub log_likelihood: f64,
    /// The covariance of the estimates of `ln alpha` and `ln beta`: two variances, and between them.
    pub covariance: [f64; 3],
    /// Where the optimum lies.
    pub optimum: Optimum,
}

/// Different numbers, with how often each occurs.
type Tally = Vec<(f64, f64)>;

/// What the likelihood depends on.
struct Data {
    right: Tally,
    wrong: Tally,
    all: Tally,
}

/// The law of largest likelihood of `c` right samples of `n`, problem by problem. Progress counts
/// problems.
///
/// # Errors
/// If there are no problems or none has two samples; if a count of samples is not in `[0, 2^53]` or
/// more are right than there are; if there is no memory, or the work is cancelled.
pub fn fit(n: &[i64], c: &[i64], run: Run<'_>) -> Result<Fit> {
    let mut wrong = zeroed(n.len(), "problems")?;
    for range in run.blocks(n.len(), BLOCK) {
        for i in range? {
            if !(0..=LARGEST).contains(&n[i]) {
                return Err(Error::row("n", i, format!("must be in [0, 2**53], got {}", n[i])));
            }
            if !(0..=n[i]).contains(&c[i]) {
                let reason =
                    format!("must be at least 0 and at most n, which is {}, got {}", n[i], c[i]);
                return Err(Error::row("c", i, reason));
            }
            wrong[i] = n[i] - c[i];
        }
    }
    if n.iter().all(|&n| n < 2) {
        return Err(Error::argument("n", "at least one problem must have two samples"));
    }
    let data = Data { right: tally(c, run)?, wrong: tally(&wrong, run)?, all: tally(n, run)? };
    run.advance(n.len() as u64);
    let (right, all) = (total(&data.right), total(&data.all));
    let mean = right / all;
    let at = |alpha, beta, log_likelihood, optimum| {
        Ok(Fit { alpha, beta, mean, log_likelihood, covariance: [f64::NAN; 3], optimum })
    };
    if right == 0.0 {
        return at(0.0, f64::INFINITY, 0.0, Optimum::Failed);
    }
    if right == all {
        return at(f64::INFINITY, 0.0, 0.0, Optimum::Solved);
    }
    if n.iter().zip(c).all(|(&n, &c)| c == 0 || c == n) {
        // The law tends to two points: only which problems are solved is left to chance.
        let tried = n.iter().filter(|&&n| n > 0).count() as f64;
        let solved = n.iter().zip(c).filter(|&(&n, &c)| n > 0 && c == n).count() as f64;
        let mean = solved / tried;
        let log = xlogy(solved, mean) + xlogy(tried - solved, 1.0 - mean);
        let fit = at(0.0, 0.0, log, Optimum::AllOrNothing)?;
        return Ok(Fit { mean, ..fit });
    }
    let binomial = xlogy(right, mean) + xlogy(all - right, 1.0 - mean);
    if data.spread(mean) <= 0.0 {
        return at(f64::INFINITY, f64::INFINITY, binomial, Optimum::Equal);
    }
    let [alpha, beta] = data.climb(mean, run)?;
    if alpha + beta > POINT {
        return at(f64::INFINITY, f64::INFINITY, binomial, Optimum::Equal);
    }
    let (_, [[a, b], [_, d]]) = data.slopes(alpha, beta);
    let determinant = a * d - b * b;
    Ok(Fit {
        alpha,
        beta,
        mean: alpha / (alpha + beta),
        log_likelihood: data.log_likelihood(alpha, beta),
        covariance: [-d / determinant, b / determinant, -a / determinant],
        optimum: Optimum::Inside,
    })
}

fn xlogy(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * y.ln() }
}

/// The numbers above zero, each once.
fn tally(x: &[i64], run: Run<'_>) -> Result<Tally> {
    let mut x = copied(x, "problems", run)?;
    sort(&mut x, i64::cmp, run)?;
    let different = x.chunk_by(|a, b| a == b).filter(|group| group[0] > 0);
    let mut tally = with_capacity(different.clone().count(), "counts")?;
    tally.extend(different.map(|group| (group[0] as f64, group.len() as f64)));
    Ok(tally)
}

fn total(tally: &Tally) -> f64 {
    weighted(tally, |x| x)
}

fn weighted(tally: &Tally, f: impl Fn(f64) -> f64) -> f64 {
    tally.iter().map(|&(x, times)| times * f(x)).sum()
}

impl Data {
    /// Twice the slope of the log-likelihood in `1 / (alpha + beta)` at zero, with the mean kept: how
    /// much more the counts spread than with equal difficulty (Tarone 1979).
    fn spread(&self, mean: f64) -> f64 {
        let pairs = |x: f64| x * (x - 1.0);
        weighted(&self.right, pairs) / mean + weighted(&self.wrong, pairs) / (1.0 - mean)
            - weighted(&self.all, pairs)
    }

    fn log_likelihood(&self, alpha: f64, beta: f64) -> f64 {
        weighted(&self.right, |c| ln_rise(alpha, c)) + weighted(&self.wrong, |f| ln_rise(beta, f))
            - weighted(&self.all, |n| ln_rise(alpha + beta, n))
    }

    /// The derivatives of the log-likelihood in `ln alpha` and `ln beta`.
    fn slopes(&self, alpha: f64, beta: f64) -> ([f64; 2], [[f64; 2]; 2]) {
        let all = weighted(&self.all, |n| rise_slope(alpha + beta, n));
        let bend = weighted(&self.all, |n| rise_bend(alpha + beta, n));
        let g_alpha = alpha * (weighted(&self.right, |c| rise_slope(alpha, c)) - all);
        let g_beta = beta * (weighted(&self.wrong, |f| rise_slope(beta, f)) - all);
        let right = weighted(&self.right, |c| rise_bend(alpha, c)) - bend;
        let wrong = weighted(&self.wrong, |f| rise_bend(beta, f)) - bend;
        let both = -alpha * beta * bend;
        let h = [[alpha * alpha * right + g_alpha, both], [both, beta * beta * wrong + g_beta]];
        ([g_alpha, g_beta], h)
    }

    /// Newton steps in the logarithms, shortened until they climb.
    fn climb(&self, mean: f64, run: Run<'_>) -> Result<[f64; 2]> {
        let (mut alpha, mut beta) = (2.0 * mean, 2.0 * (1.0 - mean));
        let mut height = self.log_likelihood(alpha, beta);
        let mut damping = 0.0;
        for _ in 0..STEPS {
            run.check()?;
            let ([ga, gb], [[a, b], [_, d]]) = self.slopes(alpha, beta);
            let size = a.abs() + d.abs();
            let (a, d) = (a - damping * size, d - damping * size);
            let determinant = a * d - b * b;
            if !(a < 0.0 && determinant > 0.0) && damping < 1e9 {
                damping = 4.0 * damping + 1e-3;
                continue;
            }
            // No step is longer than a factor of e^2, where the quadratic says little.
            let (da, db) = ((b * gb - d * ga) / determinant, (b * ga - a * gb) / determinant);
            let short = (2.0 / da.abs().max(db.abs())).min(1.0);
            let (next_alpha, next_beta) = (alpha * (short * da).exp(), beta * (short * db).exp());
            let next = self.log_likelihood(next_alpha, next_beta);
            let still = da.abs().max(db.abs()) < STILL;
            if next >= height || still {
                (alpha, beta, height) = (next_alpha, next_beta, next);
                damping *= 0.1;
                if still || alpha + beta > POINT {
                    break;
                }
            } else if da.abs().max(db.abs()) < 1e-6 {
                break; // rounding of the height decides
            } else {
                damping = 4.0 * damping + 1e-3;
            }
        }
        Ok([alpha, beta])
    }
}

/// pass@k of a fitted law for each `k`, with standard errors from the covariance of the logarithms of
/// its parameters. Progress counts predictions.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub fn predictions(
    alpha: f64,
    beta: f64,
    covariance: [f64; 3],
    k: &[f64],
    run: Run<'_>,
) -> Result<Vec<[f64; 2]>> {
    let mut out = filled(k.len(), [0.0; 2], "predictions")?;
    run.fill_chunks(&mut out, BLOCK / 8, |task, out| {
        for (out, &k) in out.iter_mut().zip(&k[task * (BLOCK / 8)..]) {
            *out = predict(alpha, beta, covariance, k);
        }
        run.advance(out.len() as u64);
    })?;
    Ok(out)
}

/// pass@k for one `k`, and its standard error.
fn predict(alpha: f64, beta: f64, [va, vab, vb]: [f64; 3], k: f64) -> [f64; 2] {
    if k == 0.0 {
        return [0.0, 0.0];
    }
    let log = ln_rise(beta, alpha) - ln_rise(beta + k, alpha);
    let sum = digamma(alpha + beta) - digamma(alpha + beta + k);
    let (da, db) = (alpha * sum, beta * (digamma(beta + k) - digamma(beta) + sum));
    let variance = da * da * va + 2.0 * da * db * vab + db * db * vb;
    [-log.exp_m1(), log.exp() * variance.max(0.0).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slopes_are_those_of_the_height() {
        let run = Run::alone();
        let (right, wrong) =
            (tally(&[0, 3, 40, 3, 7], run).unwrap(), tally(&[9, 6, 60, 7, 0], run));
        let data =
            Data { right, wrong: wrong.unwrap(), all: tally(&[9, 9, 100, 10, 7], run).unwrap() };
        let (a, b, h) = (0.7f64, 1.9f64, 1e-5f64);
        let ([ga, gb], hessian) = data.slopes(a, b);
        let f = |i: f64, j: f64| data.log_likelihood(a * (i * h).exp(), b * (j * h).exp());
        assert!(((f(1.0, 0.0) - f(-1.0, 0.0)) / (2.0 * h) - ga).abs() < 1e-7);
        assert!(((f(0.0, 1.0) - f(0.0, -1.0)) / (2.0 * h) - gb).abs() < 1e-7);
        let slope = |i: f64, j: f64| data.slopes(a * (i * h).exp(), b * (j * h).exp()).0;
        for (i, row) in hessian.into_iter().enumerate() {
            let numeric = [
                (slope(1.0, 0.0)[i] - slope(-1.0, 0.0)[i]) / (2.0 * h),
                (slope(0.0, 1.0)[i] - slope(0.0, -1.0)[i]) / (2.0 * h),
            ];
            assert!((numeric[0] - row[0]).abs() < 1e-6);
            assert!((numeric[1] - row[1]).abs() < 1e-6);
        }
    }

    #[test]
    fn boundaries_are_flagged() {
        let ask = |n: &[i64], c: &[i64]| fit(n, c, Run::alone()).map(|fit| (fit.optimum, fit.mean));
        assert_eq!(ask(&[5, 5], &[0, 0]).unwrap(), (Optimum::Failed, 0.0));
        assert_eq!(ask(&[5, 5], &[5, 5]).unwrap(), (Optimum::Solved, 1.0));
        assert_eq!(ask(&[5, 4, 0], &[5, 0, 0]).unwrap(), (Optimum::AllOrNothing, 0.5));
        assert_eq!(ask(&[4, 4], &[2, 2]).unwrap(), (Optimum::Equal, 0.5));
        assert!(ask(&[1, 1], &[0, 1]).is_err());
        assert!(ask(&[], &[]).is_err());
    }

    #[test]
    fn far_predictions_lose_no_digits() {
        // alpha = 1: pass@k is k / (beta + k).
        for k in [1.0, 10.0, 1e6, 1e15] {
            let [value, _] = predict(1.0, 3.0, [0.0; 3], k);
            assert!((value - k / (3.0 + k)).abs() < 1e-15, "{k} {value}");
        }
    }
}
