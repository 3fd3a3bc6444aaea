//! Draws in proportion to weights, with replacement.
//!
//! | type | for |
//! |---|---|
//! | [`AliasTable`] | many draws from the same weights |
//! | [`BlockSums`] | few draws from a large array |
//! | [`DynamicWeights`] | draws while the weights change |
//! | [`Summary`] | the sum of weights, their extremes, and the one place where they are checked |
//!
//! Draw `j` of a call reads half `j % 2` of the block of entity `j / 2` ([`Purpose::Pick`]), and
//! depends on nothing else: not on how many draws there are, nor on threads.

mod alias;
mod blocks;
mod dynamic;
mod summary;

pub use alias::{AliasTable, Precision};
pub use blocks::BlockSums;
pub use dynamic::DynamicWeights;
pub use summary::{
    Summary, Weight, check_weights, fault, finite_total, positive_total, summary_of,
};

use crate::rng::{Purpose, Stream, bulk};
use crate::{Result, Run};

/// Draws of one task: enough to hide the hand-over, few enough to answer a stop request.
const DRAWS: usize = 1 << 14;
/// Draws whose words are made at once; even, since two draws share a block.
const BATCH: usize = 512;

/// Fills `out` with what `pick` makes of the words of its draws, a batch at a time: the word of draw
/// `j` is half `j % 2` of the block of entity `j / 2`.
fn draw_each(
    out: &mut [i64],
    stream: Stream,
    run: Run<'_>,
    pick: impl Fn(&[u64], &mut [i64]) + Sync + Send,
) -> Result<()> {
    run.fill_chunks(out, DRAWS, |task, out| {
        let mut blocks = [[0; 2]; BATCH / 2];
        for (batch, out) in out.chunks_mut(BATCH).enumerate() {
            let first = (task * DRAWS + batch * BATCH) as u64 / 2;
            let blocks = &mut blocks[..out.len().div_ceil(2)];
            bulk::words(Purpose::Pick, bulk::Ids::From(stream, first), blocks);
            pick(&blocks.as_flattened()[..out.len()], out);
        }
        run.advance(out.len() as u64);
    })
}
