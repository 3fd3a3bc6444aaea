//! Rows of logits: where they lie, what a single read of one gives, and the loop over them.

use super::survivors::{Scratch, grow};
use sortes_core::simd::{self, BLOCK};
use sortes_core::{Error, Result, Run};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Logits per chunk: the unit that has its own exponential sum, in which the draw starts its walk.
pub(super) const CHUNK: usize = 4 * BLOCK;
/// Logits that one task of a parallel pass reads.
const TASK: usize = 32 * BLOCK;
/// Rows from this length on are worth splitting over threads.
pub(super) const SPLIT: usize = 1 << 17;

/// Rows of logits, wherever they lie.
pub trait Rows<T>: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Logits per row.
    fn cols(&self) -> usize;
    /// One row.
    fn row(&self, row: usize) -> &[T];
}

/// A validated row: no NaN, no plus infinity.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// The logits.
    pub(super) x: &'a [f32],
    /// The maximum of each block of [`BLOCK`] logits.
    pub(super) blocks: &'a [f32],
    /// The largest logit; minus infinity if none is finite.
    pub(super) max: f32,
}

impl<'a> Row<'a> {
    /// Reads a row once. `index` is its place in the batch, for the message.
    ///
    /// # Errors
    /// [`Error::Row`] on NaN or plus infinity; if there is no memory; or if the work is cancelled.
    pub(super) fn read(
        x: &'a [f32],
        blocks: &'a mut Vec<f32>,
        index: usize,
        run: Run<'_>,
    ) -> Result<Self> {
        let n = x.len().div_ceil(BLOCK);
        if blocks.len() < n {
            grow(blocks, n, "blocks of one row")?;
            blocks.resize(n, f32::NEG_INFINITY);
        }
        let blocks = &mut blocks[..n];
        let nan = if x.len() >= SPLIT {
            let nan = AtomicBool::new(false);
            run.fill_chunks(blocks, TASK / BLOCK, |task, part| {
                let stretch = &x[task * TASK..x.len().min((task + 1) * TASK)];
                if simd::block_max(stretch, part) {
                    nan.store(true, Ordering::Relaxed);
                }
            })?;
            nan.into_inner()
        } else {
            simd::block_max(x, blocks)
        };
        let max = blocks.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
        if nan || max == f32::INFINITY {
            return Err(Error::row("logits", index, "contains NaN or +inf"));
        }
        Ok(Self { x, blocks, max })
    }

    /// The lowest id among the largest logits.
    pub(super) fn argmax(&self) -> usize {
        let block = self.blocks.iter().position(|&m| m == self.max).unwrap_or(0);
        let start = block * BLOCK;
        let end = self.x.len().min(start + BLOCK);
        start + self.x[start..end].iter().position(|&l| l == self.max).unwrap_or(0)
    }
}

thread_local! {
    /// Buffers of this thread that no row is in. A row takes those of the top: its neighbour may be
    /// looked at meanwhile.
    #[expect(clippy::vec_box, reason = "a pointer is moved, not the buffers")]
    static SCRATCH: RefCell<Vec<Box<Scratch>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with buffers of this thread.
pub(super) fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let result = f(&mut scratch);
    SCRATCH.with_borrow_mut(|free| free.push(scratch));
    result
}

/// Calls `f(row, scratch, out, run)` for every row with its chunk of `out`.
///
/// Rows are spread over the threads; fewer rows than threads are taken one after the other, and `f`
/// may split each. A stop request is seen before each row, and each row advances the progress by
/// one. The error that is returned is that of the lowest row, whatever the threads.
pub(super) fn each_row<O: Send>(
    out: &mut [O],
    chunk: usize,
    run: Run<'_>,
    f: impl Fn(usize, &mut Scratch, &mut [O], Run<'_>) -> Result<()> + Sync,
) -> Result<()> {
    let few = out.len() / chunk < run.threads.count();
    let (across, within) = if few { (run.serial(), run) } else { (run, run.serial()) };
    across.try_fill_chunks(out, chunk, |row, out| {
        with_scratch(|scratch| f(row, scratch, out, within))?;
        run.advance(1);
        Ok(())
    })
}
