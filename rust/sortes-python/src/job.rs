//! The work of a call: how much it is, how many threads may do it, who hears of its progress.

use pyo3::prelude::*;
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Result, Run};

use crate::arrays::Array;
use crate::boundary::{detached, interruptible};
use crate::threads;

/// How much there is to do: how many items, and about how many nanoseconds each takes on one thread.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    items: usize,
    ns_each: f64,
    is_serial: bool,
}

impl Size {
    /// Work below this stays on the calling thread: it is done before the half second in which a Ctrl-C
    /// must be answered, also where rows are far from usual. Rows of ties take 300 times the estimate.
    const SHORT: f64 = 1.5e6;
    /// Work below this is not worth waking a second thread.
    const SERIAL: f64 = 40e3;

    pub(crate) fn new(items: usize, ns_each: f64) -> Self {
        Self { items, ns_each, is_serial: false }
    }

    /// The same work by a kernel that has no use for other threads: none are started for it.
    pub(crate) fn serial(self) -> Self {
        Self { is_serial: true, ..self }
    }

    /// The same work, for which the caller may have to wait: never short.
    pub(crate) fn waiting(self) -> Self {
        Self { ns_each: f64::INFINITY, ..self }
    }

    fn ns(self) -> f64 {
        self.items.max(1) as f64 * self.ns_each
    }
}

/// What the caller says of the work. From Python comes None, or `(num_threads, progress)`.
pub(crate) struct Job<'py> {
    pub(crate) py: Python<'py>,
    num_threads: Option<Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
}

impl<'py> FromPyObject<'_, 'py> for Job<'py> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (num_threads, progress) = if x.is_none() { (None, None) } else { x.extract()? };
        Ok(Self::new(x.py(), num_threads, progress))
    }
}

impl<'py> Job<'py> {
    pub(crate) fn new(
        py: Python<'py>,
        num_threads: Option<Bound<'py, PyAny>>,
        progress: Option<Bound<'py, PyAny>>,
    ) -> Self {
        Self { py, num_threads, progress }
    }

    /// The caller says nothing.
    pub(crate) fn plain(py: Python<'py>) -> Self {
        Self::new(py, None, None)
    }

    /// Runs a kernel behind the door that the size of its work asks for; progress counts its items.
    ///
    /// The number of threads that the user gave wins; without it, small work stays on one.
    pub(crate) fn run<T: Send>(
        &self,
        size: Size,
        f: impl FnOnce(Run<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let threads = match self.num_threads.as_ref() {
            None if size.is_serial || size.ns() < Size::SERIAL => Threads::SERIAL,
            count => threads::threads(count)?,
        };
        if self.progress.is_none() && size.ns() < Size::SHORT {
            return detached(self.py, || f(Run::new(threads, &Cancel::default())));
        }
        interruptible(self.py, self.progress.as_ref(), |cancel| {
            cancel.expect(size.items as u64);
            f(Run::new(threads, cancel))
        })
    }

    /// Runs a kernel whose numbers Python is to have as an array.
    pub(crate) fn array<T: Send>(
        &self,
        size: Size,
        f: impl FnOnce(Run<'_>) -> Result<Vec<T>> + Send,
    ) -> PyResult<Array<T>> {
        self.run(size, f).map(Array)
    }
}
