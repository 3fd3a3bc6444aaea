//! What a visit counts at each step, so that the products of features have the kernel as their mean.
//!
//! A kernel is a power series of the matrix of a graph. Its modulation is the series of a root of it:
//! the square root for a product of two features, the root of degree `2 l` for one of `2 l`.

use sortes_core::memory::reserve;
use sortes_core::rng::elementary::{exp_negative, ln};
use sortes_core::{Error, Result, Run};

/// Terms between two looks at the stop request.
const POLL: usize = 1 << 12;

/// The series of a root of a kernel.
#[derive(Debug, Clone, Copy)]
pub enum Series<'a> {
    /// Each term is the one before, the `k`-th, times `(a + b k) / (k + 1)`: with `b` 1 the power `-a` of
    /// `1 - x`, with -1 the power `a` of `1 + x`, with 0 the exponential of `a x`.
    Ratio {
        /// What the ratio is at the start.
        a: f64,
        /// What each term adds to it.
        b: f64,
    },
    /// A power, below one, of a series, whose first term is positive.
    Power {
        /// The terms of the series.
        terms: &'a [f64],
        /// The power.
        power: f64,
    },
    /// These terms.
    Given(&'a [f64]),
}

/// The terms of a series at `c x`, all times `scale`: up to the last that is not zero, but no more than
/// `most`.
///
/// # Errors
/// If a term is not finite, there is no memory for them, or the work is cancelled.
pub fn modulation(
    series: Series<'_>,
    c: f64,
    scale: f64,
    most: usize,
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let mut out = Vec::new();
    let push = |out: &mut Vec<f64>, term: f64| {
        if out.len().is_multiple_of(POLL) {
            run.check()?;
            reserve(out, POLL, "modulation")?;
        }
        if !term.is_finite() {
            let reason = "must be smaller: the series has terms beyond the largest number";
            return Err(Error::argument("c", reason));
        }
        out.push(term);
        Ok(())
    };
    match series {
        Series::Ratio { a, b } => {
            let mut term = scale;
            for k in 0..most {
                if term == 0.0 {
                    break;
                }
                push(&mut out, term)?;
                term *= c * ((a + b * k as f64) / (k as f64 + 1.0));
            }
        }
        Series::Power { terms, power } => {
            // The rule for powers of a series (J. C. P. Miller): from `f' t = power f t'`, where `t` is the
            // series at `c x`.
            let mut scaled = sortes_core::memory::with_capacity(terms.len(), "modulation")?;
            let mut factor = 1.0;
            scaled.extend(terms.iter().map(|term| {
                let term = term * factor;
                factor *= c;
                term
            }));
            let mut zeros = 0;
            let first = root(terms[0], power);
            for n in 0..most {
                let mut term = first;
                if n > 0 {
                    let n_real = n as f64;
                    let sum: f64 = (1..scaled.len().min(n + 1))
                        .map(|j| ((power + 1.0) * j as f64 - n_real) * scaled[j] * out[n - j])
                        .sum();
                    term = sum / (n_real * scaled[0]);
                }
                zeros = if term == 0.0 { zeros + 1 } else { 0 };
                push(&mut out, term)?;
                // Nothing follows as many zeros as the series has terms.
                if zeros >= scaled.len() {
                    break;
                }
            }
            for term in &mut out {
                *term *= scale;
            }
        }
        Series::Given(terms) => {
            let mut factor = scale;
            for &term in terms.iter().take(most) {
                push(&mut out, term * factor)?;
                factor *= c;
            }
        }
    }
    while out.last() == Some(&0.0) {
        out.pop();
    }
    Ok(out)
}

/// A power of a positive number: the same bits on every platform.
pub fn root(x: f64, power: f64) -> f64 {
    if power == 0.5 { x.sqrt() } else { exp(power * ln(x)) }
}

/// The exponential of any number.
pub fn exp(x: f64) -> f64 {
    if x <= 0.0 { exp_negative(x) } else { 1.0 / exp_negative(-x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(series: Series<'_>, c: f64, most: usize) -> Vec<f64> {
        modulation(series, c, 1.0, most, Run::alone()).unwrap()
    }

    /// The first terms of the product of a series with itself, `times` times.
    fn product(f: &[f64], times: usize, len: usize) -> Vec<f64> {
        let mut out = vec![0.0; len];
        out[0] = 1.0;
        for _ in 0..times {
            out = (0..len)
                .map(|k| (0..=k).map(|i| out[i] * f.get(k - i).unwrap_or(&0.0)).sum())
                .collect();
        }
        out
    }

    #[test]
    fn a_power_of_a_root_is_the_series() {
        let cosine = [1.0, 1.0, -0.5, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0];
        for degree in [1usize, 2, 3] {
            let power = 0.5 / degree as f64;
            let root = terms(Series::Power { terms: &cosine, power }, 0.5, 40);
            let found = product(&root, 2 * degree, 12);
            for (k, found) in found.into_iter().enumerate() {
                let wanted = cosine.get(k).unwrap_or(&0.0) * 0.5f64.powi(k as i32);
                assert!((found - wanted).abs() < 1e-14, "{degree} {k} {found} {wanted}");
            }
            // (1 - x)^-3, exp(x) and (1 + x)^5.
            for (a, b, wanted) in [
                (3.0 * power, 1.0, [1.0, 3.0, 6.0, 10.0]),
                (power, 0.0, [1.0, 1.0, 0.5, 1.0 / 6.0]),
                (5.0 * power, -1.0, [1.0, 5.0, 10.0, 10.0]),
            ] {
                let found = product(&terms(Series::Ratio { a, b }, 1.0, 40), 2 * degree, 4);
                for (found, wanted) in found.into_iter().zip(wanted) {
                    assert!((found - wanted).abs() < 1e-13, "{a} {b} {found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn a_finite_series_ends() {
        assert_eq!(terms(Series::Ratio { a: 1.0, b: -1.0 }, 0.5, 100), [1.0, 0.5]);
        assert_eq!(terms(Series::Ratio { a: 2.0, b: -1.0 }, 0.5, 2), [1.0, 1.0]);
        assert_eq!(terms(Series::Given(&[1.0, 0.0, 4.0, 0.0]), 0.5, 100), [1.0, 0.0, 1.0]);
        let square = [1.0, 2.0, 1.0];
        let root = terms(Series::Power { terms: &square, power: 0.5 }, 0.25, 1000);
        assert_eq!(root, [1.0, 0.25]);
        // Others until nothing is left of them.
        assert!(terms(Series::Ratio { a: 0.5, b: 0.0 }, 1.0, 1000).len() < 200);
    }
}
