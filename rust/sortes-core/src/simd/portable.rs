//! The lanes as plain arrays: the reference for every other instruction set, and the path of
//! processors without one (on 64-bit Arm the compiler turns these loops into NEON instructions).

use super::lanes::Lanes;

/// Plain arrays.
pub(super) struct Portable;

#[inline(always)]
fn zip(a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn test(a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> bool) -> [bool; 16] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Lanes for Portable {
    type F = [f32; 16];
    type Mask = [bool; 16];
    type D = [f64; 16];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; 16]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: the caller promises sixteen elements.
        unsafe { p.cast::<[f32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, a: Self::F) {
        // SAFETY: the caller promises sixteen elements.
        unsafe { p.cast::<[f32; 16]>().write_unaligned(a) }
    }
    #[inline(always)]
    unsafe fn load_f16(p: *const u16) -> Self::F {
        // SAFETY: the caller promises sixteen elements.
        let h = unsafe { p.cast::<[u16; 16]>().read_unaligned() };
        h.map(|b| half::f16::from_bits(b).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(p: *const u16) -> Self::F {
        // SAFETY: the caller promises sixteen elements.
        let h = unsafe { p.cast::<[u16; 16]>().read_unaligned() };
        h.map(|b| f32::from_bits(u32::from(b) << 16))
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn fnma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| (-a[i]).mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        a.map(f32::abs)
    }
    #[inline(always)]
    unsafe fn scale2(a: Self::F, magic: Self::F) -> Self::F {
        zip(a, magic, |x, n| f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn ge(a: Self::F, b: Self::F) -> Self::Mask {
        test(a, b, |x, y| x >= y)
    }
    #[inline(always)]
    unsafe fn gt(a: Self::F, b: Self::F) -> Self::Mask {
        test(a, b, |x, y| x > y)
    }
    #[inline(always)]
    unsafe fn unordered(a: Self::F, b: Self::F) -> Self::Mask {
        test(a, b, |x, y| x.is_nan() || y.is_nan())
    }
    #[inline(always)]
    unsafe fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        std::array::from_fn(|i| a[i] & b[i])
    }
    #[inline(always)]
    unsafe fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        std::array::from_fn(|i| a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn none() -> Self::Mask {
        [false; 16]
    }
    #[inline(always)]
    unsafe fn bits(m: Self::Mask) -> u32 {
        m.iter().enumerate().fold(0, |bits, (i, &set)| bits | u32::from(set) << i)
    }
    #[inline(always)]
    unsafe fn keep(m: Self::Mask, a: Self::F) -> Self::F {
        std::array::from_fn(|i| if m[i] { a[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn select(m: Self::Mask, a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn compress(p: *mut f32, m: Self::Mask, a: Self::F) -> usize {
        let mut n = 0;
        for i in 0..16 {
            if m[i] {
                // SAFETY: `n < 16`, and the caller promises room for sixteen.
                unsafe { p.add(n).write(a[i]) };
                n += 1;
            }
        }
        n
    }
    #[inline(always)]
    unsafe fn zero_d() -> Self::D {
        [0.0; 16]
    }
    #[inline(always)]
    unsafe fn add_d(d: Self::D, a: Self::F) -> Self::D {
        std::array::from_fn(|i| d[i] + f64::from(a[i]))
    }
    #[inline(always)]
    unsafe fn add_square_d(d: Self::D, a: Self::F) -> Self::D {
        std::array::from_fn(|i| d[i] + f64::from(a[i]) * f64::from(a[i]))
    }
    #[inline(always)]
    unsafe fn to_array_d(d: Self::D) -> [f64; 16] {
        d
    }
}
