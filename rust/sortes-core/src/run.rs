//! What a kernel is given to run with: threads, and somebody who may stop it.

use std::ops::Range;
use std::sync::LazyLock;

use crate::Result;
use crate::cancel::Cancel;
use crate::par::Threads;

/// The last argument of every kernel: the threads that it may use, and the stop request that it
/// polls at least every few milliseconds.
///
/// ```
/// use sortes_core::Run;
///
/// fn squares(out: &mut [u64], run: Run<'_>) -> sortes_core::Result<()> {
///     run.fill_chunks(out, 1024, |task, chunk| {
///         for (i, out) in chunk.iter_mut().enumerate() {
///             *out = ((task * 1024 + i) as u64).pow(2);
///         }
///         run.advance(chunk.len() as u64);
///     })
/// }
///
/// let mut out = vec![0; 5000];
/// squares(&mut out, Run::alone()).unwrap();
/// assert_eq!(out[4321], 4321 * 4321);
/// ```
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// How many threads the kernel may use, and whose.
    pub threads: Threads<'a>,
    /// Stop requests and progress.
    pub cancel: &'a Cancel,
}

static NEVER: LazyLock<Cancel> = LazyLock::new(Cancel::default);

impl<'a> Run<'a> {
    /// With these threads, until `cancel` says stop.
    pub fn new(threads: Threads<'a>, cancel: &'a Cancel) -> Self {
        Self { threads, cancel }
    }

    /// On the calling thread, to the end.
    pub fn alone() -> Run<'static> {
        Run { threads: Threads::SERIAL, cancel: &NEVER }
    }

    /// The same on the calling thread: for work inside a task.
    #[must_use]
    pub fn serial(self) -> Self {
        Self { threads: Threads::SERIAL, ..self }
    }

    /// [`Error::Cancelled`](crate::Error::Cancelled) if the work has been asked to stop.
    ///
    /// # Errors
    /// In that case.
    #[inline]
    pub fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// States how many units of work there are in all.
    pub fn expect(&self, units: u64) {
        self.cancel.expect(units);
    }

    /// Counts `units` more as done. May be called from any thread.
    #[inline]
    pub fn advance(&self, units: u64) {
        self.cancel.advance(units);
    }

    /// Calls `f(task)` for every task below `tasks`, in any order; polls before each.
    ///
    /// # Errors
    /// If the work has been asked to stop; some tasks were then left out.
    pub fn for_each(&self, tasks: usize, f: impl Fn(usize) + Sync + Send) -> Result<()> {
        self.threads.for_each(tasks, |task| {
            if !self.cancel.is_cancelled() {
                f(task);
            }
        });
        self.check()
    }

    /// Calls `f(index, chunk)` for every chunk of `size` elements of `out`, in any order; polls
    /// before each.
    ///
    /// # Errors
    /// If the work has been asked to stop; some chunks were then left as they were.
    pub fn fill_chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) + Sync + Send,
    ) -> Result<()> {
        self.threads.fill_chunks(out, size, |index, chunk| {
            if !self.cancel.is_cancelled() {
                f(index, chunk);
            }
        });
        self.check()
    }

    /// The ranges that make up `0..len`, `size` indices each; polls before each of them.
    ///
    /// ```
    /// use sortes_core::{Result, Run};
    ///
    /// let ranges: Result<Vec<_>> = Run::alone().blocks(10, 4).collect();
    /// assert_eq!(ranges.unwrap(), [0..4, 4..8, 8..10]);
    /// ```
    pub fn blocks(
        self,
        len: usize,
        size: usize,
    ) -> impl Iterator<Item = Result<Range<usize>>> + use<'a> {
        (0..len.div_ceil(size)).map(move |block| {
            self.check()?;
            Ok(block * size..len.min((block + 1) * size))
        })
    }
}
