//! Inclusion probabilities in proportion to weights, none above one.

use sortes_core::{Error, Result};

use sortes_core::num::sum;

/// Probabilities and the weight from which on they are one.
#[derive(Clone, Debug, PartialEq)]
pub struct Inclusion {
    /// `min(1, weight / tau)`.
    pub pi: Vec<f64>,
    /// The threshold: infinite where no unit has a chance, zero where every positive unit is
    /// certain and more were asked for.
    pub tau: f64,
}

/// Weights of a smaller sum are scaled by [`LARGER`].
const TINY: f64 = 1e-250;
/// `2^200`.
const LARGER: f64 = (1u128 << 100) as f64 * (1u128 << 100) as f64;

/// The probabilities `min(1, w / tau)` whose sum is `k`, which need not be whole.
///
/// At most as many units can be expected as have a positive weight: for a larger `k` these are all
/// certain. No sort: each round halves the weights between which `tau` lies, in `O(n)` altogether.
///
/// # Errors
/// Where a weight is negative or not finite, their sum is not finite, or `k` is negative or NaN.
///
/// ```
/// use sortes::select::design::inclusion_probabilities;
///
/// let design = inclusion_probabilities(&[5.0, 1.0, 1.0, 1.0, 0.0], 2.0).unwrap();
/// assert_eq!(design.tau, 3.0);
/// assert_eq!(design.pi[0], 1.0);
/// assert_eq!(design.pi[1], 1.0 / 3.0);
/// assert_eq!(design.pi[4], 0.0);
/// ```
pub fn inclusion_probabilities(weights: &[f64], k: f64) -> Result<Inclusion> {
    if k.is_nan() || k < 0.0 {
        return Err(Error::argument("k", format!("must be at least 0, got {k:?}")));
    }
    let usable = |w: &f64| *w >= 0.0 && w.is_finite();
    if !weights.iter().all(usable) {
        let bad = weights.iter().position(|w| !usable(w)).unwrap_or(0);
        let fault = if weights[bad] < 0.0 { "negative" } else { "not finite" };
        let reason = format!("item {bad} is {fault}: {:?}", weights[bad]);
        return Err(Error::argument("weights", reason));
    }
    let total = sum(weights);
    if !total.is_finite() {
        return Err(Error::argument("weights", "their sum exceeds the range of float64"));
    }
    if total > 0.0 && total < TINY {
        // Where floats lose digits, thresholds would. Powers of two change nothing else.
        let larger: Vec<f64> = weights.iter().map(|w| w * LARGER).collect();
        let Inclusion { pi, tau } = inclusion_probabilities(&larger, k)?;
        return Ok(Inclusion { pi, tau: tau / LARGER });
    }
    let tau = threshold(weights, total, k);
    if k > 0.0 && tau == f64::INFINITY && total > 0.0 {
        return Err(Error::argument("k", format!("is too small for these weights: {k:?}")));
    }
    // Zero is a weight as well as a threshold: 0 / 0 must be no chance.
    let chance = |&w: &f64| if w >= tau && w > 0.0 { 1.0 } else { (w / tau).min(1.0) };
    let pi = if tau > 0.0 {
        weights.iter().map(chance).collect()
    } else {
        weights.iter().map(|&w| f64::from(w > 0.0)).collect()
    };
    Ok(Inclusion { pi, tau })
}

/// The `tau` at which `sum(min(1, w / tau))` is `k`.
fn threshold(weights: &[f64], total: f64, k: f64) -> f64 {
    if k == 0.0 || total == 0.0 {
        return f64::INFINITY;
    }
    let largest = weights.iter().fold(0.0, |a: f64, &w| a.max(w));
    if largest * k <= total {
        return total / k; // the common case: no weight is capped
    }
    let mut open: Vec<f64> = weights.iter().copied().filter(|&w| w > 0.0).collect();
    if k >= open.len() as f64 {
        let least = open.iter().copied().fold(f64::INFINITY, f64::min);
        return if k == open.len() as f64 { least } else { 0.0 };
    }
    // Weights above `open` are certain, those below have the sum `below`.
    let (mut certain, mut below) = (0.0, 0.0);
    let mut open = open.as_mut_slice();
    while !open.is_empty() {
        let (left, &mut pivot, right) = open.select_nth_unstable_by(open.len() / 2, f64::total_cmp);
        let (count, rest) = (certain + 1.0 + right.len() as f64, below + sum(left));
        // With tau = pivot, `count + rest / pivot` units would be expected.
        if rest <= (k - count) * pivot {
            certain = count;
            open = left;
        } else {
            below = rest + pivot;
            open = right;
        }
    }
    below / (k - certain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnormal_weights() {
        let least = f64::from_bits(1);
        let design = inclusion_probabilities(&[least; 3], 2.0).unwrap();
        assert!(design.pi.iter().all(|p| (p - 2.0 / 3.0).abs() < 1e-15), "{design:?}");
    }

    #[test]
    fn agrees_with_sorting() {
        let mut state = 1u64;
        for n in [1usize, 2, 3, 7, 64, 1000] {
            for spread in [0.0, 1.0, 20.0, 600.0] {
                let weights: Vec<f64> = (0..n)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let u = (state >> 11) as f64 / (1u64 << 53) as f64;
                        10f64.powf(spread * (u - 0.5))
                    })
                    .collect();
                let mut sorted = weights.clone();
                sorted.sort_by(|a, b| b.total_cmp(a));
                for part in [0.01, 0.3, 0.5, 0.77, 0.99] {
                    let k = part * n as f64;
                    let design = inclusion_probabilities(&weights, k).unwrap();
                    let expected = (0..n)
                        .map(|t| sorted[t..].iter().rev().sum::<f64>() / (k - t as f64))
                        .zip(&sorted)
                        .find(|(tau, w)| w <= &tau)
                        .unwrap()
                        .0;
                    assert!((design.tau / expected - 1.0).abs() < 1e-12, "{n} {spread} {k}");
                    assert!((sum(&design.pi) - k).abs() < 1e-12 * n as f64);
                }
            }
        }
    }
}
