//! First proposals of many pieces side by side: the same bits as one by one.

// Loops that become vectors have no branches.
#![allow(clippy::needless_bitwise_bool)]

use super::piece::{Piece, RATE, Shape, chance_of_right, inverse_gaussian};
use sortes_core::rng::elementary::{exp_negative, ln, normal_quantile_lower};
use sortes_core::rng::{open_uniform_of, uniform_of};
use sortes_core::vectorised;

/// For the shape one, both series are above this on their sides.
const CERTAIN: f64 = 0.994;
/// Of other bounds, which are rounded.
const SLACK: f64 = 1.0 - 1e-9;

/// Where the right side is rarer than this, whoever comes there takes a closer look.
const RARE: f64 = 0.004;

vectorised! {
    /// What [`Piece::draw`] returns where the first proposal is accepted by a bound of its series; NaN
    /// where that takes a closer look.
    pub(super) fn propose(words: &[[u64; 2]], piece: &Piece, out: &mut [f64]) {
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
    pub(super) fn chances_of_one(shape: &Shape, c: &[f64], out: &mut [f64]) {
        for (out, c) in out.iter_mut().zip(c) {
            let z = 0.5 * c.abs();
            *out = chance_of_right(shape, z, 1.0 / (RATE + 0.5 * z * z));
        }
    }

    /// As [`propose`] for the shape one, for a tilt of its own and its chance of the right side in each place.
    pub(super) fn propose_each(
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
