//! Where Rust and Python meet: errors, panics, the interpreter lock, Ctrl-C, progress. Kernels come
//! here by [`Job::run`](crate::job::Job::run), which chooses the door by the size of the work.
//!
//! | door | for | interpreter | on Ctrl-C |
//! |---|---|---|---|
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
use sortes_core::cancel::Cancel;
use sortes_core::{Error, Result};

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
