//! Inclusion probabilities in proportion to weights, none above one.

use sortes_core::error::shown;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::num::sum;
use sortes_core::order::select_nth;
use sortes_core::weights::Summary;
use sortes_core::{Error, Result, Run};

use super::BLOCK;

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
/// Where a weight is negative or not finite, their sum is not finite, `k` is negative or NaN, there
/// is no memory for the probabilities, or the work is cancelled.
///
/// ```
/// use sortes::select::design::inclusion_probabilities;
/// use sortes_core::Run;
///
/// let design = inclusion_probabilities(&[5.0, 1.0, 1.0, 1.0, 0.0], 2.0, Run::alone()).unwrap();
/// assert_eq!(design.tau, 3.0);
/// assert_eq!(design.pi[0], 1.0);
/// assert_eq!(design.pi[1], 1.0 / 3.0);
/// assert_eq!(design.pi[4], 0.0);
/// ```
pub fn inclusion_probabilities(weights: &[f64], k: f64, run: Run<'_>) -> Result<Inclusion> {
    if k.is_nan() || k < 0.0 {
        return Err(Error::argument("k", format!("must be in [0, inf], got {}", shown(k))));
    }
    let Summary { sum: total, largest, .. } = Summary::of(weights, run)?;
    if total > 0.0 && total < TINY {
        // Where floats lose digits, thresholds would. Powers of two change nothing else.
        let mut larger = zeroed(weights.len(), "weights")?;
        run.fill_chunks(&mut larger, BLOCK, |block, larger| {
            for (larger, w) in larger.iter_mut().zip(&weights[block * BLOCK..]) {
                *larger = w * LARGER;
            }
        })?;
        let Inclusion { pi, tau } = inclusion_probabilities(&larger, k, run)?;
        return Ok(Inclusion { pi, tau: tau / LARGER });
    }
    let tau = threshold(weights, total, largest, k, run)?;
    if k > 0.0 && tau == f64::INFINITY && total > 0.0 {
        return Err(Error::argument("k", format!("is too small for these weights: {}", shown(k))));
    }
    let mut pi = zeroed(weights.len(), "probabilities")?;
    run.fill_chunks(&mut pi, BLOCK, |block, pi| {
        for (pi, &w) in pi.iter_mut().zip(&weights[block * BLOCK..]) {
            // Zero is a weight as well as a threshold: 0 / 0 must be no chance.
            *pi = if w >= tau && w > 0.0 {
                1.0
            } else if tau > 0.0 {
                (w / tau).min(1.0)
            } else {
                0.0
            };
        }
        run.advance(pi.len() as u64);
    })?;
    Ok(Inclusion { pi, tau })
}

/// The `tau` at which `sum(min(1, w / tau))` is `k`.
fn threshold(weights: &[f64], total: f64, largest: f64, k: f64, run: Run<'_>) -> Result<f64> {
    if k == 0.0 || total == 0.0 {
        return Ok(f64::INFINITY);
    }
    if largest * k <= total {
        return Ok(total / k); // the common case: no weight is capped
    }
    let mut open = with_capacity(weights.len(), "weights")?;
    for range in run.blocks(weights.len(), BLOCK) {
        open.extend(weights[range?].iter().copied().filter(|&w| w > 0.0));
    }
    if k >= open.len() as f64 {
        let least = open.iter().copied().fold(f64::INFINITY, f64::min);
        return Ok(if k == open.len() as f64 { least } else { 0.0 });
    }
    // Weights above `open` are certain, those below have the sum `below`.
    let (mut certain, mut below) = (0.0, 0.0);
    let mut open = open.as_mut_slice();
    while !open.is_empty() {
        let middle = open.len() / 2;
        select_nth(open, middle, f64::total_cmp, run)?;
        let (left, right) = open.split_at_mut(middle);
        let (pivot, right) = (right[0], &mut right[1..]);
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
    Ok(below / (k - certain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnormal_weights() {
        let least = f64::from_bits(1);
        let design = inclusion_probabilities(&[least; 3], 2.0, Run::alone()).unwrap();
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
                    let design = inclusion_probabilities(&weights, k, Run::alone()).unwrap();
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
