//! Sixteen `f32` lanes: the vocabulary in which every kernel is written once.
//!
//! All instruction sets see the same sixteen lanes, combined in the same order, with fused
//! multiply-adds where the body says so. A kernel therefore returns the same bits on each of them.

/// Elements of a vector.
pub(super) const LANES: usize = 16;

/// Operations on a vector of sixteen `f32`.
///
/// # Safety
/// An implementation may use instructions that its instruction set promises. Its methods may only
/// be called where that set has been detected; `load` and `store` need sixteen valid elements.
pub(super) trait Lanes {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen truth values.
    type Mask: Copy;
    /// Sixteen `f64` accumulators.
    type D: Copy;

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(p: *const f32) -> Self::F;
    unsafe fn store(p: *mut f32, a: Self::F);
    /// Asks for the memory at `p`, valid or not, before it is read.
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    /// Sixteen IEEE half-precision numbers, widened.
    unsafe fn load_f16(p: *const u16) -> Self::F;
    /// Sixteen bfloat16 numbers, widened.
    unsafe fn load_bf16(p: *const u16) -> Self::F;

    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c` with one rounding.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `c - a * b` with one rounding.
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger of two numbers, neither of them NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn abs(a: Self::F) -> Self::F;
    /// `a * 2^n`, with `n` in the low mantissa bits of `magic`, for normal results.
    unsafe fn scale2(a: Self::F, magic: Self::F) -> Self::F;

    unsafe fn ge(a: Self::F, b: Self::F) -> Self::Mask;
    unsafe fn gt(a: Self::F, b: Self::F) -> Self::Mask;
    unsafe fn unordered(a: Self::F, b: Self::F) -> Self::Mask;
    unsafe fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    unsafe fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    unsafe fn none() -> Self::Mask;
    /// Lane `i` as bit `i`.
    unsafe fn bits(m: Self::Mask) -> u32;
    /// `a` where the mask is set, zero elsewhere.
    unsafe fn keep(m: Self::Mask, a: Self::F) -> Self::F;
    /// `a` where the mask is set, `b` elsewhere.
    unsafe fn select(m: Self::Mask, a: Self::F, b: Self::F) -> Self::F;
    /// Packs the lanes with a set bit to the front and stores them: up to sixteen elements past
    /// `p` are written, of which the number of set bits count. Returns that number.
    unsafe fn compress(p: *mut f32, m: Self::Mask, a: Self::F) -> usize;

    unsafe fn zero_d() -> Self::D;
    /// `d + a`, lane by lane in `f64`.
    unsafe fn add_d(d: Self::D, a: Self::F) -> Self::D;
    /// `d + a * a`, lane by lane in `f64`: the square of an `f32` is exact there.
    unsafe fn add_square_d(d: Self::D, a: Self::F) -> Self::D;
    /// The sixteen accumulators.
    unsafe fn to_array_d(d: Self::D) -> [f64; 16];

    /// The largest lane, none of which is NaN: halves are compared until one lane is left, so that
    /// every instruction set takes the same of two zeros.
    #[inline(always)]
    unsafe fn max_lane(a: Self::F) -> f32 {
        // SAFETY: as the caller promises.
        let mut lanes = unsafe { Self::to_array(a) };
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = if lanes[i] > lanes[i + width] { lanes[i] } else { lanes[i + width] };
            }
            width /= 2;
        }
        lanes[0]
    }

    /// The sixteen lanes.
    #[inline(always)]
    unsafe fn to_array(a: Self::F) -> [f32; 16] {
        let mut out = [0.0; 16];
        // SAFETY: `out` holds sixteen elements.
        unsafe { Self::store(out.as_mut_ptr(), a) };
        out
    }
}

/// Sums sixteen accumulators in one fixed order.
pub(super) fn reduce(d: [f64; 16]) -> f64 {
    let mut width = 8;
    let mut d = d;
    while width > 0 {
        for i in 0..width {
            d[i] += d[i + width];
        }
        width /= 2;
    }
    d[0]
}

/// Runs a body with every vector of a slice, the last one padded with minus infinity.
///
/// A macro, because a closure is a function of its own, to which the entry point's instruction set
/// does not reach.
macro_rules! for_vectors {
    ($lanes:ident, $x:expr, |$v:ident| $body:expr) => {
        let x: &[f32] = $x;
        let whole = x.len() / $crate::simd::lanes::LANES * $crate::simd::lanes::LANES;
        let mut i = 0;
        while i < whole {
            let $v = $lanes::load(x.as_ptr().add(i));
            $body;
            i += $crate::simd::lanes::LANES;
        }
        if whole < x.len() {
            #[allow(unused_assignments)]
            {
                let $v = $lanes::load($crate::simd::lanes::padded(&x[whole..]).as_ptr());
                $body;
            }
        }
    };
}
pub(super) use for_vectors;

/// The last elements of a slice and minus infinities.
#[inline(always)]
pub(super) fn padded(tail: &[f32]) -> [f32; LANES] {
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..tail.len()].copy_from_slice(tail);
    last
}
