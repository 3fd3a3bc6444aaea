//! Parallel loops over rows, chains or chunks, on a pool that the caller lends.
//!
//! Kernels never touch rayon's global pool (a process that forks after using it hangs). They take a
//! [`Threads`] and write each task's result into its own slot, so that no result depends on how
//! many threads there are.

use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many threads a kernel may use, and whose.
#[derive(Clone, Copy)]
pub struct Threads<'p> {
    pool: Option<&'p rayon::ThreadPool>,
    count: usize,
}

impl<'p> Threads<'p> {
    /// Stay on the calling thread.
    pub const SERIAL: Threads<'static> = Threads { pool: None, count: 1 };

    /// Use up to `count` threads of `pool`.
    pub fn new(pool: &'p rayon::ThreadPool, count: usize) -> Self {
        let count = count.clamp(1, pool.current_num_threads());
        if count == 1 { Self { pool: None, count: 1 } } else { Self { pool: Some(pool), count } }
    }

    /// The number of threads that may run at once.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `f(task)` for every task below `tasks`, in any order.
    pub fn for_each(&self, tasks: usize, f: impl Fn(usize) + Sync + Send) {
        let next = AtomicUsize::new(0);
        self.lanes(tasks, || {
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                if task >= tasks {
                    break;
                }
                f(task);
            }
        });
    }

    /// Calls `f(index, chunk)` for every chunk of `size` elements of `out`, in any order.
    pub fn fill_chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) + Sync + Send,
    ) {
        if self.pool.is_none() {
            out.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk));
            return;
        }
        let tasks = out.len().div_ceil(size);
        let chunks = Mutex::new(out.chunks_mut(size).enumerate());
        self.lanes(tasks, || {
            loop {
                // The lock is held for the hand-over alone.
                let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((i, chunk)) = next else { break };
                f(i, chunk);
            }
        });
    }

    /// Runs `work` on as many threads as were lent, but no more than there are tasks. The pool may
    /// have more; a lane takes one task after the other, so that none of them is used.
    fn lanes(&self, tasks: usize, work: impl Fn() + Sync + Send) {
        match self.pool {
            Some(pool) if tasks > 1 => pool.install(|| {
                let lanes = self.count.min(tasks);
                (0..lanes).into_par_iter().with_max_len(1).for_each(|_| work());
            }),
            _ => work(),
        }
    }
}
