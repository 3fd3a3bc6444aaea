//! What every family of samplers shares.
//!
//! | module | holds |
//! |---|---|
//! | [`error`] | the one error type, named arguments and offending values |
//! | [`rng`] | Philox4x32-10 and the counter layout of the project |
//! | [`simd`] | maxima, exponential sums, gathers: one body, compiled for each instruction set |
//! | [`num`] | element types of logits, ordered floats |
//! | [`par`] | parallel loops on a pool that the caller lends |
//! | [`cancel`] | stop requests and progress of long work |
//! | [`memory`] | room for what a caller may have asked too much of |

pub mod cancel;
pub mod error;
pub mod memory;
pub mod num;
pub mod par;
pub mod rng;
pub mod simd;

pub use error::{Error, Result};
