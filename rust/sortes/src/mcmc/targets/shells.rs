//! Laws whose mass lies in thin sets far from the origin: the examples of Gibbsian polar slice sampling
//! (Schär, Habeck and Rudolf, ICML 2023, arXiv 2302.03945).

use std::f64::consts::{LN_2, PI};

use sortes_core::Result;
use sortes_core::rng::Draws;
use sortes_core::rng::elementary::{exp_negative, ln, ln_any};

use super::{LogDensity, squares};

/// A normal that is thin across one hyperplane: proportional to `exp(-|x|^2 - (sum x)^2)`.
#[derive(Debug, Clone, Copy)]
pub struct HyperplaneDisk {
    dim: usize,
    constant: f64,
    /// What of the mean of standard normals is taken away from each of them.
    excess: f64,
}

impl HyperplaneDisk {
    /// Of so many coordinates.
    pub fn new(dim: usize) -> Self {
        let d = dim as f64;
        let constant = 0.5 * (d * ln(PI) - ln(1.0 + d));
        Self { dim, constant, excess: 1.0 - 1.0 / (1.0 + d).sqrt() }
    }
}

impl LogDensity for HyperplaneDisk {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        let (radial, sum) = (squares(x), x.iter().sum::<f64>());
        let across = if radial < f64::INFINITY { sum * sum } else { 0.0 };
        Ok(-radial - across - self.constant)
    }

    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        out.fill_with(|| draws.normal());
        let shift = self.excess * out.iter().sum::<f64>() / self.dim as f64;
        for x in out {
            *x = (*x - shift) * std::f64::consts::FRAC_1_SQRT_2;
        }
    }

    fn is_drawable(&self) -> bool {
        true
    }
}

/// Two modes on each axis: proportional to `max |x|^4 exp(-sum |x|)`.
///
/// The largest modulus has a density proportional to `t^4 e^-t (1 - e^-t)^(d - 1)`.
#[derive(Debug, Clone, Copy)]
pub struct AxialModes {
    dim: usize,
    constant: f64,
    /// The mode of the largest modulus, and the logarithm of its density there.
    mode: f64,
    height: f64,
}

/// The sums of `i^-s` for `i` up to `dim`, with `s` from 1 to 4: the first terms one by one, all others by
/// the formula of Euler and Maclaurin.
fn power_sums(dim: usize) -> [f64; 4] {
    let (few, mut sums) = (dim.min(4096), [0.0; 4]);
    for i in (1..=few).rev() {
        let (share, mut term) = (1.0 / i as f64, 1.0);
        for sum in &mut sums {
            term *= share;
            *sum += term;
        }
    }
    if few < dim {
        let (first, last) = (1.0 / few as f64, 1.0 / dim as f64);
        for (sum, s) in sums.iter_mut().zip(1..) {
            let area = match s {
                1 => ln(first / last),
                _ => (first.powi(s - 1) - last.powi(s - 1)) / f64::from(s - 1),
            };
            let ends = 0.5 * (last.powi(s) - first.powi(s));
            let slopes = f64::from(s) / 12.0 * (first.powi(s + 1) - last.powi(s + 1));
            *sum += area + ends + slopes;
        }
    }
    sums
}

impl AxialModes {
    /// Of so many coordinates.
    pub fn new(dim: usize) -> Self {
        let d = dim as f64;
        // The fourth moment of the largest of `d` standard exponentials, from its cumulants.
        let [k1, k2, k3, k4] = power_sums(dim);
        let (k3, k4) = (2.0 * k3, 6.0 * k4);
        let fourth = k4 + 4.0 * k3 * k1 + 3.0 * k2 * k2 + 6.0 * k2 * k1 * k1 + k1.powi(4);
        // The slope of the log density falls: halve an interval with the mode.
        let (mut low, mut high) = (0.0, 5.0 + 2.0 * ln(1.0 + d));
        for _ in 0..60 {
            let t = 0.5 * (low + high);
            let below = exp_negative(-t);
            let rises = 4.0 / t - 1.0 + (d - 1.0) * below / (1.0 - below) > 0.0;
            if rises { low = t } else { high = t }
        }
        let made = Self { dim, constant: d * LN_2 + ln(fourth), mode: low, height: 0.0 };
        Self { height: made.largest(low), ..made }
    }

    /// The log density of the largest modulus.
    fn largest(&self, t: f64) -> f64 {
        let below = ln_any(1.0 - exp_negative(-t));
        let rest = if self.dim > 1 { (self.dim - 1) as f64 * below } else { 0.0 };
        ln(self.dim as f64) - (self.constant - self.dim as f64 * LN_2) + 4.0 * ln_any(t) - t + rest
    }
}

impl LogDensity for AxialModes {
    fn dim(&self) -> usize {
        self.dim
    }

    #[inline]
    fn logp(&self, x: &[f64], _: &mut [f64]) -> Result<f64> {
        let (mut sum, mut largest) = (0.0, 0.0_f64);
        for x in x {
            sum += x.abs();
            largest = largest.max(x.abs());
        }
        if sum == f64::INFINITY {
            return Ok(f64::NEG_INFINITY);
        }
        Ok(4.0 * ln_any(largest) - sum - self.constant)
    }

    /// The largest modulus by rejection, for a log-concave density `f` with mode `m`: it lies below
    /// `f(m) min(1, exp(1 - |t - m| f(m)))` (Devroye, "A simple algorithm for generating random
    /// variates with a log-concave density", Computing 33, 1984). Given it the others are exponentials
    /// below it.
    fn draw(&self, draws: &mut Draws, out: &mut [f64], _: &mut [f64]) {
        let unit = exp_negative(-self.height.abs());
        let unit = if self.height < 0.0 { 1.0 / unit } else { unit };
        let largest = loop {
            let part = (4.0 * draws.uniform()) as u32;
            let (y, bound) = if part < 2 {
                (draws.uniform(), self.height)
            } else {
                let past = draws.exponential();
                (1.0 + past, self.height - past)
            };
            let t = self.mode + if part.is_multiple_of(2) { y * unit } else { -y * unit };
            let e = draws.exponential();
            if t > 0.0 && self.largest(t) > bound - e {
                break t;
            }
        };
        let inside = 1.0 - exp_negative(-largest);
        for x in &mut *out {
            *x = -ln_any(1.0 - draws.uniform() * inside);
        }
        let axis = (draws.uniform() * self.dim as f64) as usize;
        out[axis.min(self.dim - 1)] = largest;
        for x in out {
            *x = if draws.uniform() < 0.5 { -*x } else { *x };
        }
    }

    fn is_drawable(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised() {
        // One coordinate: both are known in closed form.
        let at = |target: &dyn LogDensity, x: f64| target.logp(&[x], &mut []).unwrap();
        let disk = HyperplaneDisk::new(1);
        assert!((at(&disk, 0.7) + 2.0 * 0.49 + 0.5 * (PI / 2.0).ln()).abs() < 1e-12);
        let modes = AxialModes::new(1);
        assert!((at(&modes, -2.0) - 4.0 * 2.0_f64.ln() + 2.0 + 48.0_f64.ln()).abs() < 1e-12);
        assert!((modes.mode - 4.0).abs() < 1e-9);
        // The density of the largest modulus integrates to one, and is highest at its mode.
        for d in [1, 2, 10, 1000, 1_000_000] {
            let modes = AxialModes::new(d);
            let sum: f64 = (1..60_000).map(|i| modes.largest(f64::from(i) * 1e-3).exp()).sum();
            assert!((sum * 1e-3 - 1.0).abs() < 1e-6, "{d} {sum}");
            assert!(modes.largest(modes.mode + 1e-3) < modes.height);
            assert!(modes.largest(modes.mode - 1e-3) < modes.height);
        }
    }

    #[test]
    fn sums_of_many_terms_are_those_of_all() {
        for dim in [4096, 4097, 100_000] {
            for (s, sum) in (1..).zip(power_sums(dim)) {
                let all: f64 = (1..=dim).rev().map(|i| (i as f64).powi(-s)).sum();
                assert!((sum / all - 1.0).abs() < 1e-14, "{dim} {s} {sum} {all}");
            }
        }
    }

    #[test]
    fn far_away_is_outside() {
        let far = [1e200, -1e200, f64::INFINITY];
        assert_eq!(HyperplaneDisk::new(3).logp(&far, &mut []).unwrap(), f64::NEG_INFINITY);
        assert_eq!(AxialModes::new(3).logp(&far, &mut []).unwrap(), f64::NEG_INFINITY);
        assert_eq!(AxialModes::new(3).logp(&[0.0; 3], &mut []).unwrap(), f64::NEG_INFINITY);
    }
}
