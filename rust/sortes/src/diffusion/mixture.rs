//! Mixtures of normals on the line, exactly: distribution functions, the monotone map from one to
//! another, and the distance of a sample from one.
//!
//! Tails are held as logarithms, so that a point far outside keeps its place.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

use sortes_core::memory::zeroed;
use sortes_core::num::special::erfcx;
use sortes_core::rng::elementary::{exp_negative, ln, ln_1m, ln_any};
use sortes_core::{Result, Run};

/// How many points are one task.
const TASK: usize = 1 << 10;
/// Enough bisections to tell any two numbers apart; Newton's method needs a few.
const MOST: usize = 200;

/// Normals with weights, which add up to 1.
#[derive(Clone, Copy, Debug)]
pub struct Mixture<'a> {
    /// The weights, positive.
    pub weights: &'a [f64],
    /// The means.
    pub means: &'a [f64],
    /// The standard deviations, positive.
    pub scales: &'a [f64],
}

/// Which side of a point a mass lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Below it.
    Lower,
    /// Above it.
    Upper,
}

/// `ln(Phi(z))`.
fn ln_normal_cdf(z: f64) -> f64 {
    if z < 0.0 {
        ln_any(0.5 * erfcx(-z * FRAC_1_SQRT_2)) - 0.5 * z * z
    } else {
        let upper = 0.5 * erfcx(z * FRAC_1_SQRT_2) * exp_negative(-0.5 * z * z);
        if upper > 0.0 { ln_1m(upper) } else { 0.0 }
    }
}

/// `ln(phi(z))`.
fn ln_normal_pdf(z: f64) -> f64 {
    -0.5 * z * z - 0.5 * (LN_2 + ln(PI))
}

/// The `z` with `ln(Phi(z)) = log_p`, for `log_p < 0`.
fn normal_quantile_of_log(log_p: f64) -> f64 {
    if log_p > -LN_2 {
        // From the other side, where the logarithm is steep.
        return -normal_quantile_of_log(ln_any(-log_p.exp_m1()));
    }
    // ln(Phi) is concave and lies below -z^2 / 2 here, so that Newton's method climbs to the root from
    // the left.
    let mut z = -(-2.0 * log_p).sqrt();
    for _ in 0..MOST {
        let value = ln_normal_cdf(z);
        let slope = (ln_normal_pdf(z) - value).exp();
        let step = (log_p - value) / slope;
        z += step;
        // A step without progress, or to the left, is rounding.
        if step.is_nan() || step <= 1e-15 * z.abs() {
            break;
        }
    }
    z
}

impl Mixture<'_> {
    fn components(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.weights.iter().zip(self.means).zip(self.scales).map(|((&w, &m), &s)| (w, m, s))
    }

    /// The logarithm of the mass on one side of `x`, and of the density there.
    fn logs(&self, x: f64, side: Side) -> (f64, f64) {
        let sign = if side == Side::Lower { 1.0 } else { -1.0 };
        let (mut mass, mut density) = (LogSum::default(), LogSum::default());
        for (w, m, s) in self.components() {
            let z = (x - m) / s;
            mass.add(ln(w) + ln_normal_cdf(sign * z));
            density.add(ln(w) + ln_normal_pdf(z) - ln(s));
        }
        (mass.value(), density.value())
    }

    /// The logarithm of the mass on one side of `x`.
    pub fn log_mass(&self, x: f64, side: Side) -> f64 {
        self.logs(x, side).0
    }

    /// The point with a mass of which the logarithm is `log_p < 0` on one side.
    pub fn quantile(&self, log_p: f64, side: Side) -> f64 {
        let sign = if side == Side::Lower { 1.0 } else { -1.0 };
        // It lies between the quantiles of the normals.
        let z = sign * normal_quantile_of_log(log_p);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (_, m, s) in self.components() {
            low = low.min(m + s * z);
            high = high.max(m + s * z);
        }
        let mut x = 0.5 * (low + high);
        for _ in 0..MOST {
            let (mass, density) = self.logs(x, side);
            let excess = sign * (mass - log_p); // positive to the right of the root
            if excess > 0.0 {
                high = x;
            } else {
                low = x;
            }
            let newton = x - excess / (density - mass).exp();
            let inside = newton > low && newton < high;
            let next = if inside { newton } else { 0.5 * (low + high) };
            let done = (next - x).abs() <= 4e-16 * x.abs().max(high - low) || excess == 0.0;
            if excess == 0.0 {
                break;
            }
            x = next;
            if done {
                break;
            }
        }
        x
    }

    /// The integral of the mass on one side, over all points on that side of `x`.
    fn integral(&self, x: f64, side: Side) -> f64 {
        let sign = if side == Side::Lower { 1.0 } else { -1.0 };
        let term = |(w, m, s): (f64, f64, f64)| {
            let z = sign * (x - m) / s;
            w * s * (z * ln_normal_cdf(z).exp() + ln_normal_pdf(z).exp())
        };
        self.components().map(term).sum()
    }
}

/// The logarithm of a sum of exponentials.
struct LogSum {
    most: f64,
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self { most: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, term: f64) {
        if term > self.most {
            self.sum = self.sum * exp_negative(self.most - term) + 1.0;
            self.most = term;
        } else if term > f64::NEG_INFINITY {
            self.sum += exp_negative(term - self.most);
        }
    }

    fn value(&self) -> f64 {
        if self.sum > 0.0 { self.most + ln(self.sum) } else { f64::NEG_INFINITY }
    }
}

/// Writes the mass below each point.
///
/// # Errors
/// If the work has been asked to stop.
pub fn cdf(x: &[f64], mixture: Mixture<'_>, out: &mut [f64], run: Run<'_>) -> Result<()> {
    each(x, out, run, |x| mixture.log_mass(x, Side::Lower).exp())
}

/// Writes the point below which there is each mass in `(0, 1)`; the ends map to the infinities.
///
/// # Errors
/// If the work has been asked to stop.
pub fn quantile(p: &[f64], mixture: Mixture<'_>, out: &mut [f64], run: Run<'_>) -> Result<()> {
    each(p, out, run, |p| match p {
        0.0 => f64::NEG_INFINITY,
        1.0 => f64::INFINITY,
        _ if p <= 0.5 => mixture.quantile(ln_any(p), Side::Lower),
        _ => mixture.quantile(ln_any(1.0 - p), Side::Upper),
    })
}

/// Writes where the monotone map from one mixture to another takes each point.
///
/// # Errors
/// If the work has been asked to stop.
pub fn transport(
    x: &[f64],
    from: Mixture<'_>,
    to: Mixture<'_>,
    out: &mut [f64],
    run: Run<'_>,
) -> Result<()> {
    each(x, out, run, |x| {
        if x.is_infinite() {
            return x;
        }
        let lower = from.log_mass(x, Side::Lower);
        if lower <= -LN_2 {
            to.quantile(lower, Side::Lower)
        } else {
            to.quantile(from.log_mass(x, Side::Upper), Side::Upper)
        }
    })
}

fn each(
    x: &[f64],
    out: &mut [f64],
    run: Run<'_>,
    f: impl Fn(f64) -> f64 + Sync + Send,
) -> Result<()> {
    run.fill_chunks(out, TASK, |task, chunk| {
        for (out, &x) in chunk.iter_mut().zip(&x[task * TASK..]) {
            *out = f(x);
        }
        run.advance(chunk.len() as u64);
    })
}

/// The Wasserstein distance of order 1 of sorted points from a mixture: the integral of the distance
/// between their distribution functions.
///
/// # Errors
/// If the work has been asked to stop.
pub fn wasserstein_1(sorted: &[f64], mixture: Mixture<'_>, run: Run<'_>) -> Result<f64> {
    let n = sorted.len();
    let Some((first, last)) = sorted.first().zip(sorted.last()) else { return Ok(0.0) };
    let below = |x: f64| mixture.integral(x, Side::Lower);
    let mut gaps = zeroed::<f64>((n - 1).div_ceil(TASK), "gaps")?;
    run.fill_chunks(&mut gaps, 1, |task, gap| {
        let last = ((task + 1) * TASK).min(n - 1);
        let mut left = below(sorted[task * TASK]);
        let mut sum = 0.0;
        for i in task * TASK..last {
            let (a, b) = (sorted[i], sorted[i + 1]);
            let right = below(b);
            let level = (i + 1) as f64 / n as f64;
            // Where the distribution function crosses the level between them.
            let log_level = ln(level);
            let middle = if mixture.log_mass(a, Side::Lower) >= log_level {
                a
            } else if mixture.log_mass(b, Side::Lower) <= log_level {
                b
            } else {
                mixture.quantile(log_level, Side::Lower).clamp(a, b)
            };
            let at = below(middle);
            sum += level * (middle - a) - (at - left) + (right - at) - level * (b - middle);
            left = right;
        }
        gap[0] = sum;
        run.advance((last - task * TASK) as u64);
    })?;
    Ok(below(*first) + gaps.iter().sum::<f64>() + mixture.integral(*last, Side::Upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXTURE: Mixture<'_> =
        Mixture { weights: &[0.3, 0.7], means: &[-1.2, 0.9], scales: &[0.35, 0.5] };

    #[test]
    fn quantiles_invert_masses_far_into_both_tails() {
        for i in -400..400 {
            let x = f64::from(i) / 7.0;
            let lower = MIXTURE.log_mass(x, Side::Lower);
            let (log_p, side) = if lower < -LN_2 {
                (lower, Side::Lower)
            } else {
                (MIXTURE.log_mass(x, Side::Upper), Side::Upper)
            };
            let back = MIXTURE.quantile(log_p, side);
            assert!((back - x).abs() < 1e-11 * (1.0 + x.abs()), "{x} {back}");
        }
    }

    #[test]
    fn quantiles_of_logarithms() {
        for z in [-30.0, -5.0, -1.0, -0.1, 0.0, 0.3, 2.0, 6.0] {
            let back = normal_quantile_of_log(ln_normal_cdf(z));
            assert!((back - z).abs() < 1e-6, "{z} {back}");
            if z < 1.0 {
                assert!((back - z).abs() < 1e-14 * (1.0 + z.abs()), "{z} {back}");
            }
        }
    }

    #[test]
    fn a_distance_is_an_integral() {
        let sorted: Vec<f64> = (0..50).map(|i| -2.5 + 0.1 * f64::from(i * i % 53)).collect();
        let mut sorted = sorted;
        sorted.sort_by(f64::total_cmp);
        let exact = wasserstein_1(&sorted, MIXTURE, Run::alone()).unwrap();
        let step = 1e-4;
        let mut sum = 0.0;
        for k in -60_000..80_000 {
            let x = (f64::from(k) + 0.5) * step;
            let share = sorted.partition_point(|&y| y <= x) as f64 / 50.0;
            sum += step * (share - MIXTURE.log_mass(x, Side::Lower).exp()).abs();
        }
        assert!((exact - sum).abs() < 1e-6, "{exact} {sum}");
    }
}
