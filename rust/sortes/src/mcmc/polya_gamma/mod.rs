//! Draws from Polya-Gamma laws `PG(b, c)`, exact for every `b > 0` and every `c`.
//!
//! Polson, Scott and Windle, "Bayesian inference for logistic models using Polya-Gamma latent
//! variables", JASA 108, 2013. With `J = 4 PG(b, 0)`, whose Laplace transform is
//! `cosh(sqrt(2 s))^-b`, expanding the power of the hyperbolic cosine gives the density as an
//! alternating series,
//!
//! ```text
//! f(x) = a_0(x) S(x),    S(x) = sum_n (-1)^n w_n exp(-2 n (n + b) / x),
//! a_0(x) = 2^b b exp(-b^2 / (2 x)) / sqrt(2 pi x^3),
//! w_n = (b)_n / n! (2 n + b) / b.
//! ```
//!
//! The ratio of neighbouring terms falls with `n` for every `b > 0`: both `(2 n + b + 1) / (2 n + b)`
//! and `1 / (n + 1)` fall, and it is `1 + b (2 n + 1 + b) / ((n + 1) (2 n + b))` times an exponential
//! that falls. So from the first term at which they fall, partial sums lie on alternating sides of
//! `S`; and `S <= 1` as soon as the first ratio is at most one, `x <= 2 (b + 1) / ln(b + 2)`.
//!
//! `J` is `8 g / pi^2 + R` with `g` of the law Gamma(b, 1) and `R` independent of it, so that
//!
//! ```text
//! f(x) = (pi / 2)^b / Gamma(b) x^(b-1) exp(-pi^2 x / 8) rho(x),
//! rho(x) = E[(1 - Y)_+^(b-1)],    Y = R / x under the law tilted by exp(pi^2 R / 8),
//! ```
//!
//! where `E[R] = 2 b / pi^2` and `Var[R] = 4 b (2 zeta(2) - 3) / pi^4`. For `b >= 1`, `rho <= 1`.
//! For `b < 1` the right side is used beyond `2 (b + 1) / ln(b + 2) > 2.88` alone. There
//! `(1 - Y)^(b-1) <= 1 + 2 Y` on `Y <= 1/2` by convexity, which has a mean below 1.15, and what lies
//! above has a probability below 1e-5 with a bounded density: `rho < 1.2`.
//!
//! A draw of the left side is one of an inverse Gaussian; one of the right side takes the tangent of
//! the concave `x^(b-1)`, which makes it a mixture of two gammas, all masses in closed form. The
//! tilt by `exp(-c^2 x / 8)` is part of both.

// Loops that become vectors have no branches.
#![allow(clippy::needless_bitwise_bool)]
mod piece;
mod proposals;

use piece::{Piece, Shape};
use proposals::{chances_of_one, propose, propose_each};
use sortes_core::rng::bulk::{Ids, words_at};
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Result, Run};

/// The pieces of a task.
const TASK: f64 = 65_536.0;
/// Elements that are drawn side by side.
const BATCH: usize = 256;
/// Pieces of a single element between two looks at the stop request.
const PIECES: u64 = 1 << 12;

/// The shapes and tilts of a call: one for all draws, or one for each.
#[derive(Clone, Copy, Debug)]
pub struct PolyaGamma<'a> {
    /// The shapes, in `(0, 2^30]`.
    pub b: &'a [f64],
    /// The tilts, finite.
    pub c: &'a [f64],
}

/// Fills `out` with independent draws: element `i` is a function of the stream, `i` and its own
/// shape and tilt. Progress counts elements.
///
/// Piece `k` of an element proposes by block `k` of a sequence of its own; what is proposed after a
/// refusal comes from a second sequence.
///
/// # Errors
/// If the work is cancelled.
pub fn polya_gamma(
    of: PolyaGamma<'_>,
    stream: Stream,
    out: &mut [f64],
    run: Run<'_>,
) -> Result<()> {
    let at = |x: &[f64], i: usize| if x.len() == 1 { x[0] } else { x[i] };
    let most = of.b.iter().copied().fold(1.0, f64::max);
    let size = ((TASK / most) as usize).clamp(16, 16 * BATCH);
    let common = (of.b.len() == 1 && !of.c.is_empty()).then(|| Laws::new(of.b[0], of.c[0]));
    run.try_fill_chunks(out, size, |task, chunk| {
        let first = task * size;
        if let Some(laws) = &common {
            for (batch, out) in chunk.chunks_mut(BATCH).enumerate() {
                let first = first + batch * BATCH;
                let tilts = (of.c.len() > 1).then(|| &of.c[first..first + out.len()]);
                laws.draw_all(first as u64, tilts, stream, out, run)?;
            }
        } else {
            let mut laws = Laws::new(1.0, 0.0);
            for (k, out) in chunk.iter_mut().enumerate() {
                let i = first + k;
                laws.become_law(at(of.b, i), at(of.c, i));
                *out = laws.draw(i as u64, stream, run)?;
            }
        }
        run.advance(chunk.len() as u64);
        Ok(())
    })
}

/// The pieces that a law is the sum of.
struct Laws {
    b: f64,
    c: f64,
    /// How many pieces of shape one.
    ones: u64,
    one: Piece,
    /// The piece of shape below one, or in `[1, 2)`.
    rest: Piece,
}

impl Laws {
    fn new(b: f64, c: f64) -> Self {
        let one = Piece::new(Shape::new(1.0), c);
        let mut laws = Self { b: 1.0, c, ones: 0, one, rest: one };
        laws.become_law(b, c);
        laws
    }

    #[inline]
    fn become_law(&mut self, b: f64, c: f64) {
        if b == self.b && c == self.c {
            return;
        }
        if c != self.c {
            self.one = Piece::new(self.one.shape, c);
        }
        self.ones = if b < 2.0 { 0 } else { b as u64 - 1 };
        let rest = b - self.ones as f64;
        let shape = if rest == self.rest.shape.b { self.rest.shape } else { Shape::new(rest) };
        self.rest = if rest == 1.0 { self.one } else { Piece::new(shape, c) };
        (self.b, self.c) = (b, c);
    }

    /// Element `i`.
    #[inline]
    fn draw(&self, i: u64, stream: Stream, run: Run<'_>) -> Result<f64> {
        let mut first = stream.draws(Purpose::PolyaGamma, i);
        let mut retry = stream.draws(Purpose::PolyaGammaRetry, i);
        let mut sum = self.rest.draw([first.u64(), first.u64()], &mut retry);
        for piece in 0..self.ones {
            if piece % PIECES == PIECES - 1 {
                run.check()?;
            }
            sum += self.one.draw([first.u64(), first.u64()], &mut retry);
        }
        Ok(0.25 * sum)
    }

    /// The elements from `first` on, at most [`BATCH`], with tilts of their own if there are some: the
    /// same bits, side by side.
    fn draw_all(
        &self,
        first: u64,
        tilts: Option<&[f64]>,
        stream: Stream,
        out: &mut [f64],
        run: Run<'_>,
    ) -> Result<()> {
        let n = out.len();
        let (mut words, mut proposed) = ([[0; 2]; BATCH], [0.0; BATCH]);
        let (words, proposed) = (&mut words[..n], &mut proposed[..n]);
        let retry = |j: usize| stream.draws(Purpose::PolyaGammaRetry, first + j as u64);
        let mut retries: [Draws; BATCH] = std::array::from_fn(retry);
        let mut rights = [0.0; BATCH];
        if let Some(tilts) = tilts {
            chances_of_one(&self.one.shape, tilts, &mut rights[..n]);
        }
        out.fill(0.0);
        for k in 0..=self.ones {
            run.check()?;
            let piece = if k == 0 { &self.rest } else { &self.one };
            words_at(Purpose::PolyaGamma, Ids::From(stream, first), k as u32, words);
            match tilts {
                Some(_) if piece.shape.b != 1.0 => proposed.fill(f64::NAN),
                Some(tilts) => propose_each(words, &piece.shape, tilts, &rights[..n], proposed),
                None => propose(words, piece, proposed),
            }
            for (j, out) in out.iter_mut().enumerate() {
                let x = proposed[j];
                *out += match tilts {
                    _ if !x.is_nan() => x,
                    None => piece.draw(words[j], &mut retries[j]),
                    Some(c) => Piece::new(piece.shape, c[j]).draw(words[j], &mut retries[j]),
                };
            }
        }
        for x in out {
            *x *= 0.25;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::piece::{RATE, is_below_dual};
    use super::*;

    fn sample(b: f64, c: f64, n: usize) -> Vec<f64> {
        let mut out = vec![0.0; n];
        let of = PolyaGamma { b: &[b], c: &[c] };
        polya_gamma(of, Stream::new(3), &mut out, Run::alone()).unwrap();
        out
    }

    /// Mean and variance, from the cumulants.
    fn moments(b: f64, c: f64) -> [f64; 2] {
        let c = c.abs();
        if c < 1e-3 {
            return [0.25 * b, b / 24.0];
        }
        let e = (-c).exp();
        let mean = 0.5 * b / c * (0.5 * c).tanh();
        let spread = 2.0 * (1.0 - e * e - 2.0 * c * e) / (1.0 + e).powi(2);
        [mean, 0.25 * b * spread / c.powi(3)]
    }

    #[test]
    fn means_and_variances() {
        const N: usize = 20_000;
        for b in [0.05, 0.5, 0.99, 1.0, 1.01, 1.3, 1.99, 2.0, 2.7, 7.5] {
            for c in [0.0, 0.5, 2.0, -11.0, 178.0, 1e4, 1e8, 1e200] {
                let x = sample(b, c, N);
                let [mean, var] = moments(b, c);
                let got = x.iter().sum::<f64>() / N as f64;
                let z = (got - mean) / (var / N as f64).sqrt();
                assert!(z.abs() < 5.5 || var == 0.0, "b {b}, c {c}: {got} {mean}, {z} errors");
                assert!((got / mean - 1.0).abs() < 0.3, "b {b}, c {c}: {got} {mean}");
            }
        }
    }

    #[test]
    fn the_two_series_agree() {
        // The dual series of shape one is that of the right side by another formula.
        let shape = Shape::new(1.0);
        for i in 1..60 {
            let x = 0.2 + 0.1 * f64::from(i);
            let ratio = (shape.ratio - 1.5 * x.ln() - 0.5 / x + RATE * x).exp();
            for s in [0.9, 0.99, 0.999, 0.9999, 0.99999] {
                assert_eq!(is_below_dual(x, s), shape.is_below_series(x, s / ratio), "{x} {s}");
            }
        }
    }

    #[test]
    fn bounds_hold() {
        for i in 1..200 {
            let b = f64::from(i) / 100.0;
            let shape = Shape::new(b);
            let beta = b - 1.0;
            for j in 0..100 {
                let x = shape.t + 0.1 * f64::from(j);
                let ratio = (shape.ratio - (0.5 + b) * x.ln() - 0.5 * b * b / x + RATE * x).exp();
                let [m, q] = [shape.moments[0] / x, shape.moments[1] / x / x];
                let is_below = |rho: f64| shape.is_below_series(x, rho / ratio);
                if b < 1.0 {
                    assert!(!is_below(1.15), "{b} {x}");
                    assert!(is_below(1.0 - 1e-6), "{b} {x}");
                } else {
                    assert!(is_below(1.0 - beta * m - (1.0 - beta) * q - 1e-6), "{b} {x}");
                    assert!(!is_below(1.0 - beta * m + 0.25 * beta * beta * q + 1e-6), "{b} {x}");
                }
            }
        }
    }

    #[test]
    fn neither_threads_nor_arrays_matter() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let cancel = sortes_core::cancel::Cancel::default();
        let threads = sortes_core::par::Threads::new(&pool, 4);
        let (b, c) = (vec![2.7; 9000], vec![1.5; 9000]);
        let mut out = vec![0.0; 9000];
        let of = PolyaGamma { b: &b, c: &c };
        polya_gamma(of, Stream::new(3), &mut out, Run::new(threads, &cancel)).unwrap();
        assert_eq!(out, sample(2.7, 1.5, 9000));
        // One by one, side by side, and with tilts of their own.
        for c in [0.0, 0.3, 3.0, 3.2, 12.0, 1e3, 1e200] {
            for b in [1.0, 3.0, 0.05, 0.5, 0.99, 1.01, 1.3, 1.7, 1.99, 3.6] {
                let laws = Laws::new(b, c);
                let one = |i| laws.draw(i, Stream::new(3), Run::alone()).unwrap();
                let all: Vec<f64> = (0..5000).map(one).collect();
                assert_eq!(all, sample(b, c, 5000));
                let (mut each, c) = (vec![0.0; 5000], vec![c; 5000]);
                let of = PolyaGamma { b: &[b], c: &c };
                polya_gamma(of, Stream::new(3), &mut each, Run::alone()).unwrap();
                assert_eq!(all, each);
            }
        }
    }
}
