//! Where transitions get random numbers: a stream, or a tape of given ones.

use sortes_core::rng;

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
