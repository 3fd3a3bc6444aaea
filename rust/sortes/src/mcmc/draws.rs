//! Where transitions get random numbers: a stream, or a tape of given ones.

use sortes_core::rng;
use sortes_core::rng::elementary::ln;

use sortes_core::num::special::exp;

/// Three kinds of random numbers, in the order in which a transition asks.
pub trait Draws {
    /// Uniform on `[0, 1)`.
    fn uniform(&mut self) -> f64;
    /// Exponential with mean 1, above zero.
    fn exponential(&mut self) -> f64;
    /// Standard normal.
    fn normal(&mut self) -> f64;
}

impl Draws for rng::Draws {
    #[inline]
    fn uniform(&mut self) -> f64 {
        rng::Draws::uniform(self)
    }

    #[inline]
    fn exponential(&mut self) -> f64 {
        rng::Draws::exponential(self)
    }

    #[inline]
    fn normal(&mut self) -> f64 {
        rng::Draws::normal(self)
    }
}

/// A gamma variable with scale 1 (Marsaglia and Tsang, "A simple method for generating gamma
/// variables", ACM Transactions on Mathematical Software 26, 2000).
pub(super) fn gamma(shape: f64, draws: &mut impl Draws) -> f64 {
    let boost = if shape < 1.0 { exp((-draws.exponential() / shape).max(-700.0)) } else { 1.0 };
    let d = shape + if shape < 1.0 { 1.0 } else { 0.0 } - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let z = draws.normal();
        let v = (1.0 + c * z).powi(3);
        if v > 0.0 && -draws.exponential() < 0.5 * z * z + d * (1.0 - v + ln(v)) {
            return boost * d * v;
        }
    }
}

/// Given numbers, kind by kind; NaN where a tape is at its end.
#[derive(Debug, Clone)]
pub struct Tape<'a> {
    /// What is left of the uniforms.
    pub uniforms: &'a [f64],
    /// What is left of the exponentials.
    pub exponentials: &'a [f64],
    /// What is left of the normals.
    pub normals: &'a [f64],
}

fn next(tape: &mut &[f64]) -> f64 {
    match tape.split_first() {
        Some((&first, rest)) => {
            *tape = rest;
            first
        }
        None => f64::NAN,
    }
}

impl Draws for Tape<'_> {
    fn uniform(&mut self) -> f64 {
        next(&mut self.uniforms)
    }

    fn exponential(&mut self) -> f64 {
        next(&mut self.exponentials)
    }

    fn normal(&mut self) -> f64 {
        next(&mut self.normals)
    }
}
