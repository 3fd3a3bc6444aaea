//! Element types of logits.

use super::window::Window;
use half::{bf16, f16};
use sortes_core::simd;

/// A type that logits come in. Kernels see `f32`.
pub trait Element: Copy + Send + Sync + 'static {
    /// The row as `f32`, in `buffer` unless it is `f32` already.
    fn widen<'a>(row: &'a [Self], buffer: &'a mut Vec<f32>) -> &'a [f32];

    /// Copies a row, whose `f32` form is `wide`, with `fill` outside the window.
    fn mask(row: &[Self], wide: &[f32], window: &Window, fill: Self, out: &mut [Self]) {
        for (id, ((out, l), w)) in out.iter_mut().zip(row).zip(wide).enumerate() {
            *out = if window.contains(*w, id as u32) { *l } else { fill };
        }
    }

    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
}

fn sized(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}

impl Element for f32 {
    fn widen<'a>(row: &'a [Self], _: &'a mut Vec<f32>) -> &'a [f32] {
        row
    }
    fn mask(row: &[Self], wide: &[f32], window: &Window, fill: Self, out: &mut [Self]) {
        if window.is_plain() {
            simd::mask_window(row, (window.lo, window.hi), fill, out);
        } else {
            for (id, (out, l)) in out.iter_mut().zip(wide).enumerate() {
                *out = if window.contains(*l, id as u32) { *l } else { fill };
            }
        }
    }
    fn from_f64(x: f64) -> Self {
        x as f32
    }
}

impl Element for f64 {
    fn widen<'a>(row: &'a [Self], buffer: &'a mut Vec<f32>) -> &'a [f32] {
        let out = sized(buffer, row.len());
        for (wide, narrow) in row.iter().zip(out.iter_mut()) {
            *narrow = *wide as f32;
        }
        out
    }
    fn from_f64(x: f64) -> Self {
        x
    }
}

/// The bits of half-precision numbers, for the kernels.
fn bits<T>(row: &[T]) -> &[u16] {
    const { assert!(size_of::<T>() == 2 && align_of::<T>() == 2) };
    // SAFETY: `f16` and `bf16` are transparent over `u16`; size and alignment are checked above.
    unsafe { std::slice::from_raw_parts(row.as_ptr().cast(), row.len()) }
}

impl Element for f16 {
    fn widen<'a>(row: &'a [Self], buffer: &'a mut Vec<f32>) -> &'a [f32] {
        let out = sized(buffer, row.len());
        simd::widen_f16(bits(row), out);
        out
    }
    fn from_f64(x: f64) -> Self {
        f16::from_f64(x)
    }
}

impl Element for bf16 {
    fn widen<'a>(row: &'a [Self], buffer: &'a mut Vec<f32>) -> &'a [f32] {
        let out = sized(buffer, row.len());
        simd::widen_bf16(bits(row), out);
        out
    }
    fn from_f64(x: f64) -> Self {
        bf16::from_f64(x)
    }
}
