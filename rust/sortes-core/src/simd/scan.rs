//! Single reads of a row: block maxima, moments, counts; half-precision numbers as `f32`.

// SAFETY of every block below: lane operations are covered by the dispatch, which calls a copy only
// where its instruction set was detected; pointers come from slices and stay inside them.
#![allow(clippy::undocumented_unsafe_blocks)]

use super::BLOCK;
use super::lanes::{LANES, Lanes, for_vectors, reduce};
use crate::vectorised;

/// How many bytes ahead of the reading memory is asked for: a page, at which processors stop by
/// themselves.
const AHEAD: usize = 4096;
/// Bytes that come together.
const LINE: usize = 64;

/// Count, sum and sum of squares of `l - origin`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Number of finite logits.
    pub count: usize,
    /// Sum of the differences.
    pub sum: f64,
    /// Sum of their squares.
    pub squares: f64,
}

impl std::ops::AddAssign for Moments {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

impl Moments {
    /// The standard deviation, with `ddof` degrees of freedom taken off the count.
    pub fn deviation(&self, ddof: u8) -> f64 {
        let n = self.count as f64;
        let deviations = self.squares - self.sum * self.sum / n;
        (deviations.max(0.0) / (n - f64::from(ddof))).sqrt()
    }
}

/// Both half-precision formats, by the load that widens them.
macro_rules! widen {
    ($lanes:ident::$load:ident, $x:ident, $out:ident) => {
        let n = $x.len().min($out.len());
        let whole = n / LANES * LANES;
        let mut i = 0;
        while i < whole {
            let p = $x.as_ptr().add(i);
            $lanes::prefetch(p.cast::<u8>().wrapping_add(AHEAD));
            $lanes::store($out.as_mut_ptr().add(i), $lanes::$load(p));
            i += LANES;
        }
        if whole < n {
            let mut last = [0_u16; LANES];
            last[..n - whole].copy_from_slice(&$x[whole..n]);
            let wide = $lanes::to_array($lanes::$load(last.as_ptr()));
            $out[whole..n].copy_from_slice(&wide[..n - whole]);
        }
    };
}

/// Block maxima of numbers of any format, by the load that widens them and what stands for minus
/// infinity.
macro_rules! block_max {
    ($lanes:ident::$load:ident, $nothing:expr, $x:ident, $out:ident) => {
        let mut nan = $lanes::none();
        for (block, out) in $x.chunks(BLOCK).zip($out) {
            let mut best = [$lanes::splat(f32::NEG_INFINITY); 2];
            let pairs = block.len() / (2 * LANES);
            for i in 0..pairs {
                let p = block.as_ptr().add(2 * LANES * i);
                for line in 0..size_of_val(&block[..2 * LANES]) / LINE {
                    $lanes::prefetch(p.cast::<u8>().wrapping_add(AHEAD + LINE * line));
                }
                let (a, b) = ($lanes::$load(p), $lanes::$load(p.add(LANES)));
                nan = $lanes::or(nan, $lanes::unordered(a, b));
                best = [$lanes::max(best[0], a), $lanes::max(best[1], b)];
            }
            for rest in block[2 * LANES * pairs..].chunks(LANES) {
                let mut padded = [$nothing; LANES];
                padded[..rest.len()].copy_from_slice(rest);
                let a = $lanes::$load(padded.as_ptr());
                nan = $lanes::or(nan, $lanes::unordered(a, a));
                best[0] = $lanes::max(best[0], a);
            }
            *out = $lanes::max_lane($lanes::max(best[0], best[1]));
        }
        $lanes::bits(nan) != 0
    };
}

vectorised! {
    /// Writes the maximum of each [`BLOCK`] of `x` to `out`; true if any element is NaN, and then
    /// the maxima are unspecified.
    pub fn block_max[L](x: &[f32], out: &mut [f32]) -> bool {
        unsafe { block_max! { L::load, f32::NEG_INFINITY, x, out } }
    }

    /// The same of IEEE half-precision numbers, given as their bits.
    pub fn block_max_f16[L](x: &[u16], out: &mut [f32]) -> bool {
        unsafe { block_max! { L::load_f16, 0xFC00_u16, x, out } }
    }

    /// The same of bfloat16 numbers, given as their bits.
    pub fn block_max_bf16[L](x: &[u16], out: &mut [f32]) -> bool {
        unsafe { block_max! { L::load_bf16, 0xFF80_u16, x, out } }
    }

    /// The largest element, none of which is NaN; minus infinity if there is none.
    pub fn largest[L](x: &[f32]) -> f32 {
        unsafe {
            let mut best = L::splat(f32::NEG_INFINITY);
            for_vectors!(L, x, |a| best = L::max(best, a));
            L::max_lane(best)
        }
    }

    /// Count, sum and sum of squares of `l - origin` over the finite logits inside `window`.
    pub fn moments[L](x: &[f32], origin: f32, window: (f32, f32)) -> Moments {
        unsafe {
            let o = L::splat(origin);
            let (lo, hi) = (L::splat(window.0.max(f32::MIN)), L::splat(window.1));
            let (mut sum, mut squares, mut count) = (L::zero_d(), L::zero_d(), 0);
            for_vectors!(L, x, |v| {
                let alive = L::and(L::ge(v, lo), L::ge(hi, v));
                let d = L::keep(alive, L::sub(v, o));
                sum = L::add_d(sum, d);
                squares = L::add_square_d(squares, d);
                count += L::bits(alive).count_ones() as usize;
            });
            let (sum, squares) = (reduce(L::to_array_d(sum)), reduce(L::to_array_d(squares)));
            Moments { count, sum, squares }
        }
    }

    /// The number of elements `>= value`.
    pub fn count_at_least[L](x: &[f32], value: f32) -> usize {
        unsafe {
            let v = L::splat(value);
            let mut n = 0;
            for_vectors!(L, x, |a| n += L::bits(L::ge(a, v)).count_ones() as usize);
            n
        }
    }

    /// Widens IEEE half-precision numbers, given as their bits.
    pub fn widen_f16[L](x: &[u16], out: &mut [f32]) {
        unsafe {
            widen!(L::load_f16, x, out);
        }
    }

    /// Widens bfloat16 numbers, given as their bits.
    pub fn widen_bf16[L](x: &[u16], out: &mut [f32]) {
        unsafe {
            widen!(L::load_bf16, x, out);
        }
    }
}
