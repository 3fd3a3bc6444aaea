//! Parallel loops over rows, chains or chunks, on a pool that the caller lends.
//!
//! Kernels never touch rayon's global pool (a process that forks after using it hangs). They take a
//! [`Threads`] and write each task's result into its own slot, so that no result depends on how
//! many threads there are.

use rayon::prelude::*;

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
        match self.pool {
            Some(pool) if tasks > 1 => {
                // `count` contiguous lanes of work: a call never uses more threads than it was lent.
                let lanes = self.count.min(tasks);
                let next = std::sync::atomic::AtomicUsize::new(0);
                pool.install(|| {
                    (0..lanes).into_par_iter().with_max_len(1).for_each(|_| {
                        loop {
                            let task = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            if task >= tasks {
                                break;
                            }
                            f(task);
                        }
                    });
                });
            }
            _ => (0..tasks).for_each(f),
        }
    }

    /// Calls `f(index, chunk)` for every chunk of `size` elements of `out`, in any order.
    pub fn fill_chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        f: impl Fn(usize, &mut [T]) + Sync + Send,
    ) {
        match self.pool {
            Some(pool) if out.len() > size => {
                let per_lane = out.len().div_ceil(size).div_ceil(self.count);
                pool.install(|| {
                    out.par_chunks_mut(size)
                        .enumerate()
                        .with_min_len(per_lane)
                        .for_each(|(i, chunk)| f(i, chunk));
                });
            }
            _ => out.chunks_mut(size).enumerate().for_each(|(i, chunk)| f(i, chunk)),
        }
    }
}
