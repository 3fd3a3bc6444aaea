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

use sortes_core::num::special::{erfcx, exp, reciprocal_gamma};
use sortes_core::rng::bulk::{Ids, words_at};
use sortes_core::rng::elementary::{exp_negative, ln, normal_quantile, normal_quantile_lower};
use sortes_core::rng::{Draws, Purpose, Stream, open_uniform_of, uniform_of};
use sortes_core::{Result, Run, vectorised};

use std::f64::consts::{FRAC_PI_2, PI};

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

/// For the shape one, both series are above this on their sides.
const CERTAIN: f64 = 0.994;
/// Of other bounds, which are rounded.
const SLACK: f64 = 1.0 - 1e-9;

/// Where the right side is rarer than this, whoever comes there takes a closer look.
const RARE: f64 = 0.004;

vectorised! {
    /// What [`Piece::draw`] returns where the first proposal is accepted by a bound of its series; NaN
    /// where that takes a closer look.
    fn propose(words: &[[u64; 2]], piece: &Piece, out: &mut [f64]) {
        let is_one = piece.shape.b == 1.0;
        let has_right = is_one || (piece.shape.b > 1.0 && piece.right > RARE);
        match (is_one, piece.is_near(), has_right) {
            (true, true, _) => propose_by::<true, true, true>(words, piece, out),
            (true, false, _) => propose_by::<true, false, true>(words, piece, out),
            (false, true, true) => propose_by::<false, true, true>(words, piece, out),
            (false, false, true) => propose_by::<false, false, true>(words, piece, out),
            (false, true, false) => propose_by::<false, true, false>(words, piece, out),
            (false, false, false) => propose_by::<false, false, false>(words, piece, out),
        }
    }
}

/// For the shape one or any other, with the left side from a normal tail or an inverse Gaussian, with or
/// without the right side.
#[inline(always)]
fn propose_by<const ONE: bool, const NEAR: bool, const RIGHT: bool>(
    words: &[[u64; 2]],
    piece: &Piece,
    out: &mut [f64],
) {
    let Piece { shape, z, rate, right, first, tangent, mean } = *piece;
    let (b, t, tail, left, half) = (shape.b, shape.t, shape.tail, 1.0 - right, -0.5 * z * z);
    let (beta, [m, q]) = (b - 1.0, shape.moments);
    let least = f64::MIN_POSITIVE;
    for (out, words) in out.iter_mut().zip(words) {
        let (u, v) = (open_uniform_of(words[0]), uniform_of(words[1]));
        let is_right = u < right;

        // The right side: where its bound is, and whether a uniform is known to be below it.
        let (mut x_right, mut is_below_right) = (f64::NAN, false);
        if ONE {
            x_right = t - ln((u / right).clamp(least, 1.0)) / rate;
            is_below_right = v < CERTAIN;
        } else if RIGHT {
            let u = u / right;
            let e = -ln((u / first).clamp(least, 1.0));
            x_right = t + e / rate;
            let power = exp_negative(-beta * ln(x_right).abs());
            let bound = 1.0 - beta * m / x_right - (1.0 - beta) * q / (x_right * x_right);
            let s = v * (tangent[0] + tangent[1] * (e / rate));
            // x^beta times the bound.
            let bound = if x_right < 1.0 { bound * power } else { bound / power };
            is_below_right = (u < first) & (s < bound * SLACK);
        }

        // The left side.
        let u = (u - right) / left;
        let p = if NEAR { u * tail } else { u.min(1.0 - u) }.max(least);
        let n = normal_quantile_lower(p);
        let (x_left, v_left) = if NEAR {
            let r = b / n;
            ((r * r).min(t), v)
        } else {
            inverse_gaussian(n, v, mean, z)
        };
        // The first partial sum is below the series: its terms fall from the beginning.
        let series = if ONE {
            CERTAIN
        } else {
            1.0 - (b + 2.0) * exp_negative((-2.0 * (b + 1.0) / x_left).max(-700.0))
        };
        let bound = if NEAR { series * exp_negative(half * x_left) } else { series };
        let bound = if ONE { bound } else { bound * SLACK };
        let is_below_left = (v_left < bound) & (p > 3e-11) & (x_left <= t);

        let is_known = if is_right { is_below_right } else { is_below_left };
        let x = if is_right { x_right } else { x_left };
        *out = if is_known { x } else { f64::NAN };
    }
}

vectorised! {
    /// For the shape one, the chance that a proposal is one of the right side, for each tilt.
    fn chances_of_one(shape: &Shape, c: &[f64], out: &mut [f64]) {
        for (out, c) in out.iter_mut().zip(c) {
            let z = 0.5 * c.abs();
            *out = chance_of_right(shape, z, 1.0 / (RATE + 0.5 * z * z));
        }
    }

    /// As [`propose`] for the shape one, for a tilt of its own and its chance of the right side in each place.
    fn propose_each(
        words: &[[u64; 2]],
        shape: &Shape,
        c: &[f64],
        rights: &[f64],
        out: &mut [f64],
    ) {
        let (t, tail, least) = (shape.t, shape.tail, f64::MIN_POSITIVE);
        for (((out, words), c), &right) in out.iter_mut().zip(words).zip(c).zip(rights) {
            let (u, v) = (open_uniform_of(words[0]), uniform_of(words[1]));
            let z = 0.5 * c.abs();
            let beyond = t - ln((u / right).clamp(least, 1.0)) / (RATE + 0.5 * z * z);
            let u_left = (u - right) / (1.0 - right);
            let is_near = z * t < shape.b;
            let p_far = u_left.min(1.0 - u_left);
            let p = (if is_near { u_left * tail } else { p_far }).max(least);
            let n = normal_quantile_lower(p);
            let r = 1.0 / n;
            let below = (r * r).min(t);
            let (x_far, v_far) = inverse_gaussian(n, v, 1.0 / z, z);
            let bound_near = CERTAIN * exp_negative(-0.5 * z * z * below);
            let is_right = u < right;
            let x_left = if is_near { below } else { x_far };
            let x = if is_right { beyond } else { x_left };
            let known = is_right | ((p > 3e-11) & (x_left <= t));
            let bound = if is_near & !is_right { bound_near } else { CERTAIN };
            let v = if is_near | is_right { v } else { v_far };
            *out = if (v < bound) & known { x } else { f64::NAN };
        }
    }
}

/// The chance that a proposal is one of the right side, whose mass without what depends on the shape
/// alone is `mass`.
#[inline(always)]
fn chance_of_right(shape: &Shape, z: f64, mass: f64) -> f64 {
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
fn inverse_gaussian(n: f64, v: f64, mean: f64, z: f64) -> (f64, f64) {
    let y = n * n / (mean * z * z);
    let r = 1.0 / (1.0 + 0.5 * y + (y + 0.25 * y * y).sqrt());
    let v = v * (1.0 + r);
    if v < 1.0 { (mean * r, v) } else { (mean / r, (v - 1.0) / r) }
}

/// What depends on the shape of a piece alone; the shape is below two.
#[derive(Clone, Copy)]
struct Shape {
    b: f64,
    /// Where the left side ends.
    t: f64,
    /// `b / sqrt(2 t)`.
    a: f64,
    /// `erfc(a) / 2`: the chance that the left side leaves to a normal variable.
    tail: f64,
    /// `2^(b-1)`.
    left: f64,
    /// `(pi / 2)^b / Gamma(b) exp(a^2 - pi^2 t / 8)`.
    right: f64,
    /// The logarithm of `a_0` over the right side, both without what depends on `x`.
    ratio: f64,
    /// `E[R]` and `E[R^2]`.
    moments: [f64; 2],
}

/// `2 zeta(2) - 3`.
const SPREAD: f64 = PI * PI / 3.0 - 3.0;
/// `pi^2 / 8`.
const RATE: f64 = PI * PI / 8.0;
/// The bound of `rho` for shapes below one.
const ABOVE: f64 = 1.2;
/// Beyond this the series has lost its digits. The chance to come here and to be undecided is below
/// 1e-16.
const FAR: f64 = 24.0;

impl Shape {
    fn new(b: f64) -> Self {
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
    fn is_below_series(&self, x: f64, s: f64) -> bool {
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
struct Piece {
    shape: Shape,
    /// `|c| / 2`.
    z: f64,
    /// The rate of the right side.
    rate: f64,
    /// The chance that a proposal is one of the right side.
    right: f64,
    /// The share of its first gamma, an exponential.
    first: f64,
    /// The tangent of `x^(b-1)`, or a bound of it: at `t`, and its slope.
    tangent: [f64; 2],
    /// The mean of the left side, were it whole.
    mean: f64,
}

impl Piece {
    fn new(shape: Shape, c: f64) -> Self {
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
    fn is_near(&self) -> bool {
        self.z * self.shape.t < self.shape.b
    }

    /// A draw: two words for the first proposal, and further ones.
    #[inline]
    fn draw(&self, words: [u64; 2], retry: &mut Draws) -> f64 {
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
fn is_below_dual(x: f64, s: f64) -> bool {
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

#[cfg(test)]
mod tests {
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
