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
    /// Several of them, one after the other.
    #[inline]
    fn exponentials(&mut self, out: &mut [f64]) {
        for e in out {
            *e = self.exponential();
        }
    }
    /// Standard normal.
    fn normal(&mut self) -> f64;
    /// Several of them, one after the other.
    #[inline]
    fn normals(&mut self, out: &mut [f64]) {
        for z in out {
            *z = self.normal();
        }
    }
    /// Several normals and then an exponential, with which many transitions begin.
    #[inline]
    fn opening(&mut self, normals: &mut [f64]) -> f64 {
        self.normals(normals);
        self.exponential()
    }
    /// A direction, all alike, and then an exponential.
    #[inline]
    fn heading(&mut self, direction: &mut [f64]) -> f64
    where
        Self: Sized,
    {
        one_by_one(self, direction)
    }
}

/// The length of a vector, of numbers near one.
pub(super) fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// A direction, as normals over their length, and then an exponential.
#[inline]
fn one_by_one(draws: &mut impl Draws, direction: &mut [f64]) -> f64 {
    loop {
        let drop = draws.opening(direction);
        let norm = length(direction);
        if norm != 0.0 {
            for z in direction {
                *z /= norm;
            }
            return drop;
        }
    }
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
/// So many normals at most are made for several transitions at once.
const MOST: usize = 64;

/// The numbers of a sequence from its beginning on, whose words are made before they are asked for, many
/// side by side.
#[derive(Debug, Clone)]
pub struct Ahead {
    sequence: rng::Draws,
    words: [[u64; 2]; bulk::AHEAD],
    /// How many of these have been taken, and the block after them.
    taken: usize,
    next: u32,
    /// The normals and the exponential that a transition and those after it begin with, and the blocks of
    /// each that come then; whether the normals are divided by their length.
    openings: Vec<f64>,
    spare: [[[u64; 2]; bulk::SPARE]; bulk::ROUNDS],
    is_unit: bool,
    of: rng::Draws,
}

impl Ahead {
    /// Of a sequence.
    #[inline]
    pub fn new(sequence: rng::Draws) -> Self {
        Self {
            of: sequence.clone(),
            sequence,
            words: [[0; 2]; bulk::AHEAD],
            taken: WORDS,
            next: 0,
            openings: Vec::new(),
            spare: [[[0; 2]; bulk::SPARE]; bulk::ROUNDS],
            is_unit: false,
        }
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
            self.taken -= WORDS;
        }
        let at = self.taken;
        self.taken += 1;
        self.words.as_flattened()[at]
    }

    /// Several normals, over their length or as they are, and an exponential, if a sequence is to begin
    /// with them.
    #[inline]
    fn begun(&mut self, normals: &mut [f64], is_unit: bool) -> Option<f64> {
        let n = normals.len();
        if (self.taken, self.next) != (WORDS, 0) || n > MOST {
            return None;
        }
        let size = (n + 1) * bulk::ROUNDS;
        let is_known = self.openings.len() == size && self.is_unit == is_unit;
        let at = match self.sequence.rounds_after(&self.of) {
            Some(at) if at < bulk::ROUNDS as u32 && is_known => at as usize,
            _ => {
                self.openings.resize(size, 0.0);
                bulk::openings(&self.sequence, is_unit, &mut self.openings, &mut self.spare);
                (self.of, self.is_unit) = (self.sequence.clone(), is_unit);
                0
            }
        };
        let (rows, _) = self.openings.as_chunks::<{ bulk::ROUNDS }>();
        for (z, row) in normals.iter_mut().zip(rows) {
            *z = row[at];
        }
        // These had n + 2 words; of the blocks that follow, the first may be half of theirs.
        self.words[bulk::AHEAD - bulk::SPARE..].copy_from_slice(&self.spare[at]);
        self.next = (n / 2 + 1 + bulk::SPARE) as u32;
        self.taken = WORDS - 2 * bulk::SPARE + n % 2;
        Some(rows[n][at])
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
    fn exponentials(&mut self, out: &mut [f64]) {
        let mut pairs = [[0; 2]; WORDS];
        for out in out.chunks_mut(WORDS) {
            for pair in &mut pairs[..out.len()] {
                *pair = [self.word(), self.word()];
            }
            bulk::exponentials_of(&pairs[..out.len()], out);
        }
    }

    #[inline]
    fn normal(&mut self) -> f64 {
        normal_quantile(open_uniform_of(self.word()))
    }

    #[inline]
    fn normals(&mut self, out: &mut [f64]) {
        for u in &mut *out {
            *u = open_uniform_of(self.word());
        }
        bulk::quantiles(out);
    }

    #[inline]
    fn opening(&mut self, normals: &mut [f64]) -> f64 {
        if let Some(drop) = self.begun(normals, false) {
            return drop;
        }
        self.normals(normals);
        self.exponential()
    }

    #[inline]
    fn heading(&mut self, direction: &mut [f64]) -> f64 {
        self.begun(direction, true).unwrap_or_else(|| one_by_one(self, direction))
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
    fn openings_are_those_of_the_sequence() {
        let stream = Stream::new(4);
        let sequence = |round| stream.at_step(round).draws(Purpose::Chain, 5);
        let mut ahead = Ahead::new(sequence(0));
        let mut z = [0.0; MOST + 1];
        // Rounds in turn, again, left out, and before; as many normals as before, or not.
        for (round, n) in (0..20).map(|t| (t, 3)).chain([
            (20, 4),
            (21, 4),
            (21, 4),
            (25, 4),
            (40, 4),
            (2, 4),
            (3, 5),
            (4, 5),
            (5, MOST),
            (6, MOST + 1),
        ]) {
            let mut plain = sequence(round);
            ahead.restart(sequence(round));
            for turn in 0..2 {
                if (round + turn) % 3 == 0 {
                    let mut unit = z;
                    let e = (ahead.heading(&mut z[..n]), plain.heading(&mut unit[..n]));
                    assert_eq!((e.0, &z[..n]), (e.1, &unit[..n]), "{round} {n}");
                } else {
                    let e = ahead.opening(&mut z[..n]);
                    assert!(z[..n].iter().all(|&z| z == plain.normal()), "{round} {n}");
                    assert_eq!(e, plain.exponential());
                }
                for _ in 0..2 * WORDS + 3 {
                    assert_eq!(ahead.uniform(), plain.uniform());
                }
            }
        }
        ahead.restart(stream.at_step(6).draws(Purpose::Chain, 6));
        ahead.opening(&mut z[..3]);
        assert_eq!(z[0], stream.at_step(6).draws(Purpose::Chain, 6).normal());
    }

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
                    1 => {
                        assert_eq!(ahead.exponential(), plain.exponential());
                        let mut several = [0.0; 40];
                        let few = &mut several[..turn as usize];
                        ahead.exponentials(few);
                        assert!(few.iter().all(|&e| e == plain.exponential()));
                    }
                    _ => {
                        let mut several = [0.0; 40];
                        let few = &mut several[..turn as usize];
                        ahead.normals(few);
                        assert!(few.iter().all(|&z| z == plain.normal()));
                    }
                }
            }
        }
    }
}
