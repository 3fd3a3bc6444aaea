//! The lanes as one 512-bit register (AVX-512 F, and DQ for half extraction).

// SAFETY of every block below: the trait's contract (the instruction set has been detected, and
// pointers have sixteen valid elements) is the intrinsics' contract.
#![allow(clippy::undocumented_unsafe_blocks)]
#![allow(clippy::wildcard_imports)] // a list of intrinsics would only repeat the code

use super::avx2::max_of_eight;
use super::lanes::Lanes;
use std::arch::x86_64::*;

/// AVX-512.
pub(super) struct Avx512;

impl Lanes for Avx512 {
    type F = __m512;
    type Mask = __mmask16;
    type D = [__m512d; 2];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, a: Self::F) {
        unsafe { _mm512_storeu_ps(p, a) }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn max_lane(a: Self::F) -> f32 {
        unsafe {
            max_of_eight(_mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)))
        }
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        unsafe { _mm512_abs_ps(a) }
    }
    #[inline(always)]
    unsafe fn scale2(a: Self::F, magic: Self::F) -> Self::F {
        unsafe {
            let shift = _mm512_slli_epi32::<23>(_mm512_castps_si512(magic));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), shift))
        }
    }
    #[inline(always)]
    unsafe fn ge(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn gt(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn unordered(a: Self::F, b: Self::F) -> Self::Mask {
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, b) }
    }
    #[inline(always)]
    unsafe fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        a & b
    }
    #[inline(always)]
    unsafe fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        a | b
    }
    #[inline(always)]
    unsafe fn none() -> Self::Mask {
        0
    }
    #[inline(always)]
    unsafe fn bits(m: Self::Mask) -> u32 {
        u32::from(m)
    }
    #[inline(always)]
    unsafe fn keep(m: Self::Mask, a: Self::F) -> Self::F {
        unsafe { _mm512_maskz_mov_ps(m, a) }
    }
    #[inline(always)]
    unsafe fn select(m: Self::Mask, a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_mask_mov_ps(b, m, a) }
    }
    #[inline(always)]
    unsafe fn compress(p: *mut f32, m: Self::Mask, a: Self::F) -> usize {
        // Compress in a register and store whole: a compressing store is microcoded on some cores.
        unsafe { _mm512_storeu_ps(p, _mm512_maskz_compress_ps(m, a)) };
        m.count_ones() as usize
    }
    #[inline(always)]
    unsafe fn zero_d() -> Self::D {
        unsafe { [_mm512_setzero_pd(); 2] }
    }
    #[inline(always)]
    unsafe fn add_d(d: Self::D, a: Self::F) -> Self::D {
        unsafe {
            let wide = widen(a);
            [_mm512_add_pd(d[0], wide[0]), _mm512_add_pd(d[1], wide[1])]
        }
    }
    #[inline(always)]
    unsafe fn add_square_d(d: Self::D, a: Self::F) -> Self::D {
        unsafe {
            let wide = widen(a);
            [
                _mm512_add_pd(d[0], _mm512_mul_pd(wide[0], wide[0])),
                _mm512_add_pd(d[1], _mm512_mul_pd(wide[1], wide[1])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn to_array_d(d: Self::D) -> [f64; 16] {
        unsafe {
            let mut out = [0.0; 16];
            _mm512_storeu_pd(out.as_mut_ptr(), d[0]);
            _mm512_storeu_pd(out.as_mut_ptr().add(8), d[1]);
            out
        }
    }
}

#[inline(always)]
unsafe fn widen(a: __m512) -> [__m512d; 2] {
    unsafe {
        [
            _mm512_cvtps_pd(_mm512_castps512_ps256(a)),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(a)),
        ]
    }
}
