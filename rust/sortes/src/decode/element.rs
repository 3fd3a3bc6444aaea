//! Element types of logits.

use super::rows::room_for;
use half::{bf16, f16};
use sortes_core::Result;
use sortes_core::simd::{self, BLOCK};

/// Logits that are widened at a time: they stay in the first-level cache.
pub(super) const TILE: usize = 8 * BLOCK;

/// A type that logits come in. Kernels see `f32`.
pub trait Element: Copy + PartialEq + Send + Sync + 'static {
    /// The largest finite value.
    const MAX: f64;

    /// Writes the row as `f32` to `out`, which has its length.
    fn write_f32(row: &[Self], out: &mut [f32]);

    /// The row as `f32`, in `buffer` unless it is `f32` already.
    ///
    /// # Errors
    /// If there is no memory for it.
    fn widen<'a>(row: &'a [Self], buffer: &'a mut Vec<f32>) -> Result<&'a [f32]> {
        let out = room_for(buffer, row.len(), "logits")?;
        Self::write_f32(row, out);
        Ok(out)
    }

    /// Writes the maximum of each [`BLOCK`] of the row's `f32` form to `out`; true if any element is
    /// NaN. That form is left nowhere but in the nearest cache, a tile at a time.
    fn block_max(row: &[Self], out: &mut [f32]) -> bool {
        let mut wide = [0.0; TILE];
        let tiles = row.chunks(TILE).zip(out.chunks_mut(TILE / BLOCK));
        tiles
            .fold(false, |nan, (row, out)| nan | Self::widen_tile(row, &mut wide[..row.len()], out))
    }

    /// Writes a tile as `f32`, and the maxima of its blocks while it is near; true if any element is
    /// NaN.
    fn widen_tile(row: &[Self], wide: &mut [f32], maxima: &mut [f32]) -> bool {
        Self::write_f32(row, wide);
        simd::block_max(wide, maxima)
    }

    /// The row as it is, if it is `f32`.
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }

    /// Copies a row, whose `f32` form is `wide`, with `fill` outside the ends (both included).
    fn mask(row: &[Self], wide: &[f32], ends: (f32, f32), fill: Self, out: &mut [Self]) {
        for ((out, l), w) in out.iter_mut().zip(row).zip(wide) {
            *out = if ends.0 <= *w && *w <= ends.1 { *l } else { fill };
        }
    }

    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;

    /// `(self - shift) / t`, computed in `f32` from `wide`, which is this value.
    #[must_use]
    fn quotient(self, wide: f32, shift: f32, t: f64) -> Self {
        Self::from_f64(f64::from((wide - shift) / t as f32))
    }
}

impl Element for f32 {
    const MAX: f64 = f32::MAX as f64;

    fn write_f32(row: &[Self], out: &mut [f32]) {
        out.copy_from_slice(row);
    }
    fn widen<'a>(row: &'a [Self], _: &'a mut Vec<f32>) -> Result<&'a [f32]> {
        Ok(row)
    }
    fn block_max(row: &[Self], out: &mut [f32]) -> bool {
        simd::block_max(row, out)
    }
    fn as_f32(row: &[Self]) -> Option<&[f32]> {
        Some(row)
    }
    fn mask(row: &[Self], _: &[f32], ends: (f32, f32), fill: Self, out: &mut [Self]) {
        simd::mask_window(row, ends, fill, out);
    }
    fn from_f64(x: f64) -> Self {
        x as f32
    }
}

impl Element for f64 {
    const MAX: f64 = f64::MAX;

    fn write_f32(row: &[Self], out: &mut [f32]) {
        for (wide, narrow) in row.iter().zip(out) {
            *narrow = *wide as f32;
        }
    }
    fn from_f64(x: f64) -> Self {
        x
    }
    fn quotient(self, _: f32, shift: f32, t: f64) -> Self {
        (self - f64::from(shift)) / t
    }
}

/// The bits of half-precision numbers, for the kernels.
fn bits<T>(row: &[T]) -> &[u16] {
    const { assert!(size_of::<T>() == 2 && align_of::<T>() == 2) };
    // SAFETY: `f16` and `bf16` are transparent over `u16`; size and alignment are checked above.
    unsafe { std::slice::from_raw_parts(row.as_ptr().cast(), row.len()) }
}

impl Element for f16 {
    const MAX: f64 = 65504.0;

    fn block_max(row: &[Self], out: &mut [f32]) -> bool {
        simd::block_max_f16(bits(row), out)
    }

    fn write_f32(row: &[Self], out: &mut [f32]) {
        simd::widen_f16(bits(row), out);
    }
    fn from_f64(x: f64) -> Self {
        f16::from_f64(x)
    }
}

impl Element for bf16 {
    const MAX: f64 = f32::from_bits(0x7F7F_0000) as f64;

    fn block_max(row: &[Self], out: &mut [f32]) -> bool {
        simd::block_max_bf16(bits(row), out)
    }

    fn write_f32(row: &[Self], out: &mut [f32]) {
        simd::widen_bf16(bits(row), out);
    }
    fn from_f64(x: f64) -> Self {
        bf16::from_f64(x)
    }
}
