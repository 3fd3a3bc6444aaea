//! Where Rust and Python meet: errors, panics, the interpreter lock, Ctrl-C, progress.
//!
//! | door | for | interpreter | on Ctrl-C |
//! |---|---|---|---|
//! | [`run`] | kernels: it chooses the door and the threads by the size of the work | released | as one of the next two |
//! | [`detached`] | work that is surely short: a look at a state | released | handled after the call |
//! | [`interruptible`] | long work, all or nothing | released | work stops, exception raised |
//! | [`interruptible_partial`] | long work whose beginnings are results | released | work stops, caller decides |

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::exceptions::{
    PyKeyboardInterrupt, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Error, Result, Run};

use crate::pool;

pyo3::create_exception!(
    sortes,
    SortesError,
    PyRuntimeError,
    "An internal failure of sortes: a bug, never the consequence of an argument."
);

/// How often a waiting thread looks for signals and reports progress.
const WAKE: Duration = Duration::from_millis(50);

/// The one place where core errors become Python exceptions.
#[allow(clippy::needless_pass_by_value)] // the shape that `map_err` wants
pub(crate) fn to_py(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Dtype { .. } => PyTypeError::new_err(message),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
        Error::Resource { .. } => PyMemoryError::new_err(message),
        _ => PyValueError::new_err(message),
    }
}

/// What a kernel came to: its own result, or the text of its panic.
type Guarded<T> = std::result::Result<Result<T>, String>;

fn guard<T>(f: impl FnOnce() -> Result<T>) -> Guarded<T> {
    std::panic::catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic without a message".into())
    })
}

fn unguard<T>(guarded: Guarded<T>) -> PyResult<T> {
    guarded
        .map_err(|panic| SortesError::new_err(format!("internal error, please report: {panic}")))?
        .map_err(to_py)
}

/// Runs short work with the interpreter released.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    f: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    unguard(py.detach(|| guard(f)))
}

/// Runs long work that Ctrl-C stops; an interrupted call returns nothing.
///
/// `progress`, if given, is called as `progress(done, total)` from the calling thread every 50 ms
/// and once at the end; `total` is what the work stated by [`Cancel::expect`]. If it raises, the
/// work stops and the user sees that exception.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    f: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    match interruptible_partial(py, progress, f)? {
        (value, None) => Ok(value),
        (_, Some(interrupt)) => Err(interrupt),
    }
}

/// How much there is to do: how many items, and about how many nanoseconds each takes on one thread.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    items: usize,
    ns_each: f64,
}

impl Size {
    /// Work below this stays on the calling thread: it is done well before the half second in which a
    /// Ctrl-C must be answered, also where a machine is several times slower than the estimate.
    const SHORT: f64 = 100e6;
    /// Work below this is not worth waking a second thread.
    const SERIAL: f64 = 40e3;

    pub(crate) fn new(items: usize, ns_each: f64) -> Self {
        Self { items, ns_each }
    }

    /// The same work, for which the caller may have to wait: never short.
    pub(crate) fn waiting(self) -> Self {
        Self { ns_each: f64::INFINITY, ..self }
    }

    fn ns(self) -> f64 {
        self.items.max(1) as f64 * self.ns_each
    }
}

/// Runs a kernel behind the door that the size of its work asks for; progress counts its items.
///
/// `num_threads` is what the user gave, and wins; without it, small work stays on one thread.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    size: Size,
    num_threads: Option<&Bound<'_, PyAny>>,
    progress: Option<&Bound<'_, PyAny>>,
    f: impl FnOnce(Run<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let threads = if num_threads.is_none() && size.ns() < Size::SERIAL {
        Threads::SERIAL
    } else {
        pool::threads(num_threads)?
    };
    if progress.is_none() && size.ns() < Size::SHORT {
        return detached(py, || f(Run::new(threads, &Cancel::default())));
    }
    interruptible(py, progress, |cancel| {
        cancel.expect(size.items as u64);
        f(Run::new(threads, cancel))
    })
}

/// A state's bytes for Python, in memory that Python may refuse.
pub(crate) fn bytes<'py>(py: Python<'py>, state: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, state.len(), |out| {
        py.detach(|| out.copy_from_slice(state));
        Ok(())
    })
}

/// As [`interruptible`], for work that returns what it has when it is cancelled.
///
/// With the value comes the exception that stopped the work, if one did: the caller raises it, or
/// keeps the value and says so in a warning.
pub(crate) fn interruptible_partial<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    f: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<(T, Option<PyErr>)> {
    let cancel = Cancel::default();
    let report = || match progress {
        Some(callback) => callback.call1((cancel.done(), cancel.total())).map(drop),
        None => Ok(()),
    };
    let mut interrupt: Option<PyErr> = None;
    let guarded = std::thread::scope(|scope| {
        let (sender, mut receiver) = sync_channel(1);
        let worker = &cancel;
        let thread = std::thread::Builder::new().name("sortes-call".into());
        let spawned = thread.spawn_scoped(scope, move || {
            // The receiver waits for this message, so that sending cannot fail.
            let _ = sender.send(guard(|| f(worker)));
        });
        spawned.map_err(|error| {
            PyMemoryError::new_err(format!("a thread for this call cannot be started: {error}"))
        })?;
        loop {
            let receiver = &mut receiver; // a Receiver may be sent, not shared
            match py.detach(move || receiver.recv_timeout(WAKE)) {
                Ok(guarded) => break PyResult::Ok(guarded),
                Err(RecvTimeoutError::Disconnected) => {
                    break Ok(Err("the working thread ended without a result".into()));
                }
                Err(RecvTimeoutError::Timeout) if interrupt.is_none() => {
                    if let Err(error) = py.check_signals().and_then(|()| report()) {
                        cancel.cancel();
                        interrupt = Some(error);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    })?;
    if interrupt.is_none() {
        // A Ctrl-C of the last milliseconds, and the last word to a progress bar.
        interrupt = py.check_signals().and_then(|()| report()).err();
    }
    match (guarded, interrupt) {
        (Ok(Err(Error::Cancelled)), Some(interrupt)) => Err(interrupt),
        (guarded, interrupt) => Ok((unguard(guarded)?, interrupt)),
    }
}
