//! The thread pool of this process.
//!
//! Rayon's global pool is never touched: a process that used it and then forks hangs in the child.
//! The pool here belongs to a process id. A child that inherits another process's pool builds its
//! own and leaks the inherited one, whose threads do not exist on its side of the fork. The slot is
//! an atomic pointer, because a mutex may be held by another thread at the moment of the fork.

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::{env, io, ptr, thread};

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyInt;
use sortes_core::memory::ask;
use sortes_core::par::Threads;

use crate::args::integer;

/// More threads than this is taken for a mistake.
const MOST_THREADS: usize = 1024;
/// Without a word from the user, larger machines are not filled.
const MOST_DEFAULT_THREADS: usize = 16;

/// A stack, and as much again for what a thread allocates as it begins.
const THREAD_BYTES: usize = 4 << 20;

struct Slot {
    pid: u32,
    pool: rayon::ThreadPool,
}

/// The newest pool. A slot is never freed once published: calls may still run on it.
static SLOT: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// What `set_num_threads` said; 0 is nothing.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// The default of this process: its id in the high half, the count in the low one.
static DEFAULT: AtomicU64 = AtomicU64::new(0);

/// The threads that a call may use: the argument, else what [`get_num_threads`] says.
///
/// No thread is started for a count of one.
pub(crate) fn threads(num_threads: Option<&Bound<'_, PyAny>>) -> PyResult<Threads<'static>> {
    let count = match num_threads {
        Some(count) => count_of("num_threads", count)?,
        None => default_count()?,
    };
    if count == 1 { Ok(Threads::SERIAL) } else { Ok(Threads::new(pool_of(count)?, count)) }
}

/// A pool of this process with at least `count` threads; an old one that is too small is leaked.
fn pool_of(count: usize) -> PyResult<&'static rayon::ThreadPool> {
    let pid = std::process::id();
    let mut old = SLOT.load(Ordering::Acquire);
    let mut fresh: Option<Box<Slot>> = None;
    loop {
        // SAFETY: the pointer is null or came from `Box::into_raw` below, and is never freed.
        if let Some(slot) = unsafe { old.as_ref() }
            && slot.pid == pid
            && slot.pool.current_num_threads() >= count
        {
            return Ok(&slot.pool);
        }
        let slot = match fresh.take() {
            Some(slot) => slot,
            None => Box::new(Slot { pid, pool: build(count)? }),
        };
        let slot = Box::into_raw(slot);
        match SLOT.compare_exchange(old, slot, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just published, and published slots are never freed.
            Ok(_) => return Ok(unsafe { &(*slot).pool }),
            Err(current) => {
                // SAFETY: it was not published, so this thread still owns it.
                fresh = Some(unsafe { Box::from_raw(slot) });
                old = current;
            }
        }
    }
}

fn build(count: usize) -> PyResult<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(count).spawn_handler(start).build().map_err(
        |error| PyMemoryError::new_err(format!("num_threads: {count} cannot be started: {error}")),
    )
}

/// Starts one thread, and waits until it runs: what it takes to begin is then no longer free.
fn start(thread: rayon::ThreadBuilder) -> io::Result<()> {
    let (begun, wait) = sync_channel(1);
    named(&format!("sortes-{}", thread.index()))?.spawn(move || {
        // The pool waits for this message, so that sending cannot fail.
        let _ = begun.send(());
        thread.run();
    })?;
    // It fails if the thread has ended, and the pool is then the one to notice.
    let _ = wait.recv();
    Ok(())
}

/// What starts a thread, if there is memory for one: the C library ends a process in which a thread
/// begins without.
pub(crate) fn named(name: &str) -> io::Result<thread::Builder> {
    ask::<u8>(THREAD_BYTES, "bytes of a thread").map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(thread::Builder::new().name(name.into()))
}

fn count_of(name: &str, count: &Bound<'_, PyAny>) -> PyResult<usize> {
    // A number that fits needs no words, which take longer than a short call has.
    if let Ok(count) = count.cast_exact::<PyInt>()
        && let Ok(count @ 1..=MOST_THREADS) = count.extract()
    {
        return Ok(count);
    }
    let domain = format!("[1, {MOST_THREADS}]");
    Ok(integer(name, count, (1..=MOST_THREADS as u64, &domain))? as usize)
}

fn checked(name: &str, count: i64) -> PyResult<usize> {
    usize::try_from(count).ok().filter(|count| (1..=MOST_THREADS).contains(count)).ok_or_else(
        || PyValueError::new_err(format!("{name}: must be in [1, {MOST_THREADS}], got {count}")),
    )
}

fn default_count() -> PyResult<usize> {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    if chosen != 0 {
        return Ok(chosen);
    }
    // The environment is read once in each process.
    let pid = u64::from(std::process::id());
    let known = DEFAULT.load(Ordering::Relaxed);
    if known >> 32 == pid {
        return Ok(known as u32 as usize);
    }
    let count = environment_count()?;
    DEFAULT.store(pid << 32 | count as u64, Ordering::Relaxed);
    Ok(count)
}

fn environment_count() -> PyResult<usize> {
    if let Ok(text) = env::var("SORTES_NUM_THREADS") {
        let refuse = |_| {
            PyValueError::new_err(format!("SORTES_NUM_THREADS: must be an integer, got {text:?}"))
        };
        return checked("SORTES_NUM_THREADS", text.trim().parse().map_err(refuse)?);
    }
    // Other programs' variables are hints: what cannot be read is passed over.
    let hint = |name| env::var(name).ok().and_then(|text| text.trim().parse::<usize>().ok());
    if let Some(count) = hint("RAYON_NUM_THREADS").filter(|&count| count > 0) {
        return Ok(count.min(MOST_THREADS));
    }
    if hint("OMP_NUM_THREADS") == Some(1) || Python::attach(in_data_loader_worker) {
        return Ok(1);
    }
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(available.min(MOST_DEFAULT_THREADS))
}

/// Whether this process is one of several workers of a Torch `DataLoader`. Never imports Torch.
fn in_data_loader_worker(py: Python<'_>) -> bool {
    let info = || -> PyResult<bool> {
        let module = py.import("sys")?.getattr("modules")?.get_item("torch.utils.data")?;
        Ok(!module.call_method0("get_worker_info")?.is_none())
    };
    info().unwrap_or(false)
}

#[doc = stub!("set_num_threads")]
#[pyfunction]
#[pyo3(signature = (num_threads, /))]
pub(crate) fn set_num_threads(num_threads: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let count = num_threads.map_or(Ok(0), |count| count_of("num_threads", count))?;
    CHOSEN.store(count, Ordering::Relaxed);
    Ok(())
}

#[doc = stub!("get_num_threads")]
#[pyfunction]
pub(crate) fn get_num_threads() -> PyResult<usize> {
    default_count()
}
