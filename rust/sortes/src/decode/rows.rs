//! Rows of logits: where they lie, what a single read of one gives, and the loop over them.

use super::element::{Element, TILE};
use super::survivors::{Scratch, grow};
use sortes_core::simd::{self, BLOCK};
use sortes_core::{Error, Result, Run};
use std::cell::RefCell;
use std::sync::Mutex;
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
        let (blocks, max) = maxima(x, blocks, index, run)?;
        Ok(Self { x, blocks, max })
    }

    /// Reads a row of any type once; what is not `f32` yet is so in `wide`.
    ///
    /// # Errors
    /// As [`Row::read`].
    pub(super) fn widen<T: Element>(
        x: &'a [T],
        wide: &'a mut Vec<f32>,
        blocks: &'a mut Vec<f32>,
        index: usize,
        run: Run<'_>,
    ) -> Result<Self> {
        if T::as_f32(x).is_some() || x.len() >= SPLIT && run.threads.count() > 1 {
            return Self::read(T::widen(x, wide)?, blocks, index, run);
        }
        let wide = room_for(wide, x.len(), "logits")?;
        let blocks = room_for(blocks, x.len().div_ceil(BLOCK), "blocks of one row")?;
        let tiles = x.chunks(TILE).zip(wide.chunks_mut(TILE)).zip(blocks.chunks_mut(TILE / BLOCK));
        let mut nan = false;
        for ((x, wide), blocks) in tiles {
            nan |= T::widen_tile(x, wide, blocks);
        }
        let max = valid(blocks, nan, index)?;
        Ok(Self { x: wide, blocks, max })
    }

    /// The lowest id among the largest logits.
    pub(super) fn argmax(&self) -> usize {
        first_largest(self.x, self.blocks, self.max)
    }
}

/// The maxima of the blocks of a row, and the largest of them.
///
/// # Errors
/// As [`Row::read`].
pub(super) fn maxima<'a, T: Element>(
    x: &[T],
    blocks: &'a mut Vec<f32>,
    index: usize,
    run: Run<'_>,
) -> Result<(&'a [f32], f32)> {
    let blocks = room_for(blocks, x.len().div_ceil(BLOCK), "blocks of one row")?;
    let nan = if x.len() >= SPLIT {
        let nan = AtomicBool::new(false);
        run.fill_chunks(blocks, TASK / BLOCK, |task, part| {
            let stretch = &x[task * TASK..x.len().min((task + 1) * TASK)];
            if T::block_max(stretch, part) {
                nan.store(true, Ordering::Relaxed);
            }
        })?;
        nan.into_inner()
    } else {
        T::block_max(x, blocks)
    };
    let max = valid(blocks, nan, index)?;
    Ok((blocks, max))
}

/// The largest logit of a row with these maxima.
fn valid(blocks: &[f32], nan: bool, index: usize) -> Result<f32> {
    let max = simd::largest(blocks);
    if nan || max == f32::INFINITY {
        return Err(Error::row("logits", index, "contains NaN or +inf"));
    }
    Ok(max)
}

/// The lowest id among the logits of a row that equal the largest: only the first block with that
/// maximum is looked at.
pub(super) fn first_largest<T: Element>(x: &[T], blocks: &[f32], max: f32) -> usize {
    let block = blocks.iter().position(|&m| m == max).unwrap_or(0);
    let start = block * BLOCK;
    let stretch = &x[start..x.len().min(start + BLOCK)];
    let mut wide = [0.0; BLOCK];
    T::write_f32(stretch, &mut wide[..stretch.len()]);
    start + wide[..stretch.len()].iter().position(|&l| l == max).unwrap_or(0)
}

/// The first `len` elements of a buffer, which grows if it has to.
pub(super) fn room_for<'a>(
    buffer: &'a mut Vec<f32>,
    len: usize,
    what: &'static str,
) -> Result<&'a mut [f32]> {
    if buffer.len() < len {
        grow(buffer, len, what)?;
        buffer.resize(len, f32::NEG_INFINITY);
    }
    Ok(&mut buffer[..len])
}

/// Buffers that no row is in.
#[expect(clippy::vec_box, reason = "a pointer is moved, not the buffers")]
struct Free(Vec<Box<Scratch>>);

thread_local! {
    /// Those of this thread. A row takes those of the top: its neighbour may be looked at meanwhile.
    static SCRATCH: RefCell<Free> = const { RefCell::new(Free(Vec::new())) };
}

/// Those of threads that have ended, at most [`LEFT`]: a long call has a thread of its own, and the
/// next one takes them over.
static LEFT_BEHIND: Mutex<Free> = Mutex::new(Free(Vec::new()));
/// How many are kept for threads to come.
const LEFT: usize = 4;

impl Drop for Free {
    fn drop(&mut self) {
        // Nobody waits: in a child that was forked meanwhile the lock may stay taken.
        if let Ok(mut left) = LEFT_BEHIND.try_lock() {
            let room = LEFT.saturating_sub(left.0.len());
            left.0.extend(self.0.drain(..).take(room));
        }
    }
}

/// Calls `f` with buffers of this thread.
pub(super) fn with_scratch<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let left_behind = || LEFT_BEHIND.try_lock().ok()?.0.pop();
    let own = SCRATCH.with_borrow_mut(|free| free.0.pop());
    let mut scratch = own.or_else(left_behind).unwrap_or_default();
    let result = f(&mut scratch);
    SCRATCH.with_borrow_mut(|free| free.0.push(scratch));
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
