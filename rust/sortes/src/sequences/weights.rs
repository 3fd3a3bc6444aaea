//! Weights of distinct samples: what makes sums over them estimates of means over everything.
//!
//! Kool, van Hoof and Welling, "Estimating Gradients for Discrete Random Variables by Sampling
//! without Replacement", ICLR 2020, arXiv:2002.06043.

use super::gumbel::log_survival;
use sortes_core::arrivals::{LogSum, NOTHING, over_times};
use sortes_core::error::shown;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

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
        let weights = if rest < NOTHING {
            for p in &mut probs {
                *p /= mass;
            }
            probs
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

/// The weight of `s` is the chance, given that the set comes first, that `s` is first of it: `p_s`
/// times the chance that the others come before what is outside, over that of all. Both are integrals
/// over the time of the first arrival outside, whose integrands differ by the factor
/// `1 - exp(-p_s t)`.
fn by_integral(probs: &[f64], rest: f64, run: Run<'_>) -> Result<Vec<f64>> {
    // The factor of an item, divided by its probability: nothing underflows then.
    let factor = |p: f64, t: f64| {
        let x = p * t;
        if x < 1e-300 { t } else { -(-x).exp_m1() / p }
    };
    let mut weights: Vec<f64> = zeroed(probs.len(), SAMPLES)?;
    let (mut all, mut fewer) = (LogSum::default(), LogSum::default());
    let most = probs.iter().copied().fold(0.0, f64::max);
    // In units of the largest height so far.
    let mut largest = f64::NEG_INFINITY;
    over_times(&[probs], rest, run, |ln_t| {
        let t = ln_t.exp();
        let mut log = ln_t - rest * t;
        for range in run.blocks(probs.len(), BLOCK) {
            log += probs[range?].iter().map(|p| factor(*p, t).ln()).sum::<f64>();
        }
        if log > largest {
            let shrink = (largest - log).exp();
            for w in &mut weights {
                *w *= shrink;
            }
            largest = log;
        }
        let height = (log - largest).exp();
        for range in run.blocks(probs.len(), BLOCK) {
            let range = range?;
            for (w, p) in weights[range.clone()].iter_mut().zip(&probs[range]) {
                *w += height / factor(*p, t);
            }
        }
        // Without one of the items an integrand falls more slowly towards early times.
        all.add(log);
        Ok((log, fewer.add(log + (most + 1.0 / t).ln())))
    })?;
    let all = (all.ln() - largest).exp();
    for w in &mut weights {
        *w /= all;
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sums over all orders of a set, by its subsets: behind the samples `A` the rest of the set
    /// comes, in any order, with the chance `B(A) = sum over t of B(A + t) / (1 - mass(A))`, but for
    /// the product of their `p`, which all share. Masses are summed from outside.
    fn by_orders(probs: &[f64], rest: f64) -> Vec<f64> {
        let sets = 1 << probs.len();
        let mut left = vec![rest; sets];
        for set in (0..sets - 1).rev() {
            let item = (!set).trailing_zeros();
            left[set] = left[set | 1 << item] + probs[item as usize];
        }
        let mut behind = vec![1.0; sets];
        for set in (0..sets - 1).rev() {
            let out = (0..probs.len()).filter(|i| set >> i & 1 == 0);
            behind[set] = out.map(|i| behind[set | 1 << i]).sum::<f64>() / left[set];
        }
        (0..probs.len()).map(|s| behind[1 << s] / behind[0]).collect()
    }

    /// The sum of the weights is one, which no step of the integral knows; equal items weigh alike.
    #[test]
    fn weights_of_large_sets_sum_to_one() {
        for (n, decay) in [(1001, 1.0), (5000, 1.0), (5000, 0.999), (3000, 0.99)] {
            for rest in [0.5, 1e-3, 1e-8] {
                let mut probs: Vec<f64> = (0..n).map(|i| f64::powi(decay, i)).collect();
                let mass: f64 = probs.iter().sum();
                for p in &mut probs {
                    *p *= (1.0 - rest) / mass;
                }
                let found = by_integral(&probs, rest, Run::alone()).unwrap();
                let sum: f64 = found.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9, "{n} {decay} {rest}: {sum}");
                if decay == 1.0 {
                    assert!(found.iter().all(|w| (w * f64::from(n) - 1.0).abs() < 1e-9));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_integral_is_the_sum_over_orders(
            ln_p in prop::collection::vec(-25.0..0.0, 1..11),
            ln_rest in -25.0..3.0,
        ) {
            let (mut probs, mut rest): (Vec<f64>, f64) =
                (ln_p.iter().map(|l: &f64| l.exp()).collect(), f64::exp(ln_rest));
            let all = rest + probs.iter().sum::<f64>();
            probs.iter_mut().chain([&mut rest]).for_each(|p| *p /= all);
            let found = by_integral(&probs, rest, Run::alone()).unwrap();
            prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (a, b) in found.iter().zip(by_orders(&probs, rest)) {
                prop_assert!((a / b - 1.0).abs() < 1e-11, "{a} {b}");
            }
        }
    }
}
