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
//! Random numbers of the first two: `Purpose::Item`, entity and step the low and high halves of the
//! id (those of item `i` at step `t` in [`weighted`](super::weighted) for the id `t * 2^32 + i`); or,
//! where ids do not name them, entity the place of the item in its shard, step 0, on the child
//! stream of the shard. Those of the third: `Purpose::Drop`, entity the place of the item,
//! draws 0 and 1 its coin, draw 2 the item that it replaces, on the child stream of the shard.

mod any;
mod batch;
mod bottom_k;
mod header;
mod large;
mod names;
mod priority;
mod ranked;
mod sample;
mod var_opt;

pub use any::Sketch;
pub use batch::{Batch, Item, Weights};
pub use bottom_k::{BottomK, Exponential};
pub use header::Header;
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
