//! One lock for every object that calls change.
//!
//! It is taken by the thread that works, never by one that waits with the interpreter in its hands:
//! a signal handler, a progress callback or another thread may use the object at any time, and
//! waits. A thread that waits for more than a moment answers a Ctrl-C, however short its own work is.
//! The lock knows the process that holds it: in a
//! forked child, a lock that another thread of the parent held is free if that thread only read, and
//! an error if it was writing. Two locked values at once would wait for each other: copy the one, then
//! change the other.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sortes_core::{Result, Run};

use crate::job::{Job, Size};

/// What the lock word says: nobody, or a process id above one bit for writing.
const FREE: u64 = 0;
const WRITING: u64 = 1;

/// Looks at the lock before the thread goes to sleep between looks.
const SPINS: u32 = 128;
/// The longest sleep.
const NAP: Duration = Duration::from_millis(1);

/// A value behind a lock.
pub(crate) struct Locked<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `acquire` alone, which lets one thread in at a time.
unsafe impl<T: Send> Sync for Locked<T> {}

/// What came of work on the value.
enum Done<R, F> {
    /// Its result.
    Result(R),
    /// Nothing yet: another thread holds the lock.
    Busy(F),
    /// Nothing ever: a writer was lost in a fork.
    Lost,
}

/// What came of asking for the lock.
enum Asked<'a> {
    Held(Guard<'a>),
    Busy,
    Lost,
}

/// Gives the lock back, also when the work panics.
struct Guard<'a>(&'a AtomicU64);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(FREE, Ordering::Release);
    }
}

impl<T: Send> Locked<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { word: AtomicU64::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Runs a kernel that reads the value, as [`Job::run`] does.
    pub(crate) fn read<R: Send>(
        &self,
        job: &Job<'_>,
        size: Size,
        f: impl FnOnce(&T, Run<'_>) -> Result<R> + Send,
    ) -> PyResult<R> {
        self.with(job, size, 0, |value, run| f(value, run))
    }

    /// Runs a kernel that changes the value. After an error it must be as it was.
    pub(crate) fn write<R: Send>(
        &self,
        job: &Job<'_>,
        size: Size,
        f: impl FnOnce(&mut T, Run<'_>) -> Result<R> + Send,
    ) -> PyResult<R> {
        self.with(job, size, WRITING, f)
    }

    /// A short look.
    pub(crate) fn get<R: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&T) -> R + Send,
    ) -> PyResult<R> {
        self.read(&Job::plain(py), Size::new(1, 1.0).serial(), |value, _| Ok(f(value)))
    }

    fn with<R: Send, F: FnOnce(&mut T, Run<'_>) -> Result<R> + Send>(
        &self,
        job: &Job<'_>,
        size: Size,
        mode: u64,
        f: F,
    ) -> PyResult<R> {
        let work = |f: F, patient| {
            move |run: Run<'_>| match self.acquire(mode, patient, run)? {
                // SAFETY: the guard is held, and lets no other thread in before it is dropped.
                Asked::Held(_guard) => f(unsafe { &mut *self.value.get() }, run).map(Done::Result),
                Asked::Busy => Ok(Done::Busy(f)),
                Asked::Lost => Ok(Done::Lost),
            }
        };
        let mut done = job.run(size, work(f, false))?;
        if let Done::Busy(f) = done {
            done = job.run(size.waiting(), work(f, true))?;
        }
        match done {
            Done::Result(result) => Ok(result),
            _ => Err(PyRuntimeError::new_err(
                "this object was being changed by another thread when the process forked; \
                 make a new one in the child",
            )),
        }
    }

    /// Asks for the lock; who is `patient` waits until it is free.
    fn acquire(&self, mode: u64, patient: bool, run: Run<'_>) -> Result<Asked<'_>> {
        let own = u64::from(std::process::id()) << 1;
        let mut looks = 0;
        let mut holder = FREE;
        loop {
            match self.word.compare_exchange_weak(
                holder,
                own | mode,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(Asked::Held(Guard(&self.word))),
                Err(found) => holder = found,
            }
            if holder == FREE {
                continue;
            }
            if holder & !WRITING != own {
                // The holder is a thread of the process that this one was forked from.
                if holder & WRITING != 0 {
                    return Ok(Asked::Lost);
                }
                continue; // a reader, which is not here: the lock changes hands
            }
            holder = FREE;
            run.check()?;
            if looks < SPINS {
                looks += 1;
                std::hint::spin_loop();
            } else if !patient {
                return Ok(Asked::Busy);
            } else {
                std::thread::sleep(NAP.min(Duration::from_micros(u64::from(looks))));
                looks = looks.saturating_add(16);
            }
        }
    }
}

/// Gives a class around a `Locked` state what all of them have: a length, a copy, bytes, and the
/// properties that the state itself offers. `$len` counts the items that the state holds; `$item` and
/// `$byte` are the nanoseconds of one that is copied or written, and of a byte that is read.
macro_rules! stateful {
    (
        $class:ident($state:ty), $len:ident, $item:expr, $byte:expr
        $(, $property:ident: $type:ty)*
    ) => {
        impl $class {
            fn of(state: $state) -> Self {
                Self(Locked::new(state))
            }

            /// Work on all items.
            fn all(&self, py: Python<'_>) -> PyResult<Size> {
                Ok(Size::new(self.__len__(py)?, $item))
            }

            fn copied(&self, py: Python<'_>) -> PyResult<$state> {
                self.0.read(&Job::plain(py), self.all(py)?.serial(), <$state>::copied)
            }
        }

        #[pymethods]
        impl $class {
            $(
                #[getter]
                fn $property(&self, py: Python<'_>) -> PyResult<$type> {
                    self.0.get(py, <$state>::$property)
                }
            )*

            fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
                self.0.get(py, <$state>::$len)
            }

            fn copy(&self, py: Python<'_>) -> PyResult<Self> {
                self.copied(py).map(Self::of)
            }

            fn to_bytes(&self, py: Python<'_>) -> PyResult<Bytes> {
                self.0.read(&Job::plain(py), self.all(py)?.serial(), <$state>::to_bytes).map(Bytes)
            }

            #[staticmethod]
            fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
                let size = Size::new(data.len(), $byte);
                Job::plain(py).run(size, |run| <$state>::from_bytes(data, run)).map(Self::of)
            }
        }
    };
}
pub(crate) use stateful;
