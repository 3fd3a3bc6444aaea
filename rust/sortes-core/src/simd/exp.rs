//! Exponentials of logits, and their sums.

// SAFETY of every block below: lane operations are covered by the dispatch, which calls a copy only
// where its instruction set was detected; pointers come from slices and stay inside them.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::BLOCK;
use super::lanes::{LANES, Lanes, for_vectors, padded, reduce};
use crate::num::Sum;
use crate::rng::elementary::exp_negative;
use crate::vectorised;

/// Sums of one stretch of a row, with weights `w = exp((l - max) * scale)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpSums {
    /// `sum w`.
    pub z: f64,
    /// `sum w * (l - max) * scale`, if asked for.
    pub a: f64,
    /// `sum w^2`, if asked for.
    pub q: f64,
}

impl std::ops::AddAssign for ExpSums {
    fn add_assign(&mut self, other: Self) {
        self.z += other.z;
        self.a += other.a;
        self.q += other.q;
    }
}

/// Which of the sums of [`ExpSums`] are wanted besides `z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The entropy term `a`.
    pub entropy: bool,
    /// The collision term `q`.
    pub square: bool,
}

impl Wanted {
    /// Nothing.
    pub const PLAIN: Self = Self { entropy: false, square: false };
    /// The entropy alone.
    pub const ENTROPY: Self = Self { entropy: true, square: false };
}

/// Below this exponent a weight is not a normal `f32`; it counts as zero.
const UNDERFLOW: f32 = -87.33;
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `1.5 * 2^23`: adding it rounds to an integer, which then stands in the low mantissa bits.
pub(crate) const MAGIC: f32 = 12_582_912.0;
/// ln 2 in two parts, the first short enough for exact products with small integers.
pub(crate) const LN2_HI: f32 = 0.693_359_4;
pub(crate) const LN2_LO: f32 = -2.121_944_4e-4;
/// Minimax coefficients of `(e^r - 1 - r) / r^2` on `|r| <= ln 2 / 2` (relative error of the
/// exponential 3.1e-9, far below rounding).
pub(crate) const EXP: [f32; 5] =
    [1.381_454e-3, 8.368_745e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1];

vectorised! {
    /// Sums of `exp((l - max) * scale)` over the logits inside `window` (both ends included).
    ///
    /// Needs `l <= max` inside the window and `scale >= 0`. An infinite window costs nothing.
    pub fn exp_sums[L](
        x: &[f32],
        max: f32,
        scale: f32,
        window: (f32, f32),
        wanted: Wanted,
    ) -> ExpSums {
        unsafe {
            let windowed = window != (f32::NEG_INFINITY, f32::INFINITY);
            // Every other case shares one copy: the sums that nobody asked for are dropped.
            match (wanted.entropy, wanted.square, windowed) {
                (false, false, false) => sums_of::<L, false, false, false>(x, max, scale, window),
                (true, false, false) => sums_of::<L, true, false, false>(x, max, scale, window),
                (false, false, true) => sums_of::<L, false, false, true>(x, max, scale, window),
                _ => sums_of::<L, true, true, true>(x, max, scale, window),
            }
        }
    }

    /// The sum of numbers in double precision, in an order that depends on nothing but their count.
    pub fn sum[L](x: &[f32]) -> f64 {
        unsafe {
            let whole = x.len() / LANES * LANES;
            let mut lanes = L::zero_d();
            let mut i = 0;
            while i < whole {
                lanes = L::add_d(lanes, L::load(x.as_ptr().add(i)));
                i += LANES;
            }
            let mut sum = reduce(L::to_array_d(lanes));
            for &last in &x[whole..] {
                sum += f64::from(last);
            }
            sum
        }
    }

    /// Writes `exp((l - max) * scale)` to `out`, for logits of at most `max`.
    pub fn exp_into[L](x: &[f32], max: f32, scale: f32, out: &mut [f32]) {
        unsafe {
            let (m, s) = (L::splat(max), L::splat(scale));
            macro_rules! weigh {
                ($p:expr) => {
                    exp::<L>(L::mul(L::sub(L::load($p), m), s))
                };
            }
            let n = x.len().min(out.len());
            let whole = n / LANES * LANES;
            let mut i = 0;
            while i < whole {
                L::store(out.as_mut_ptr().add(i), weigh!(x.as_ptr().add(i)));
                i += LANES;
            }
            if whole < n {
                let last = L::to_array(weigh!(padded(&x[whole..n]).as_ptr()));
                out[whole..n].copy_from_slice(&last[..n - whole]);
            }
        }
    }
}

vectorised! {
    /// Writes `exp((l - max) / t)` in double precision to `out`, for logits of at most `max`.
    pub fn exp_into_f64(x: &[f32], max: f32, t: f64, out: &mut [f64]) {
        for (w, l) in out.iter_mut().zip(x) {
            *w = exp_negative((f64::from(*l) - f64::from(max)) / t);
        }
    }

    /// The sums of [`exp_sums`], all of them, in double precision and with `1 / t` as the scale.
    pub fn exp_sums_f64(x: &[f32], max: f32, t: f64, window: (f32, f32)) -> ExpSums {
        let (mut z, mut a, mut q) = (Sum::default(), Sum::default(), Sum::default());
        for block in x.chunks(BLOCK) {
            let mut sums = [[0.0; 8]; 3];
            let (whole, rest) = block.as_chunks::<8>();
            let mut last = [f32::NEG_INFINITY; 8];
            last[..rest.len()].copy_from_slice(rest);
            for vector in whole.iter().chain([&last]) {
                for (lane, &l) in vector.iter().enumerate() {
                    let y = (f64::from(l) - f64::from(max)) / t;
                    let w = exp_negative(y);
                    let w = if window.0 <= l && l <= window.1 { w } else { 0.0 };
                    sums[0][lane] += w;
                    sums[1][lane] += if w > 0.0 { w * y } else { 0.0 };
                    sums[2][lane] += w * w;
                }
            }
            let [block_z, block_a, block_q] = sums.map(|lanes| lanes.iter().sum());
            z.add(block_z);
            a.add(block_a);
            q.add(block_q);
        }
        ExpSums { z: z.value(), a: a.value(), q: q.value() }
    }
}

/// `e^y` for `y <= 0` and its mask of normal results; lanes outside the mask are garbage.
#[inline(always)]
unsafe fn exp_raw<L: Lanes>(y: L::F) -> (L::F, L::Mask) {
    unsafe {
        let magic = L::splat(MAGIC);
        let n = L::fma(y, L::splat(LOG2_E), magic);
        let whole = L::sub(n, magic);
        let r = L::fnma(whole, L::splat(LN2_HI), y);
        let r = L::fnma(whole, L::splat(LN2_LO), r);
        let mut p = L::splat(EXP[0]);
        for c in &EXP[1..] {
            p = L::fma(p, r, L::splat(*c));
        }
        p = L::fma(p, r, L::splat(1.0));
        p = L::fma(p, r, L::splat(1.0));
        (L::scale2(p, n), L::ge(y, L::splat(UNDERFLOW)))
    }
}

/// `e^y` for `y <= 0`, zero below the smallest normal number.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(y: L::F) -> L::F {
    unsafe {
        let (w, normal) = exp_raw::<L>(y);
        L::keep(normal, w)
    }
}

/// [`exp_sums`] with what is asked for known to the compiler.
#[inline(always)]
unsafe fn sums_of<L: Lanes, const ENTROPY: bool, const SQUARE: bool, const WINDOW: bool>(
    x: &[f32],
    max: f32,
    scale: f32,
    window: (f32, f32),
) -> ExpSums {
    unsafe {
        let (m, s) = (L::splat(max), L::splat(scale));
        let (lo, hi) = (L::splat(window.0), L::splat(window.1));
        let floor = L::splat(UNDERFLOW - 1.0);
        let (mut z, mut a, mut q) = (L::zero_d(), L::zero_d(), L::zero_d());
        for block in x.chunks(BLOCK) {
            // Sixteen additions a lane in f32, then f64: half the cost of widening every term, and
            // the rounding of a block stays below that of its exponentials.
            let zero = L::splat(0.0);
            let (mut bz, mut ba, mut bq) = (zero, zero, zero);
            for_vectors!(L, block, |v| {
                let mut y = L::mul(L::sub(v, m), s);
                if ENTROPY {
                    y = L::max(y, floor); // 0 * -inf would be NaN
                }
                let mut w = exp::<L>(y);
                if WINDOW {
                    let inside = L::and(L::ge(v, lo), L::ge(hi, v));
                    w = L::keep(inside, w);
                    y = L::keep(inside, y); // above the window it may be infinite
                }
                bz = L::add(bz, w);
                if ENTROPY {
                    ba = L::fma(w, y, ba);
                }
                if SQUARE {
                    bq = L::fma(w, w, bq);
                }
            });
            z = L::add_d(z, bz);
            if ENTROPY {
                a = L::add_d(a, ba);
            }
            if SQUARE {
                q = L::add_d(q, bq);
            }
        }
        ExpSums {
            z: reduce(L::to_array_d(z)),
            a: if ENTROPY { reduce(L::to_array_d(a)) } else { 0.0 },
            q: if SQUARE { reduce(L::to_array_d(q)) } else { 0.0 },
        }
    }
}
