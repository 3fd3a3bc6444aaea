//! The kernels, written once over [`Lanes`].
//!
//! Bodies are `inline(always)`, so that each instruction set's entry point (see `dispatch.rs`)
//! compiles its own copy. Rows end in a vector padded with minus infinity, which weighs nothing.

// SAFETY of every block below: lane operations are covered by the entry point, which is called only
// where its instruction set was detected; pointers come from slices and stay inside them.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::lanes::{Lanes, reduce};
use super::{BLOCK, ExpSums, Key, Moments, Split};

const LANES: usize = 16;
/// Logits whose packed part is kept in the first-level cache.
const PACK: usize = 4 * BLOCK;

/// Below this exponent a weight is not a normal `f32`; it counts as zero.
const UNDERFLOW: f32 = -87.33;
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `1.5 * 2^23`: adding it rounds to an integer, which then stands in the low mantissa bits.
const MAGIC: f32 = 12_582_912.0;
/// ln 2 in two parts, the first short enough for exact products with small integers.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;
/// Minimax coefficients of `(e^r - 1 - r) / r^2` on `|r| <= ln 2 / 2` (relative error of the
/// exponential 3.1e-9, far below rounding).
const EXP: [f32; 5] = [1.381_454e-3, 8.368_745e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1];

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
unsafe fn exp<L: Lanes>(y: L::F) -> L::F {
    unsafe {
        let (w, normal) = exp_raw::<L>(y);
        L::keep(normal, w)
    }
}

/// Runs a body with every vector of a slice, the last one padded with minus infinity.
///
/// A macro, because a closure is a function of its own, to which the entry point's instruction set
/// does not reach.
macro_rules! for_vectors {
    ($x:expr, |$v:ident| $body:expr) => {
        let x: &[f32] = $x;
        let whole = x.len() / LANES * LANES;
        let mut i = 0;
        while i < whole {
            let $v = L::load(x.as_ptr().add(i));
            $body;
            i += LANES;
        }
        if whole < x.len() {
            #[allow(unused_assignments)]
            {
                let $v = L::load(padded(&x[whole..]).as_ptr());
                $body;
            }
        }
    };
}

#[inline(always)]
fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..tail.len()].copy_from_slice(tail);
    last
}

#[inline(always)]
pub(super) unsafe fn block_max<L: Lanes>(x: &[f32], out: &mut [f32]) -> bool {
    unsafe {
        let mut nan = L::none();
        for (block, out) in x.chunks(BLOCK).zip(out) {
            let mut best = [L::splat(f32::NEG_INFINITY); 2];
            let pairs = block.len() / (2 * LANES);
            for i in 0..pairs {
                let p = block.as_ptr().add(2 * LANES * i);
                let (a, b) = (L::load(p), L::load(p.add(LANES)));
                nan = L::or(nan, L::unordered(a, b));
                best = [L::max(best[0], a), L::max(best[1], b)];
            }
            for_vectors!(&block[2 * LANES * pairs..], |a| {
                nan = L::or(nan, L::unordered(a, a));
                best[0] = L::max(best[0], a);
            });
            *out = L::to_array(L::max(best[0], best[1]))
                .into_iter()
                .fold(f32::NEG_INFINITY, |m, v| if v > m { v } else { m });
        }
        L::bits(nan) != 0
    }
}

#[inline(always)]
pub(super) unsafe fn exp_sums<
    L: Lanes,
    const ENTROPY: bool,
    const SQUARE: bool,
    const WINDOW: bool,
>(
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
            for_vectors!(block, |v| {
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

#[inline(always)]
pub(super) unsafe fn exp_into<L: Lanes>(x: &[f32], max: f32, scale: f32, out: &mut [f32]) {
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

#[inline(always)]
pub(super) unsafe fn moments<L: Lanes>(x: &[f32], origin: f32, window: (f32, f32)) -> Moments {
    unsafe {
        let o = L::splat(origin);
        let (lo, hi) = (L::splat(window.0.max(f32::MIN)), L::splat(window.1));
        let (mut sum, mut squares, mut count) = (L::zero_d(), L::zero_d(), 0);
        for_vectors!(x, |v| {
            let alive = L::and(L::ge(v, lo), L::ge(hi, v));
            let d = L::keep(alive, L::sub(v, o));
            sum = L::add_d(sum, d);
            squares = L::add_square_d(squares, d);
            count += L::bits(alive).count_ones() as usize;
        });
        Moments { count, sum: reduce(L::to_array_d(sum)), squares: reduce(L::to_array_d(squares)) }
    }
}

#[inline(always)]
pub(super) unsafe fn count_at_least<L: Lanes>(x: &[f32], value: f32) -> usize {
    unsafe {
        let v = L::splat(value);
        let mut n = 0;
        for_vectors!(x, |a| n += L::bits(L::ge(a, v)).count_ones() as usize);
        n
    }
}

#[inline(always)]
unsafe fn key_of<L: Lanes>(key: &Key, v: L::F) -> L::F {
    unsafe {
        let k = L::sub(L::splat(key.centre), v);
        let k = if key.two_sided { L::abs(k) } else { k };
        L::mul(k, L::splat(key.scale))
    }
}

#[inline(always)]
pub(super) unsafe fn key_histogram<L: Lanes>(
    x: &[f32],
    max: f32,
    scale: f32,
    window: (f32, f32),
    key: &Key,
    bins: &mut [f64],
) {
    unsafe {
        let (m, s) = (L::splat(max), L::splat(scale));
        let (lo, hi) = (L::splat(window.0), L::splat(window.1));
        let end = L::splat(bins.len() as f32);
        // What falls into a bin is packed first, so that the tail costs a comparison and no more.
        // Each buffer has room for a whole vector past the last element.
        let mut packed = [0.0_f32; PACK + LANES];
        let (mut keys, mut weights) = ([0.0_f32; PACK + LANES], [0.0_f32; PACK + LANES]);
        for stretch in x.chunks(PACK) {
            let mut n = 0;
            for_vectors!(stretch, |v| {
                let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                let binned = L::and(alive, L::gt(end, key_of::<L>(key, v)));
                if L::bits(binned) != 0 {
                    n += L::compress(packed.as_mut_ptr().add(n), binned, v);
                }
            });
            let mut i = 0;
            while i < n {
                let v = L::load(packed.as_ptr().add(i));
                L::store(keys.as_mut_ptr().add(i), key_of::<L>(key, v));
                let y = L::mul(L::sub(v, m), s);
                L::store(weights.as_mut_ptr().add(i), exp::<L>(y));
                i += LANES;
            }
            for (k, w) in keys[..n].iter().zip(&weights[..n]) {
                // Keys are nonnegative and below the number of bins, so the cast truncates.
                let bin = k.to_int_unchecked::<i32>() as usize;
                *bins.get_unchecked_mut(bin) += f64::from(*w);
            }
        }
    }
}

#[inline(always)]
pub(super) unsafe fn gather_keys<L: Lanes>(
    x: &[f32],
    window: (f32, f32),
    key: &Key,
    range: (f32, f32),
    out: &mut Vec<f32>,
) {
    unsafe {
        let (lo, hi) = (L::splat(window.0), L::splat(window.1));
        let (first, end) = (L::splat(range.0), L::splat(range.1));
        for block in x.chunks(BLOCK) {
            out.reserve(BLOCK + LANES);
            let mut n = out.len();
            for_vectors!(block, |v| {
                let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                let k = key_of::<L>(key, v);
                let inside = L::and(alive, L::and(L::ge(k, first), L::gt(end, k)));
                if L::bits(inside) != 0 {
                    n += L::compress(out.as_mut_ptr().add(n), inside, v);
                }
            });
            out.set_len(n);
        }
    }
}

#[inline(always)]
pub(super) unsafe fn split_keys<L: Lanes>(
    x: &[f32],
    blocks: &[f32],
    max: f32,
    scale: f32,
    split: &Split,
    out: &mut Vec<f32>,
) -> f64 {
    unsafe {
        let (m, s) = (L::splat(max), L::splat(scale));
        let (lo, hi) = (L::splat(split.window.0), L::splat(split.window.1));
        let (first, end) = (L::splat(split.range.0), L::splat(split.range.1));
        let mut sum = L::zero_d();
        for (block, &best) in x.chunks(BLOCK).zip(blocks) {
            if best < split.least {
                continue;
            }
            out.reserve(BLOCK + LANES);
            let (mut n, mut part) = (out.len(), L::splat(0.0));
            for_vectors!(block, |v| {
                let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                let k = key_of::<L>(&split.key, v);
                let near = L::and(alive, L::gt(end, k));
                // No branches: which tokens are near, and which ahead, cannot be foreseen.
                let ahead = L::and(near, L::gt(first, k));
                part = L::add(part, L::keep(ahead, exp::<L>(L::mul(L::sub(v, m), s))));
                n += L::compress(out.as_mut_ptr().add(n), L::and(near, L::ge(k, first)), v);
            });
            out.set_len(n);
            sum = L::add_d(sum, part);
        }
        reduce(L::to_array_d(sum))
    }
}

#[inline(always)]
pub(super) unsafe fn gather_window<L: Lanes>(
    x: &[f32],
    first_id: u32,
    window: (f32, f32),
    values: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    unsafe {
        let (lo, hi) = (L::splat(window.0), L::splat(window.1));
        let mut id = first_id;
        for_vectors!(x, |v| {
            let mut bits = L::bits(L::and(L::ge(v, lo), L::ge(hi, v)));
            if bits != 0 {
                let lanes = L::to_array(v);
                while bits != 0 {
                    let lane = bits.trailing_zeros();
                    values.push(lanes[lane as usize]);
                    ids.push(id + lane);
                    bits &= bits - 1;
                }
            }
            id += LANES as u32;
        });
    }
}

#[inline(always)]
pub(super) unsafe fn mask_window<L: Lanes>(
    x: &[f32],
    window: (f32, f32),
    fill: f32,
    out: &mut [f32],
) {
    unsafe {
        let (lo, hi, f) = (L::splat(window.0), L::splat(window.1), L::splat(fill));
        let n = x.len().min(out.len());
        let whole = n / LANES * LANES;
        let mut i = 0;
        while i < whole {
            let v = L::load(x.as_ptr().add(i));
            let kept = L::select(L::and(L::ge(v, lo), L::ge(hi, v)), v, f);
            L::store(out.as_mut_ptr().add(i), kept);
            i += LANES;
        }
        for (v, o) in x[whole..n].iter().zip(&mut out[whole..n]) {
            *o = if window.0 <= *v && *v <= window.1 { *v } else { fill };
        }
    }
}

/// Both half-precision formats, by the load that widens them.
macro_rules! widen {
    ($name:ident, $load:ident) => {
        #[inline(always)]
        pub(super) unsafe fn $name<L: Lanes>(x: &[u16], out: &mut [f32]) {
            unsafe {
                let n = x.len().min(out.len());
                let whole = n / LANES * LANES;
                let mut i = 0;
                while i < whole {
                    L::store(out.as_mut_ptr().add(i), L::$load(x.as_ptr().add(i)));
                    i += LANES;
                }
                if whole < n {
                    let mut last = [0_u16; LANES];
                    last[..n - whole].copy_from_slice(&x[whole..n]);
                    let wide = L::to_array(L::$load(last.as_ptr()));
                    out[whole..n].copy_from_slice(&wide[..n - whole]);
                }
            }
        }
    };
}

widen!(widen_f16, load_f16);
widen!(widen_bf16, load_bf16);
