//! Where transitions get random numbers: a stream, or a tape of given ones.

use sortes_core::rng::elementary::{ln, normal_quantile};
use sortes_core::rng::{self, bulk, exponential_of, open_uniform_of, uniform_of};

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

/// How many words are made at once.
const WORDS: usize = 2 * bulk::AHEAD;

/// The numbers of a sequence from its beginning on, whose words are made before they are asked for, many
/// side by side.
#[derive(Debug, Clone)]
pub struct Ahead {
    sequence: rng::Draws,
    words: [[u64; 2]; bulk::AHEAD],
    /// How many of these have been taken, and the block after them.
    taken: usize,
    next: u32,
}

impl Ahead {
    /// Of a sequence.
    #[inline]
    pub fn new(sequence: rng::Draws) -> Self {
        Self { sequence, words: [[0; 2]; bulk::AHEAD], taken: WORDS, next: 0 }
    }

    /// Begins another sequence.
    #[inline]
    pub fn restart(&mut self, sequence: rng::Draws) {
        (self.sequence, self.taken, self.next) = (sequence, WORDS, 0);
    }

    #[inline]
    fn word(&mut self) -> u64 {
        if self.taken >= WORDS {
            bulk::ahead(&self.sequence, self.next, &mut self.words);
            self.next = self.next.wrapping_add(bulk::AHEAD as u32);
            self.taken = 0;
        }
        let at = self.taken;
        self.taken += 1;
        self.words.as_flattened()[at]
    }
}

impl Draws for Ahead {
    #[inline]
    fn uniform(&mut self) -> f64 {
        uniform_of(self.word())
    }

    #[inline]
    fn exponential(&mut self) -> f64 {
        exponential_of([self.word(), self.word()])
    }

    #[inline]
    fn normal(&mut self) -> f64 {
        normal_quantile(open_uniform_of(self.word()))
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

#[cfg(test)]
mod tests {
    use sortes_core::rng::{Purpose, Stream};

    use super::*;

    #[test]
    fn numbers_ahead_are_those_of_the_sequence() {
        let sequence = |i| Stream::new(3).draws(Purpose::Chain, i);
        let mut ahead = Ahead::new(sequence(0));
        for chain in 0..20 {
            let mut plain = sequence(chain);
            ahead.restart(sequence(chain));
            for turn in 0..2 * chain {
                match turn % 3 {
                    0 => assert_eq!(ahead.uniform(), plain.uniform()),
                    1 => assert_eq!(ahead.exponential(), plain.exponential()),
                    _ => assert_eq!(ahead.normal(), plain.normal()),
                }
            }
        }
    }
}
