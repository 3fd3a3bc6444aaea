//! Samples that merge, with unbiased estimates of sums.
//!
//! A sketch takes weighted items in, batch by batch, and holds a sample of at most `k` of them. Any
//! number of sketches merge into that of all their data. Every item of the sample comes with the
//! probability `p` of being there, so that the sum of `f / p` over any part of the sample estimates
//! the sum of `f` over that part of the data without bias.
//!
//! | sketch | sample | merge |
//! |---|---|---|
//! | [`BottomK`] | drawn one after the other, in proportion to what is left | exact |
//! | [`PrioritySample`] | the same items in every version of the data, nearly least variance | exact |
//! | [`VarOpt`] | exactly `k` items whose weights add up to the exact total, least variance | exact inclusion probabilities |
//!
//! | sketch | key | purpose | entity | round | draws |
//! |---|---|---|---|---|---|
//! | coordinated | the stream | `Item` | the low half of the id | the high half of the id | 0, 1: the key |
//! | not coordinated | the shard's child | `Item` | index of the item in its shard | 0 | 0, 1: the key |
//! | [`VarOpt`] | the shard's child | `Drop` | index of the item in its shard | 0 | 0, 1: its uniform; 2: the item that it replaces |
//!
//! The step of a stream is folded into its key. At step 0 the numbers of a coordinated sketch are those
//! of [`races`](sortes_core::races): those of item `i` at step `t` are those of the id `t * 2^32 + i`.

mod batch;
mod bottom_k;
mod counters;
mod header;
mod heavy;
mod ids;
mod kinds;
mod priority;
mod ranked;
mod sample;
mod var_opt;

pub use batch::{Batch, Item, Weights};
pub use bottom_k::{BottomK, Exponential};
pub use header::Header;
pub use kinds::Sketch;
pub use priority::{PrioritySample, Uniform};
pub use ranked::{Rank, Ranked};
pub use sample::Sample;
pub use var_opt::VarOpt;

/// Items whose random numbers are drawn at once, on the stack.
const CHUNK: usize = 512;
/// Items that a thread takes at a time, a multiple of [`CHUNK`].
const PIECE: usize = 32 * CHUNK;

#[cfg(test)]
mod tests;
