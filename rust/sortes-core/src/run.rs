//! What a kernel is given to run with: threads, and somebody who may stop it.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

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

    /// The same, but deaf to stop requests: for putting back what was begun.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        Self { cancel: &NEVER, ..self }
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

    /// Calls `f(task)` for every task below `tasks`, in any order, until one fails; polls before each.
    ///
    /// # Errors
    /// That of a task that failed, or if the work has been asked to stop.
    pub fn try_for_each(
        &self,
        tasks: usize,
        f: impl Fn(usize) -> Result<()> + Sync + Send,
    ) -> Result<()> {
        let failure = Mutex::new(Ok(()));
        let lock = || failure.lock().unwrap_or_else(PoisonError::into_inner);
        self.for_each(tasks, |task| {
            if lock().is_err() {
                return;
            }
            let done = f(task);
            let mut failure = lock();
            if failure.is_ok() {
                *failure = done;
            }
        })?;
        failure.into_inner().unwrap_or_else(PoisonError::into_inner)
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

    /// As [`fill_chunks`](Self::fill_chunks), with an `f` that may fail.
    ///
    /// # Errors
    /// That of the lowest index that failed, whatever the threads; some chunks behind it were then
    /// left as they were. Or if the work has been asked to stop.
    pub fn try_fill_chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) -> Result<()> + Sync + Send,
    ) -> Result<()> {
        let lowest = AtomicUsize::new(usize::MAX);
        let failure = Mutex::new(Ok(()));
        self.fill_chunks(out, size, |index, chunk| {
            if index > lowest.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = f(index, chunk) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if index < lowest.load(Ordering::Relaxed) {
                    lowest.store(index, Ordering::Relaxed);
                    *failure = Err(error);
                }
            }
        })?;
        failure.into_inner().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn the_first_failure_ends_the_tasks() {
        let begun = AtomicUsize::new(0);
        let done = Run::alone().try_for_each(100, |task| {
            begun.fetch_add(1, Ordering::Relaxed);
            if task == 7 { Err(Error::argument("x", "is seven")) } else { Ok(()) }
        });
        assert_eq!(done, Err(Error::argument("x", "is seven")));
        assert_eq!(begun.into_inner(), 8);
    }

    #[test]
    fn what_runs_to_the_end_is_deaf() {
        let cancel = Cancel::default();
        cancel.cancel();
        let run = Run::new(Threads::SERIAL, &cancel);
        assert_eq!(run.check(), Err(Error::Cancelled));
        assert_eq!(run.for_each(1, |_| ()), Err(Error::Cancelled));
        assert_eq!(run.to_the_end().check(), Ok(()));
    }

    #[test]
    fn the_error_is_that_of_the_lowest_chunk() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let cancel = Cancel::default();
        for threads in [Threads::SERIAL, Threads::new(&pool, 4)] {
            let mut out = vec![0; 1000];
            let fill = |i: usize, chunk: &mut [usize]| {
                chunk.fill(i);
                if i % 10 == 7 { Err(Error::row("logits", i, "bad")) } else { Ok(()) }
            };
            let done = Run::new(threads, &cancel).try_fill_chunks(&mut out, 3, fill);
            assert_eq!(done, Err(Error::row("logits", 7, "bad")));
            assert!((0..7).all(|i| out[3 * i..3 * i + 3] == [i; 3]));
        }
    }

    #[test]
    fn chunks_of_a_stopped_run_are_left_alone() {
        let cancel = Cancel::default();
        cancel.cancel();
        let mut out = [1; 5];
        let run = Run::new(Threads::SERIAL, &cancel);
        let done = run.try_fill_chunks(&mut out, 2, |_, chunk| {
            chunk.fill(0);
            Ok(())
        });
        assert_eq!((done, out), (Err(Error::Cancelled), [1; 5]));
    }
}
