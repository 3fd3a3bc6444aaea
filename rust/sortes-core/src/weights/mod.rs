//! Draws in proportion to weights, with replacement.
//!
//! | type | for |
//! |---|---|
//! | [`AliasTable`] | many draws from the same weights |
//! | [`BlockSums`] | few draws from a large array |
//! | [`DynamicWeights`] | draws while the weights change |
//! | [`Summary`] | the sum of weights, their extremes, and the one place where they are checked |
//!
//! [`fill_table`] makes alias tables of many rows, in memory of the caller's.
//! [`first_beyond`] is the one draw that needs no preparation: a walk along the weights.
//!
//! Draw `j` of a call reads half `j % 2` of the block of entity `j / 2` ([`Purpose::Pick`], or
//! [`Purpose::Dynamic`] for weights that change), and
//! depends on nothing else: not on how many draws there are, nor on threads.

mod alias;
mod blocks;
mod dynamic;
mod summary;

pub use alias::{AliasTable, Marks, Precision, fill_table};
pub use blocks::BlockSums;
pub use dynamic::DynamicWeights;
pub use summary::{Summary, Weight, checked_sum, fault, finite_total, positive_total, summary_of};

use crate::rng::{Purpose, Stream, bulk};
use crate::{Result, Run};

/// Draws of one task: enough to hide the hand-over, few enough to answer a stop request.
const DRAWS: usize = 1 << 14;
/// Draws whose words are made at once; even, since two draws share a block.
const BATCH: usize = 512;

/// Where a running sum of weights exceeds a target: the first index with which it does, and the sum
/// before it. With `u` times the total as the target, this is the draw by inversion of `u`.
///
/// If rounding lets the walk end without one, the last index with weight; none without any weight.
/// An index of weight zero is never returned.
///
/// ```
/// use sortes_core::weights::first_beyond;
///
/// let weights = [0.5, 0.0, 0.5, 0.0];
/// assert_eq!(first_beyond(weights, 0.0, 0.49), Some((0, 0.0)));
/// assert_eq!(first_beyond(weights, 0.0, 0.5), Some((2, 0.5)));
/// assert_eq!(first_beyond(weights, 0.0, 1.0), Some((2, 0.5)));
/// assert_eq!(first_beyond([0.0], 0.0, 0.0), None);
/// ```
#[inline]
pub fn first_beyond(
    weights: impl IntoIterator<Item = f64>,
    mut before: f64,
    target: f64,
) -> Option<(usize, f64)> {
    let mut found = None;
    for (index, weight) in weights.into_iter().enumerate() {
        if weight > 0.0 {
            found = Some((index, before));
            before += weight;
            if before > target {
                break;
            }
        }
    }
    found
}

/// Fills `out` with what `pick` makes of the words of its draws from weights that do not change.
fn draw_each(
    out: &mut [i64],
    stream: Stream,
    run: Run<'_>,
    pick: impl Fn(&[u64], &mut [i64]) + Sync + Send,
) -> Result<()> {
    draw_for(Purpose::Pick, out, stream, run, pick)
}

/// Fills `out` with what `pick` makes of the words of its draws, a batch at a time: the word of
/// draw `j` is half `j % 2` of the block of entity `j / 2`.
fn draw_for(
    purpose: Purpose,
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
            bulk::words(purpose, bulk::Ids::From(stream, first), blocks);
            pick(&blocks.as_flattened()[..out.len()], out);
        }
        run.advance(out.len() as u64);
    })
}
