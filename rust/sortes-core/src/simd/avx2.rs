//! The lanes as two 256-bit registers (AVX2, FMA, F16C: x86-64-v3).

// SAFETY of every block below: the trait's contract (the instruction set has been detected, and
// pointers have sixteen valid elements) is the intrinsics' contract.
#![allow(clippy::undocumented_unsafe_blocks)]
#![allow(clippy::wildcard_imports)] // a list of intrinsics would only repeat the code

use super::lanes::Lanes;
use std::arch::x86_64::*;

/// x86-64-v3.
pub(super) struct Avx2;

/// For each 8-bit mask, the lanes that are set, in order (the rest are zeros and never read).
static PACK: [[u32; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut lane, mut n) = (0, 0);
        while lane < 8 {
            if mask >> lane & 1 == 1 {
                table[mask][n] = lane as u32;
                n += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    table
};

#[inline(always)]
unsafe fn pack(p: *mut f32, m: __m256, a: __m256) -> usize {
    unsafe {
        let mask = _mm256_movemask_ps(m) as usize;
        let order = _mm256_loadu_si256(PACK[mask].as_ptr().cast());
        _mm256_storeu_ps(p, _mm256_permutevar8x32_ps(a, order));
        mask.count_ones() as usize
    }
}

/// The largest of eight lanes, by halves.
#[inline(always)]
pub(super) unsafe fn max_of_eight(a: __m256) -> f32 {
    unsafe {
        let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

macro_rules! both {
    ($op:ident, $($arg:ident),+) => { [$op($($arg[0]),+), $op($($arg[1]),+)] };
}

impl Lanes for Avx2 {
    type F = [__m256; 2];
    type Mask = [__m256; 2];
    type D = [__m256d; 4];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, a: Self::F) {
        unsafe {
            _mm256_storeu_ps(p, a[0]);
            _mm256_storeu_ps(p.add(8), a[1]);
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        unsafe {
            [
                _mm256_cvtph_ps(_mm_loadu_si128(p.cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(p.add(8).cast())),
            ]
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        unsafe {
            let a = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
            let b = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(8).cast()));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(a)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(b)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        unsafe { both!(_mm256_add_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        unsafe { both!(_mm256_sub_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { both!(_mm256_mul_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { both!(_mm256_fmadd_ps, a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { both!(_mm256_fnmadd_ps, a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        unsafe { both!(_mm256_max_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn max_lane(a: Self::F) -> f32 {
        unsafe { max_of_eight(_mm256_max_ps(a[0], a[1])) }
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        }
    }
    #[inline(always)]
    unsafe fn scale2(a: Self::F, magic: Self::F) -> Self::F {
        unsafe {
            let n0 = _mm256_slli_epi32::<23>(_mm256_castps_si256(magic[0]));
            let n1 = _mm256_slli_epi32::<23>(_mm256_castps_si256(magic[1]));
            [
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a[0]), n0)),
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a[1]), n1)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn ge(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe {
            [_mm256_cmp_ps::<_CMP_GE_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_GE_OQ>(a[1], b[1])]
        }
    }
    #[inline(always)]
    unsafe fn gt(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe {
            [_mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]), _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1])]
        }
    }
    #[inline(always)]
    unsafe fn unordered(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe {
            [_mm256_cmp_ps::<_CMP_UNORD_Q>(a[0], b[0]), _mm256_cmp_ps::<_CMP_UNORD_Q>(a[1], b[1])]
        }
    }
    #[inline(always)]
    unsafe fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        unsafe { both!(_mm256_and_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        unsafe { both!(_mm256_or_ps, a, b) }
    }
    #[inline(always)]
    unsafe fn none() -> Self::Mask {
        unsafe { [_mm256_setzero_ps(); 2] }
    }
    #[inline(always)]
    unsafe fn bits(m: Self::Mask) -> u32 {
        unsafe { (_mm256_movemask_ps(m[0]) | _mm256_movemask_ps(m[1]) << 8) as u32 }
    }
    #[inline(always)]
    unsafe fn keep(m: Self::Mask, a: Self::F) -> Self::F {
        unsafe { both!(_mm256_and_ps, m, a) }
    }
    #[inline(always)]
    unsafe fn select(m: Self::Mask, a: Self::F, b: Self::F) -> Self::F {
        unsafe { both!(_mm256_blendv_ps, b, a, m) }
    }
    #[inline(always)]
    unsafe fn compress(p: *mut f32, m: Self::Mask, a: Self::F) -> usize {
        unsafe {
            let n = pack(p, m[0], a[0]);
            n + pack(p.add(n), m[1], a[1])
        }
    }
    #[inline(always)]
    unsafe fn zero_d() -> Self::D {
        unsafe { [_mm256_setzero_pd(); 4] }
    }
    #[inline(always)]
    unsafe fn add_d(d: Self::D, a: Self::F) -> Self::D {
        unsafe {
            let w = widen(a);
            [
                _mm256_add_pd(d[0], w[0]),
                _mm256_add_pd(d[1], w[1]),
                _mm256_add_pd(d[2], w[2]),
                _mm256_add_pd(d[3], w[3]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn add_square_d(d: Self::D, a: Self::F) -> Self::D {
        unsafe {
            let w = widen(a);
            [
                _mm256_add_pd(d[0], _mm256_mul_pd(w[0], w[0])),
                _mm256_add_pd(d[1], _mm256_mul_pd(w[1], w[1])),
                _mm256_add_pd(d[2], _mm256_mul_pd(w[2], w[2])),
                _mm256_add_pd(d[3], _mm256_mul_pd(w[3], w[3])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn to_array_d(d: Self::D) -> [f64; 16] {
        unsafe {
            let mut out = [0.0; 16];
            for (i, part) in d.into_iter().enumerate() {
                _mm256_storeu_pd(out.as_mut_ptr().add(4 * i), part);
            }
            out
        }
    }
}

#[inline(always)]
unsafe fn widen(a: [__m256; 2]) -> [__m256d; 4] {
    unsafe {
        [
            _mm256_cvtps_pd(_mm256_castps256_ps128(a[0])),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a[0])),
            _mm256_cvtps_pd(_mm256_castps256_ps128(a[1])),
            _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(a[1])),
        ]
    }
}
