//! Weights of distinct samples: what makes sums over them estimates of means over everything.
//!
//! Kool, van Hoof and Welling, "Estimating Gradients for Discrete Random Variables by Sampling
//! without Replacement", ICLR 2020, arXiv:2002.06043.

use super::gumbel::log_survival;
use sortes_core::error::shown;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

/// Sets up to this size are summed over their orders; larger ones are integrated.
const SMALL: usize = 12;
/// Where less mass than this is left, the set is nearly everything.
const REST: f64 = 1e-5;
/// Points of the integral.
const POINTS: usize = 1000;
/// The stretch of the integral: `c = rest * exp(STRETCH)`.
const STRETCH: f64 = 5.0;
/// Probabilities may sum to one and this much, by rounding.
const ROUNDING: f64 = 1e-6;
/// Samples between two polls.
const BLOCK: usize = 1 << 12;
/// What runs out of memory.
const SAMPLES: &str = "samples of a set";

/// Fills `weights` of each row by `f(row, logprobs, out)`, after a look at the log-probabilities.
fn by_rows(
    (logprobs, rows): (&[f64], usize),
    run: Run<'_>,
    f: impl Fn(usize, &[f64], &mut [f64]) -> Result<()> + Sync + Send,
) -> Result<Vec<f64>> {
    let cols = logprobs.len() / rows.max(1);
    let mut out = zeroed(logprobs.len(), "weights")?;
    run.try_fill_chunks(&mut out, cols.max(1), |row, out| {
        let logprobs = &logprobs[row * cols..][..cols];
        // NaN is in no range.
        let fine = f64::NEG_INFINITY..=ROUNDING;
        let mut mass = 0.0;
        for range in run.blocks(cols, BLOCK) {
            for l in &logprobs[range?] {
                if !fine.contains(l) {
                    let reason = format!("must hold log-probabilities, got {}", shown(*l));
                    return Err(Error::row("logprobs", row, reason));
                }
                mass += l.exp();
            }
        }
        if mass > 1.0 + ROUNDING {
            let reason = format!("probabilities of distinct samples sum to {}", shown(mass));
            return Err(Error::row("logprobs", row, reason));
        }
        f(row, logprobs, out)?;
        run.advance(1);
        Ok(())
    })?;
    Ok(out)
}

/// The weight `p / q` of each sample, where `q` is the probability that its perturbed
/// log-probability exceeds the `kappa` of its row. Progress counts rows.
///
/// # Errors
/// If log-probabilities are positive or NaN or sum to more than one, if a `kappa` is NaN or plus
/// infinity, there is no memory, or the work is cancelled.
pub fn threshold_weights(
    logprobs: (&[f64], usize),
    kappa: &[f64],
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let below = |k: &f64| k.partial_cmp(&f64::INFINITY) == Some(std::cmp::Ordering::Less);
    if let Some((row, k)) = kappa.iter().enumerate().find(|(_, k)| !below(k)) {
        return Err(Error::item("kappa", row, "[-inf, inf)", shown(*k)));
    }
    by_rows(logprobs, run, |row, logprobs, out| {
        let weight = |l: f64| (l - log_survival(kappa[row] - l)).exp();
        for range in run.blocks(out.len(), BLOCK) {
            let range = range?;
            for (w, &l) in out[range.clone()].iter_mut().zip(&logprobs[range]) {
                *w = if l == f64::NEG_INFINITY { 0.0 } else { weight(l) };
            }
        }
        Ok(())
    })
}

/// The weights `p R(S, s)` of a set `S` of samples, whatever their order; they sum to one. Progress
/// counts rows.
///
/// # Errors
/// As [`threshold_weights`].
pub fn unordered_set_weights(logprobs: (&[f64], usize), run: Run<'_>) -> Result<Vec<f64>> {
    by_rows(logprobs, run, |_, logprobs, out| {
        let alive = |l: &f64| *l > f64::NEG_INFINITY;
        let mut probs = with_capacity(logprobs.len(), SAMPLES)?;
        for range in run.blocks(logprobs.len(), BLOCK) {
            probs.extend(logprobs[range?].iter().filter(|l| alive(l)).map(|l| l.exp()));
        }
        let mass: f64 = probs.iter().sum();
        let rest = 1.0 - mass;
        let weights = if rest < REST {
            for p in &mut probs {
                *p /= mass;
            }
            probs
        } else if probs.len() <= SMALL {
            by_orders(&probs)
        } else {
            by_integral(&probs, rest, run)?
        };
        let mut weights = weights.into_iter();
        for (w, _) in out.iter_mut().zip(logprobs).filter(|(_, l)| alive(l)) {
            *w = weights.next().unwrap_or(0.0);
        }
        Ok(())
    })
}

/// Sums over all orders of the set, by its subsets.
///
/// Draws without `s` are those behind a first draw of `s`: the weight of `s` is the probability that
/// it came first, given the set. Behind the samples `A` the rest of the set comes, in any order, with
/// the probability `B(A) = sum over t of B(A + t) / (1 - mass(A))`, but for the product of their `p`,
/// which all share.
fn by_orders(probs: &[f64]) -> Vec<f64> {
    let sets = 1 << probs.len();
    let mut left = vec![1.0; sets];
    for set in 1..sets {
        left[set] = left[set & (set - 1)] - probs[set.trailing_zeros() as usize];
    }
    let mut behind = vec![1.0; sets];
    for set in (0..sets - 1).rev() {
        let (mut sum, mut out) = (0.0, !set & (sets - 1));
        while out != 0 {
            sum += behind[set | out & out.wrapping_neg()];
            out &= out - 1;
        }
        behind[set] = sum / left[set];
    }
    (0..probs.len()).map(|s| behind[1 << s] / behind[0]).collect()
}

/// Integrates over the time at which the set is complete, `int prod_s (1 - u^(p_s / rest)) du`, with
/// `u = v^c`.
fn by_integral(probs: &[f64], rest: f64, run: Run<'_>) -> Result<Vec<f64>> {
    let stretch = STRETCH.exp();
    let c = rest * stretch;
    // The factor of an item, divided by its probability: nothing underflows then.
    let factor = |p: f64, ln_v: f64| {
        let x = p * stretch * ln_v;
        if x > -1e-12 { -stretch * ln_v } else { -x.exp_m1() / p }
    };
    let ln_v = |j: usize| (j as f64 / POINTS as f64).ln();
    let mut logs = [f64::NEG_INFINITY; POINTS];
    for (j, log) in logs.iter_mut().enumerate().skip(1) {
        let (v, mut sum) = (ln_v(j), 0.0);
        for range in run.blocks(probs.len(), BLOCK) {
            sum += probs[range?].iter().map(|p| factor(*p, v).ln()).sum::<f64>();
        }
        *log = (c - 1.0) * v + sum;
    }
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights = zeroed(probs.len(), SAMPLES)?;
    let mut all = 0.0;
    for (j, log) in logs.into_iter().enumerate().skip(1) {
        let (height, v) = ((log - max).exp(), ln_v(j));
        all += height;
        for range in run.blocks(probs.len(), BLOCK) {
            let range = range?;
            for (w, p) in weights[range.clone()].iter_mut().zip(&probs[range]) {
                *w += height / factor(*p, v);
            }
        }
    }
    for w in &mut weights {
        *w /= all;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree_and_sum_to_one() {
        for n in [8, 10, 12] {
            let mut probs: Vec<f64> = (0..n).map(|i| 1.0 / f64::from(3 + i * i)).collect();
            let mass: f64 = probs.iter().sum();
            for p in &mut probs {
                *p *= 0.7 / mass;
            }
            let (orders, integral) =
                (by_orders(&probs), by_integral(&probs, 0.3, Run::alone()).unwrap());
            assert!((orders.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (a, b) in orders.iter().zip(integral) {
                assert!((a / b - 1.0).abs() < 1e-9, "{n}: {a} {b}");
            }
        }
    }
}
