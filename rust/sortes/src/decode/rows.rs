//! Rows of logits, and the loop over them.

use super::survivors::Scratch;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Error, Result};
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

/// Rows of logits, wherever they lie.
pub trait Rows<T>: Sync {
    /// Number of rows.
    fn rows(&self) -> usize;
    /// Logits per row.
    fn cols(&self) -> usize;
    /// One row.
    fn row(&self, row: usize) -> &[T];
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Calls `f(row, scratch, threads, chunk)` for every row with its chunk of `out`.
///
/// Rows are spread over the threads; fewer rows than threads are taken one after the other, and `f`
/// may split each. A stop request is seen before each row. The error that is returned is that of the lowest row, whatever the threads.
pub(super) fn each_row<O: Send>(
    threads: Threads<'_>,
    cancel: &Cancel,
    rows: usize,
    out: &mut [O],
    chunk: usize,
    f: impl Fn(usize, &mut Scratch, Threads<'_>, &mut [O]) -> Result<()> + Sync,
) -> Result<()> {
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let one = |row: usize, out: &mut [O], threads: Threads<'_>| {
        let result = cancel
            .check()
            .and_then(|()| SCRATCH.with_borrow_mut(|scratch| f(row, scratch, threads, out)));
        if let Err(error) = result {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(at, _)| row < *at) {
                *first = Some((row, error));
            }
        }
    };
    if rows < threads.count() {
        out.chunks_mut(chunk).enumerate().for_each(|(row, out)| one(row, out, threads));
    } else {
        threads.fill_chunks(out, chunk, |row, out| one(row, out, Threads::SERIAL));
    }
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
