//! Reductions and gathers over rows of numbers.
//!
//! Every kernel is written once and compiled for each instruction set (see
//! [`vectorised`](crate::vectorised)); the best one that the processor has is picked on first use.
//! All of them return the same bits. Set `SORTES_SIMD` to `portable`, `avx2` or `avx512` to force
//! one.
//!
//! | file | holds |
//! |---|---|
//! | `dispatch` | the instruction sets, and the macro that compiles a kernel for each |
//! | `lanes` | sixteen `f32` lanes; `portable`, `avx2` and `avx512` are what they are made of |
//! | `exp` | exponentials and their sums |
//! | `scan` | block maxima, moments, counts, half precision |
//! | `logits` | windows of logits, and bins of their ranks |
//! | [`distance`] | squared distances |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
pub mod distance;
pub(crate) mod exp;
mod lanes;
mod logits;
mod portable;
mod scan;
#[cfg(test)]
mod tests;

pub use dispatch::{Level, asked_level, available_levels, level, with_level};
pub use exp::{ExpSums, Wanted, exp_into, exp_into_f64, exp_sums, exp_sums_f64, sum};
pub use logits::{
    Key, Split, gather_keys, gather_window, key_histogram, mask_bits, mask_window, masses_within,
    retain_window, split_keys,
};
pub use scan::{
    Moments, block_max, block_max_bf16, block_max_f16, count_at_least, largest, moments,
    widen_bf16, widen_f16,
};

/// Elements per block: the unit that has a maximum of its own, and is summed in `f32`.
pub const BLOCK: usize = 256;
