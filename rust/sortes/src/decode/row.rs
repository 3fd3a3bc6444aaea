//! One row of logits and its block maxima: what a single read of it gives.

use sortes_core::par::Threads;
use sortes_core::simd::{self, BLOCK};
use sortes_core::{Error, Result};

/// Elements that one task of a parallel pass reads.
const STRETCH: usize = 32 * BLOCK;
/// Rows from this length on are worth splitting over threads.
pub(super) const SPLIT: usize = 1 << 17;

/// A validated row: no NaN, no plus infinity.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The logits.
    pub x: &'a [f32],
    /// The maximum of each block of [`BLOCK`] logits.
    pub blocks: &'a [f32],
    /// The largest logit; minus infinity if none is finite.
    pub max: f32,
}

impl<'a> Row<'a> {
    /// Reads a row once. `number` is its index in the batch, for the message.
    ///
    /// # Errors
    /// [`Error::Row`] on NaN or plus infinity.
    pub fn read(
        x: &'a [f32],
        blocks: &'a mut Vec<f32>,
        number: usize,
        threads: Threads<'_>,
    ) -> Result<Self> {
        let n = x.len().div_ceil(BLOCK);
        if blocks.len() < n {
            blocks.resize(n, f32::NEG_INFINITY);
        }
        let blocks = &mut blocks[..n];
        let nan = if threads.count() > 1 && x.len() >= SPLIT {
            let nan = std::sync::atomic::AtomicBool::new(false);
            threads.fill_chunks(blocks, STRETCH / BLOCK, |i, part| {
                let stretch = &x[i * STRETCH..x.len().min((i + 1) * STRETCH)];
                if simd::block_max(stretch, part) {
                    nan.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
            nan.into_inner()
        } else {
            simd::block_max(x, blocks)
        };
        let max = blocks.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
        if nan || max == f32::INFINITY {
            return Err(Error::row("logits", number, "contains NaN or +inf"));
        }
        Ok(Self { x, blocks, max })
    }

    /// The lowest id among the largest logits.
    pub fn argmax(&self) -> usize {
        let block = self.blocks.iter().position(|&m| m == self.max).unwrap_or(0);
        let start = block * BLOCK;
        let end = self.x.len().min(start + BLOCK);
        start + self.x[start..end].iter().position(|&l| l == self.max).unwrap_or(0)
    }
}
