//! Ways into the boundary for the test suite: work that panics, lasts, fails or forks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use numpy::PyArray1;
use pyo3::prelude::*;
use sortes_core::rng::{Purpose, Stream};

use crate::boundary::{self, Size};
use crate::locked::Locked;

/// Sums the integers below `n`, one task each.
#[pyfunction]
#[pyo3(signature = (n, num_threads=None))]
fn parallel_sum(py: Python<'_>, n: usize, num_threads: Option<&Bound<'_, PyAny>>) -> PyResult<u64> {
    boundary::run(py, Size::new(n, 1.0), num_threads, None, |run| {
        let sum = AtomicU64::new(0);
        run.for_each(n, |task| {
            sum.fetch_add(task as u64, Ordering::Relaxed);
        })?;
        Ok(sum.into_inner())
    })
}

/// Spins for some milliseconds, polling at each; returns how many it spun.
///
/// With `keep`, an interrupted call returns what it has done.
#[pyfunction]
#[pyo3(signature = (milliseconds, progress=None, *, keep=false))]
fn spin(
    py: Python<'_>,
    milliseconds: u64,
    progress: Option<&Bound<'_, PyAny>>,
    keep: bool,
) -> PyResult<u64> {
    let (spun, interrupt) = boundary::interruptible_partial(py, progress, |cancel| {
        cancel.expect(milliseconds);
        for spun in 0..milliseconds {
            if keep && cancel.is_cancelled() {
                return Ok(spun);
            }
            cancel.check()?;
            spin_once();
            cancel.advance(1);
        }
        Ok(milliseconds)
    })?;
    match interrupt {
        Some(interrupt) if !keep => Err(interrupt),
        _ => Ok(spun),
    }
}

/// Spins one millisecond.
fn spin_once() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1) {
        std::hint::spin_loop();
    }
}

/// A locked count; its calls last as many milliseconds as they are told.
#[pyclass(frozen, module = "sortes._core._testing")]
struct Busy(Locked<u64>);

impl Busy {
    /// Milliseconds, in nanoseconds.
    const MILLISECOND: f64 = 1e6;
}

#[pymethods]
impl Busy {
    #[new]
    fn new() -> Self {
        Self(Locked::new(0))
    }

    /// Reads the count, slowly.
    #[pyo3(signature = (milliseconds, progress=None))]
    fn read(
        &self,
        py: Python<'_>,
        milliseconds: usize,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let size = Size::new(milliseconds, Self::MILLISECOND);
        self.0.read(py, size, None, progress, |count, run| {
            for _ in 0..milliseconds {
                run.check()?;
                spin_once();
                run.advance(1);
            }
            Ok(*count)
        })
    }

    /// Counts the milliseconds; nothing is counted if it is interrupted.
    #[pyo3(signature = (milliseconds, progress=None))]
    fn write(
        &self,
        py: Python<'_>,
        milliseconds: usize,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let size = Size::new(milliseconds, Self::MILLISECOND);
        self.0.write(py, size, None, progress, |count, run| {
            let before = *count;
            for _ in 0..milliseconds {
                if let Err(stopped) = run.check() {
                    *count = before;
                    return Err(stopped);
                }
                spin_once();
                *count += 1;
                run.advance(1);
            }
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
        boundary::interruptible(py, None, |_| panic!("a long call panicked"))
    } else {
        boundary::detached(py, || panic!("a short call panicked"))
    }
}

/// The first `n` draws of one distribution, by name.
#[pyfunction]
fn draws<'py>(
    py: Python<'py>,
    distribution: &str,
    key: u64,
    n: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let mut draws = Stream::new(key).draws(Purpose::Uniform, 0);
    let mut read: Box<dyn FnMut() -> f64 + Send> = match distribution {
        "uniform" => Box::new(move || draws.uniform()),
        "open_uniform" => Box::new(move || draws.open_uniform()),
        "precise_uniform" => Box::new(move || draws.precise_uniform()),
        "exponential" => Box::new(move || draws.exponential()),
        "normal" => Box::new(move || draws.normal()),
        "below_1000" => Box::new(move || draws.below(1000) as f64),
        _ => return Err(pyo3::exceptions::PyKeyError::new_err(distribution.to_string())),
    };
    let values = boundary::detached(py, || Ok((0..n).map(|_| read()).collect()))?;
    Ok(PyArray1::from_vec(py, values))
}

/// What the boundary makes of an array: its kind, rows, columns, and the sum of each row.
#[pyfunction]
#[pyo3(signature = (x, *, bf16=false))]
fn row_sums(x: &Bound<'_, PyAny>, bf16: bool) -> PyResult<(&'static str, usize, usize, Vec<f64>)> {
    use crate::arrays::{Logits, RowsView};

    fn sums<T: Copy>(
        kind: &'static str,
        x: &RowsView<T>,
        widen: impl Fn(T) -> f64,
    ) -> (&'static str, usize, usize, Vec<f64>) {
        let sum = |i| x.row(i).iter().map(|&v| widen(v)).sum();
        (kind, x.rows(), x.cols(), (0..x.rows()).map(sum).collect())
    }
    Ok(match Logits::extract(x, bf16, "x")? {
        Logits::F32(x) => sums("float32", &x, f64::from),
        Logits::F64(x) => sums("float64", &x, |v| v),
        Logits::F16(x) => sums("float16", &x, f64::from),
        Logits::Bf16(x) => sums("bfloat16", &x, f64::from),
    })
}

/// Hidden module: nothing in it is part of the interface.
#[pymodule(submodule)]
pub(crate) mod _testing {
    #[pymodule_export]
    use super::{Busy, draws, panic, parallel_sum, row_sums, spin};
}
