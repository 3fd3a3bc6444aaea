//! Stop requests and progress of long work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Error, Result};

#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
}

/// A flag and two counters shared by the thread that works and the one that waits.
///
/// Clones share their state. A kernel polls once per block of work (a few microseconds or more):
/// a poll is one relaxed load.
///
/// ```
/// use sortes_core::cancel::Cancel;
///
/// fn kernel(blocks: u64, cancel: &Cancel) -> sortes_core::Result<()> {
///     cancel.expect(blocks);
///     for _ in 0..blocks {
///         cancel.check()?;
///         // ... one block ...
///         cancel.advance(1);
///     }
///     Ok(())
/// }
///
/// let cancel = Cancel::default();
/// kernel(3, &cancel).unwrap();
/// assert_eq!((cancel.done(), cancel.total()), (3, 3));
/// cancel.cancel();
/// assert_eq!(kernel(3, &cancel), Err(sortes_core::Error::Cancelled));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

impl Cancel {
    /// Asks the work to stop at its next poll.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the work has been asked to stop. For kernels that return what they have.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// [`Error::Cancelled`] if the work has been asked to stop. For kernels that give up.
    ///
    /// # Errors
    /// [`Error::Cancelled`], once [`cancel`](Self::cancel) was called on any clone.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// States how many units of work there are in all.
    pub fn expect(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// Counts `units` more as done. May be called from any thread.
    #[inline]
    pub fn advance(&self, units: u64) {
        self.0.done.fetch_add(units, Ordering::Relaxed);
    }

    /// Units done so far.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Units in all, 0 while unknown.
    pub fn total(&self) -> u64 {
        self.0.total.load(Ordering::Relaxed)
    }
}
