//! Ways into the boundary for the test suite: work that panics, lasts, fails or forks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use sortes_core::par::Threads;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::{Result, Run};

use crate::arrays::RowsView;
use crate::boundary::{detached, interruptible, interruptible_partial};
use crate::prelude::{Array, Job, Locked, Logits, Size};

type Progress<'py> = Option<Bound<'py, PyAny>>;

/// Sums the integers below `n`, one task each.
#[pyfunction]
#[pyo3(signature = (n, num_threads=None))]
fn parallel_sum(py: Python<'_>, n: usize, num_threads: Option<Bound<'_, PyAny>>) -> PyResult<u64> {
    Job::new(py, num_threads, None).run(Size::new(n, 1.0), |run| {
        let sum = AtomicU64::new(0);
        run.for_each(n, |task| {
            sum.fetch_add(task as u64, Ordering::Relaxed);
        })?;
        Ok(sum.into_inner())
    })
}

/// Spins for some milliseconds and polls before each.
fn spin_for(milliseconds: u64, run: Run<'_>, mut each: impl FnMut()) -> Result<()> {
    for _ in 0..milliseconds {
        run.check()?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        each();
        run.advance(1);
    }
    Ok(())
}

/// Spins for some milliseconds; returns how many it spun.
///
/// With `keep`, an interrupted call returns what it has done.
#[pyfunction]
#[pyo3(signature = (milliseconds, progress=None, *, keep=false))]
fn spin(py: Python<'_>, milliseconds: u64, progress: Progress<'_>, keep: bool) -> PyResult<u64> {
    let (spun, interrupt) = interruptible_partial(py, progress.as_ref(), |cancel| {
        cancel.expect(milliseconds);
        let mut spun = 0;
        let done = spin_for(milliseconds, Run::new(Threads::SERIAL, cancel), || spun += 1);
        if keep { Ok(spun) } else { done.map(|()| spun) }
    })?;
    match interrupt {
        Some(interrupt) if !keep => Err(interrupt),
        _ => Ok(spun),
    }
}

/// A locked count; its calls last as many milliseconds as they are told.
#[pyclass(frozen, module = "sortes._core._testing")]
struct Busy(Locked<u64>);

/// A millisecond of work for each.
fn work(milliseconds: u64) -> Size {
    Size::new(milliseconds as usize, 1e6)
}

#[pymethods]
impl Busy {
    #[new]
    fn new() -> Self {
        Self(Locked::new(0))
    }

    /// Reads the count, slowly.
    #[pyo3(signature = (milliseconds, progress=None))]
    fn read(&self, py: Python<'_>, milliseconds: u64, progress: Progress<'_>) -> PyResult<u64> {
        let job = Job::new(py, None, progress);
        self.0.read(&job, work(milliseconds), |count, run| {
            spin_for(milliseconds, run, || ()).map(|()| *count)
        })
    }

    /// Counts the milliseconds; nothing is counted if it is interrupted.
    #[pyo3(signature = (milliseconds, progress=None))]
    fn write(&self, py: Python<'_>, milliseconds: u64, progress: Progress<'_>) -> PyResult<u64> {
        let job = Job::new(py, None, progress);
        self.0.write(&job, work(milliseconds), |count, run| {
            let before = *count;
            let done = spin_for(milliseconds, run, || *count += 1);
            done.inspect_err(|_| *count = before)?;
            Ok(*count)
        })
    }

    /// The count, at once or when the lock is free.
    #[getter]
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        self.0.get(py, |count| *count)
    }
}

/// Panics in the working thread of a long call, or in a short one.
#[pyfunction]
#[pyo3(signature = (*, long=false))]
fn panic(py: Python<'_>, long: bool) -> PyResult<()> {
    if long {
        interruptible(py, None, |_| panic!("a long call panicked"))
    } else {
        detached(py, || panic!("a short call panicked"))
    }
}

/// The first `n` draws of one distribution, by name.
#[pyfunction]
fn draws(py: Python<'_>, distribution: &str, key: u64, n: usize) -> PyResult<Array<f64>> {
    let mut draws = Stream::new(key).draws(Purpose::Uniform, 0);
    let mut read: Box<dyn FnMut() -> f64 + Send> = match distribution {
        "uniform" => Box::new(move || draws.uniform()),
        "open_uniform" => Box::new(move || draws.open_uniform()),
        "precise_uniform" => Box::new(move || draws.precise_uniform()),
        "exponential" => Box::new(move || draws.exponential()),
        "normal" => Box::new(move || draws.normal()),
        "below_1000" => Box::new(move || draws.below(1000) as f64),
        _ => return Err(PyKeyError::new_err(distribution.to_string())),
    };
    detached(py, || Ok((0..n).map(|_| read()).collect())).map(Array)
}

/// What the boundary makes of an array: its kind, rows, columns, and the sum of each row.
#[pyfunction]
#[pyo3(signature = (x, *, bf16=false))]
fn row_sums(x: &Bound<'_, PyAny>, bf16: bool) -> PyResult<(&'static str, usize, usize, Vec<f64>)> {
    fn sums<T: Copy + Into<f64>>(x: &RowsView<T>) -> Vec<f64> {
        (0..x.rows()).map(|i| x.row(i).iter().map(|&v| v.into()).sum()).collect()
    }
    let logits = Logits::view(x, bf16, "x")?;
    let (kind, sums) = match &logits {
        Logits::F32(x) => ("float32", sums(x)),
        Logits::F64(x) => ("float64", sums(x)),
        Logits::F16(x) => ("float16", sums(x)),
        Logits::Bf16(x) => ("bfloat16", sums(x)),
    };
    Ok((kind, logits.rows(), logits.cols(), sums))
}

/// Hidden module: nothing in it is part of the interface.
#[pymodule(submodule)]
pub(crate) mod _testing {
    #[pymodule_export]
    use super::{Busy, draws, panic, parallel_sum, row_sums, spin};
}
