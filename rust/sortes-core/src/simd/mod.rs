//! Reductions and gathers over rows of logits.
//!
//! Every kernel is written once, over sixteen lanes (`lanes.rs`, `kernels.rs`), and compiled for
//! each instruction set; the best one that the processor has is picked on first use. All of them
//! return the same bits. Set `SORTES_SIMD` to `portable`, `avx2` or `avx512` to force one.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
pub mod distance;
mod kernels;
mod lanes;
mod portable;
#[cfg(test)]
mod tests;

pub use dispatch::{Level, available_levels, level, with_level};

/// Elements per block: the unit that has a maximum of its own, and is summed in `f32`.
pub const BLOCK: usize = 256;

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

/// The order in which a rule ranks tokens, as a number that grows from best to worst:
/// `(centre - l) * scale`, or its absolute value.
///
/// It is computed in `f32` by one expression everywhere, so that a partition of a row by it is
/// exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// The logit of rank zero.
    pub centre: f32,
    /// Whether tokens above the centre rank by their distance too.
    pub two_sided: bool,
    /// Bins per unit of logit.
    pub scale: f32,
}

impl Key {
    /// The scaled key of one logit.
    pub fn of(&self, logit: f32) -> f32 {
        let k = self.centre - logit;
        (if self.two_sided { k.abs() } else { k }) * self.scale
    }
}

/// Which logits come before a range of keys, and which lie in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Logits outside are passed over (both ends included).
    pub window: (f32, f32),
    /// What ranks logits.
    pub key: Key,
    /// The range of keys, the end not included.
    pub range: (f32, f32),
    /// Blocks whose maximum is less are passed over: all of their keys lie behind the range.
    pub least: f32,
}

/// Writes the maximum of each [`BLOCK`] of `x` to `out`; true if any element is NaN, and then the
/// maxima are unspecified.
pub fn block_max(x: &[f32], out: &mut [f32]) -> bool {
    dispatch::block_max(x, out)
}

/// Sums of `exp((l - max) * scale)` over the logits inside `window` (both ends included).
///
/// Needs `l <= max` inside the window and `scale >= 0`. An infinite window costs nothing.
pub fn exp_sums(x: &[f32], max: f32, scale: f32, window: (f32, f32), wanted: Wanted) -> ExpSums {
    dispatch::exp_sums(x, max, scale, window, wanted)
}

/// Writes `exp((l - max) * scale)` to `out`, for logits of at most `max`.
pub fn exp_into(x: &[f32], max: f32, scale: f32, out: &mut [f32]) {
    dispatch::exp_into(x, max, scale, out);
}

/// Count, sum and sum of squares of `l - origin` over the finite logits inside `window`.
pub fn moments(x: &[f32], origin: f32, window: (f32, f32)) -> Moments {
    dispatch::moments(x, origin, window)
}

/// The number of elements `>= value`.
pub fn count_at_least(x: &[f32], value: f32) -> usize {
    dispatch::count_at_least(x, value)
}

/// Adds the weight of every logit inside `window` to the bin of its key. Keys at or beyond the end
/// of the bins are passed over.
///
/// Inside the window no key may be negative.
pub fn key_histogram(
    x: &[f32],
    max: f32,
    scale: f32,
    window: (f32, f32),
    key: &Key,
    bins: &mut [f64],
) {
    dispatch::key_histogram(x, max, scale, window, key, bins);
}

/// Appends the logits inside `window` whose key lies in `range` (the end not included).
pub fn gather_keys(
    x: &[f32],
    window: (f32, f32),
    key: &Key,
    range: (f32, f32),
    out: &mut Vec<f32>,
) {
    dispatch::gather_keys(x, window, key, range, out);
}

/// Appends the logits that [`Split`] places inside its range, and returns
/// the weight of those whose key lies before it. `blocks` are the maxima of the blocks of `x`.
pub fn split_keys(
    x: &[f32],
    blocks: &[f32],
    max: f32,
    scale: f32,
    split: &Split,
    out: &mut Vec<f32>,
) -> f64 {
    dispatch::split_keys(x, blocks, max, scale, split, out)
}

/// Appends the logits inside `window` and their ids (`first_id` is that of `x[0]`), in id order.
pub fn gather_window(
    x: &[f32],
    first_id: u32,
    window: (f32, f32),
    values: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    // The padding of the last vector is minus infinity: keep it, and removed tokens, out.
    let window = (window.0.max(f32::MIN), window.1);
    dispatch::gather_window(x, first_id, window, values, ids);
}

/// Copies the logits inside `window` and writes `fill` elsewhere.
pub fn mask_window(x: &[f32], window: (f32, f32), fill: f32, out: &mut [f32]) {
    dispatch::mask_window(x, window, fill, out);
}

/// Widens IEEE half-precision numbers, given as their bits.
pub fn widen_f16(x: &[u16], out: &mut [f32]) {
    dispatch::widen_f16(x, out);
}

/// Widens bfloat16 numbers, given as their bits.
pub fn widen_bf16(x: &[u16], out: &mut [f32]) {
    dispatch::widen_bf16(x, out);
}
