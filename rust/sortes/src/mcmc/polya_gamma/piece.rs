//! Laws of shape below two: what is proposed, and when it is accepted.

use sortes_core::num::special::{erfcx, exp, reciprocal_gamma};
use sortes_core::rng::elementary::{exp_negative, ln, normal_quantile};
use sortes_core::rng::{Draws, open_uniform_of, uniform_of};

use std::f64::consts::{FRAC_PI_2, PI};

/// The chance that a proposal is one of the right side, whose mass without what depends on the shape
/// alone is `mass`.
#[inline(always)]
pub(super) fn chance_of_right(shape: &Shape, z: f64, mass: f64) -> f64 {
    // All masses are divided by exp(-b z - (a - w)^2), so that nothing overflows but where the right
    // side has no mass.
    let w = z * (0.5 * shape.t).sqrt();
    let left = shape.left * (erfcx(shape.a - w) + erfcx(shape.a + w));
    let right = shape.right * mass;
    right / (right + left)
}

/// An inverse Gaussian of this mean and the shape `(mean z)^2`, from a normal and a uniform; and what is
/// left of the uniform (Michael, Schucany and Haas, "Generating random variates using transformations
/// with multiple roots", American Statistician 30, 1976).
#[inline(always)]
pub(super) fn inverse_gaussian(n: f64, v: f64, mean: f64, z: f64) -> (f64, f64) {
    let y = n * n / (mean * z * z);
    let r = 1.0 / (1.0 + 0.5 * y + (y + 0.25 * y * y).sqrt());
    let v = v * (1.0 + r);
    if v < 1.0 { (mean * r, v) } else { (mean / r, (v - 1.0) / r) }
}

/// What depends on the shape of a piece alone; the shape is below two.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) b: f64,
    /// Where the left side ends.
    pub(super) t: f64,
    /// `b / sqrt(2 t)`.
    pub(super) a: f64,
    /// `erfc(a) / 2`: the chance that the left side leaves to a normal variable.
    pub(super) tail: f64,
    /// `2^(b-1)`.
    pub(super) left: f64,
    /// `(pi / 2)^b / Gamma(b) exp(a^2 - pi^2 t / 8)`.
    pub(super) right: f64,
    /// The logarithm of `a_0` over the right side, both without what depends on `x`.
    pub(super) ratio: f64,
    /// `E[R]` and `E[R^2]`.
    pub(super) moments: [f64; 2],
}

/// `2 zeta(2) - 3`.
const SPREAD: f64 = PI * PI / 3.0 - 3.0;
/// `pi^2 / 8`.
pub(super) const RATE: f64 = PI * PI / 8.0;
/// The bound of `rho` for shapes below one.
const ABOVE: f64 = 1.2;
/// Beyond this the series has lost its digits. The chance to come here and to be undecided is below
/// 1e-16.
const FAR: f64 = 24.0;

impl Shape {
    pub(super) fn new(b: f64) -> Self {
        // Near the best place; any place is right for shapes above one, up to that of the first line.
        let t = if b < 1.0 {
            2.0 * (b + 1.0) / ln(b + 2.0)
        } else {
            let beta = b - 1.0;
            0.64 + 0.91 * beta.sqrt() + 0.465 * beta
        };
        let a = b / (2.0 * t).sqrt();
        let scale = exp(b * ln(FRAC_PI_2)) * reciprocal_gamma(b);
        let mean = 2.0 * b / (PI * PI);
        let square = 4.0 * b * SPREAD / PI.powi(4) + mean * mean;
        Self {
            b,
            t,
            a,
            tail: 0.5 * exp_negative(-a * a) * erfcx(a),
            left: exp((b - 1.0) * std::f64::consts::LN_2),
            right: scale * exp(a * a - RATE * t),
            ratio: ln(2.0) * b + ln(b.max(f64::MIN_POSITIVE) / (2.0 * PI).sqrt() / scale),
            moments: [mean, square],
        }
    }

    /// Whether `s < S(x)`, by partial sums.
    #[inline]
    pub(super) fn is_below_series(&self, x: f64, s: f64) -> bool {
        let b = self.b;
        let scale = -2.0 / x;
        let (mut weight, mut term, mut sum, mut n) = (1.0, 1.0, 1.0, 0.0f64);
        let (mut falls, mut even) = (false, true);
        loop {
            // Even partial sums are above it, odd ones below.
            if falls && (s >= sum) == even {
                return !even;
            }
            weight *= (n + b) / (n + 1.0);
            n += 1.0;
            let next = weight * (2.0 * n + b) / b * exp_negative(scale * n * (n + b));
            falls |= next <= term;
            if falls && (s >= sum) == even {
                return !even;
            }
            if next == 0.0 {
                return s < sum;
            }
            sum += if even { -next } else { next };
            (term, even) = (next, !even);
        }
    }
}

/// A law of shape below two.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) shape: Shape,
    /// `|c| / 2`.
    pub(super) z: f64,
    /// The rate of the right side.
    pub(super) rate: f64,
    /// The chance that a proposal is one of the right side.
    pub(super) right: f64,
    /// The share of its first gamma, an exponential.
    pub(super) first: f64,
    /// The tangent of `x^(b-1)`, or a bound of it: at `t`, and its slope.
    pub(super) tangent: [f64; 2],
    /// The mean of the left side, were it whole.
    pub(super) mean: f64,
}

impl Piece {
    pub(super) fn new(shape: Shape, c: f64) -> Self {
        let z = 0.5 * c.abs();
        let (b, t) = (shape.b, shape.t);
        let rate = RATE + 0.5 * z * z;
        let beta = b - 1.0;
        let tangent = if b == 1.0 {
            [1.0, 0.0]
        } else if b < 1.0 {
            [ABOVE * exp(beta * ln(t)), 0.0]
        } else {
            // It touches at the mean of the right side.
            let x = t + 1.0 / rate;
            let power = exp(beta * ln(x));
            [power * (1.0 - beta + beta * t / x), beta * power / x]
        };
        let masses = [tangent[0] / rate, tangent[1] / rate / rate];
        let both = masses[0] + masses[1];
        let right = chance_of_right(&shape, z, both);
        let first = if both > 0.0 { masses[0] / both } else { 1.0 };
        Self { shape, z, rate, right, first, tangent, mean: b / z }
    }

    /// Whether the left side is drawn from a normal tail.
    #[inline(always)]
    pub(super) fn is_near(&self) -> bool {
        self.z * self.shape.t < self.shape.b
    }

    /// A draw: two words for the first proposal, and further ones.
    #[inline]
    pub(super) fn draw(&self, words: [u64; 2], retry: &mut Draws) -> f64 {
        let (mut u, mut v) = (open_uniform_of(words[0]), uniform_of(words[1]));
        loop {
            let accepted = if u < self.right {
                self.propose_right(u / self.right, v, retry)
            } else {
                self.propose_left((u - self.right) / (1.0 - self.right), v, retry)
            };
            if let Some(x) = accepted {
                return x;
            }
            (u, v) = (retry.open_uniform(), retry.uniform());
        }
    }

    /// A proposal of the right side, for a uniform, if it is accepted, for another.
    #[inline]
    fn propose_right(&self, u: f64, v: f64, retry: &mut Draws) -> Option<f64> {
        let shape = &self.shape;
        let least = f64::MIN_POSITIVE;
        if shape.b == 1.0 {
            let x = shape.t - ln(u.max(least)) / self.rate;
            return is_below_dual(x, v).then_some(x);
        }
        let e = if u < self.first {
            -ln((u / self.first).max(least))
        } else {
            -ln(((u - self.first) / (1.0 - self.first)).max(least)) - ln(retry.open_uniform())
        };
        let x = shape.t + e / self.rate;
        let beta = shape.b - 1.0;
        let log = ln(x);
        let s = v * (self.tangent[0] + self.tangent[1] * (e / self.rate)) * exp(-beta * log);
        let [mean, square] = [shape.moments[0] / x, shape.moments[1] / x / x];
        let accept = if beta > 0.0 && s < 1.0 - beta * mean - (1.0 - beta) * square {
            // (1 - y)_+^beta >= 1 - beta y - (1 - beta) y^2.
            true
        } else if beta > 0.0 && s > 1.0 - beta * mean + 0.25 * beta * beta * square {
            // (1 - y)_+^beta <= (1 - beta y / 2)^2.
            false
        } else if x > FAR {
            s < 1.0 - beta * mean
        } else {
            let b = shape.b;
            // a_0 over the right side; the exponent is below 35.
            let ratio = shape.ratio - (1.5 + beta) * log - 0.5 * b * b / x + RATE * x;
            shape.is_below_series(x, s * exp(-ratio))
        };
        accept.then_some(x)
    }

    /// A proposal of the left side, for a uniform, if it is accepted, for another.
    #[inline]
    fn propose_left(&self, mut u: f64, mut v: f64, retry: &mut Draws) -> Option<f64> {
        let shape = &self.shape;
        loop {
            if self.is_near() {
                // b^2 / N^2 for a normal N in its tail, tilted by rejection: of `v`, what is above the
                // tilt refuses the tail alone, what is between its part and the tilt the whole.
                let r = shape.b / normal_quantile((u * shape.tail).max(f64::MIN_POSITIVE));
                let x = (r * r).min(shape.t);
                let tilt = exp_negative(-0.5 * self.z * self.z * x);
                if v < tilt {
                    return shape.is_below_series(x, v / tilt).then_some(x);
                }
            } else {
                let (x, v) = inverse_gaussian(normal_quantile(u), v, self.mean, self.z);
                if x <= shape.t {
                    return shape.is_below_series(x, v).then_some(x);
                }
            }
            (u, v) = (retry.open_uniform(), retry.uniform());
        }
    }
}

/// Whether `s < rho(x)` for the shape one, by the dual series `sum (-1)^n (2 n + 1) q^(n (n + 1) / 2)`
/// with `q = exp(-pi^2 x)`, whose terms fall for `x > 0.12`.
#[inline]
pub(super) fn is_below_dual(x: f64, s: f64) -> bool {
    let q = exp_negative(-PI * PI * x);
    let (mut sum, mut power, mut product, mut n) = (1.0, q, q, 1.0f64);
    loop {
        sum -= (2.0 * n + 1.0) * product;
        if s < sum {
            return true;
        }
        power *= q;
        product *= power;
        sum += (2.0 * n + 3.0) * product;
        if s >= sum || product == 0.0 {
            return false;
        }
        power *= q;
        product *= power;
        n += 2.0;
    }
}
