//! Draws in proportion to weights.
//!
//! | type or function | for |
//! |---|---|
//! | [`AliasTable`] | many draws with replacement from the same weights |
//! | [`BlockSums`] | few draws with replacement from a large array |
//! | [`DynamicWeights`] | draws while the weights change |
//! | [`successive`] | distinct items, drawn one after the other |
//! | [`Reservoir`] | the same from a stream |
//! | [`acquire`] | distinct items by scores, for batches of active learning |
//!
//! Draw `j` of a call with replacement reads half `j % 2` of the block of entity `j / 2`
//! (`Purpose::Pick`); the key of item `i` is the exponential of entity `i` (`Purpose::Item`). Both
//! are taken at the step of the call, and depend on nothing else: not on how many draws there are,
//! nor on threads.

pub mod acquisition;
pub mod alias;
pub mod blocks;
pub mod dynamic;
pub mod keys;
pub mod reservoir;
pub mod weights;

pub use acquisition::{Strategy, acquire};
pub use alias::{AliasTable, Precision};
pub use blocks::BlockSums;
pub use dynamic::DynamicWeights;
pub use keys::{keys, successive};
pub use reservoir::Reservoir;
pub use weights::Weight;

use sortes_core::Result;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream, bulk};

/// Draws of one task: enough to hide the hand-over, few enough to answer a stop request.
const DRAWS: usize = 1 << 14;
/// Draws whose words are made at once; even, since two draws share a block.
const BATCH: usize = 512;

/// Fills `out` with what `pick` makes of the words of its draws, a batch at a time: the word of draw
/// `j` is half `j % 2` of the block of entity `j / 2`.
fn draw_each(
    out: &mut [i64],
    stream: Stream,
    step: u32,
    threads: Threads<'_>,
    cancel: &Cancel,
    pick: impl Fn(&[u64], &mut [i64]) + Sync + Send,
) -> Result<()> {
    threads.fill_chunks(out, DRAWS, |task, out| {
        if cancel.is_cancelled() {
            return;
        }
        let mut blocks = [[0; 2]; BATCH / 2];
        for (batch, out) in out.chunks_mut(BATCH).enumerate() {
            let first = (task * DRAWS + batch * BATCH) as u64 / 2;
            let blocks = &mut blocks[..out.len().div_ceil(2)];
            bulk::words(stream, Purpose::Pick, bulk::Ids::Range { first, step }, blocks);
            pick(&blocks.as_flattened()[..out.len()], out);
        }
        cancel.advance(out.len() as u64);
    });
    cancel.check()
}

/// The uniform on `[0, 1)` that a word stands for: a multiple of `2^-53`.
#[inline]
fn uniform(word: u64) -> f64 {
    (word >> 11) as f64 / (1u64 << 53) as f64
}
