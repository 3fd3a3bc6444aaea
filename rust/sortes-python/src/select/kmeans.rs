//! `_core.select.kmeans`: the k-means++ family.

use numpy::{
    IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use sortes::select::kmeans::{self as kernels, Csr, Dense, Fallback, Method, Points};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::Stream;
use sortes_core::{Error, Result};

use crate::boundary::{detached, interruptible, to_py};
use crate::pool;

/// Single precision is left where squares would leave its range, or lose what they say.
const SINGLE: std::ops::Range<f64> = 1e-12..1e16;
/// Numbers that are looked at in some milliseconds: a call that short needs no thread of its own.
const SHORT: f64 = 1e7;

/// Data as Python hands it over.
#[derive(FromPyObject)]
enum Matrix<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
    /// Row starts, columns, values, and how many columns there are.
    Sparse(Starts<'py>, Columns<'py>, Values<'py>, usize),
}

#[derive(FromPyObject)]
enum Starts<'py> {
    Short(PyReadonlyArray1<'py, i32>),
    Long(PyReadonlyArray1<'py, i64>),
}

#[derive(FromPyObject)]
enum Columns<'py> {
    Short(PyReadonlyArray1<'py, i32>),
    Long(PyReadonlyArray1<'py, i64>),
}

#[derive(FromPyObject)]
enum Values<'py> {
    Single(PyReadonlyArray1<'py, f32>),
    Double(PyReadonlyArray1<'py, f64>),
}

/// What is done with points of any kind.
trait Job: Send {
    type Out: Send;
    /// How many distances may have to be computed between `n` points, about and at most.
    fn distances(&self, n: usize) -> f64;
    fn run(self, points: &impl Points, threads: Threads<'_>, cancel: &Cancel) -> Result<Self::Out>;
}

fn contiguous<'a, T: numpy::Element, D: numpy::ndarray::Dimension>(
    array: &'a numpy::PyReadonlyArray<'_, T, D>,
) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| to_py(Error::argument("X", "must be contiguous")))
}

/// Runs a job on the points that a matrix holds.
fn run<J: Job>(
    py: Python<'_>,
    x: &Bound<'_, PyAny>,
    job: J,
    progress: Option<&Bound<'_, PyAny>>,
    num_threads: Option<i64>,
) -> PyResult<J::Out> {
    let threads = pool::threads_old(num_threads)?;
    let Ok(matrix) = x.extract::<Matrix<'_>>() else {
        let got = match x.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} dimensions of {}", array.ndim(), array.dtype()),
            Err(_) => x.get_type().name()?.to_string(),
        };
        let reason = format!("X: must be a matrix of float32 or float64, or sparse, got {got}");
        return Err(PyTypeError::new_err(reason));
    };
    match &matrix {
        Matrix::Single(array) => {
            let points = Dense::new(contiguous(array)?, array.shape()[1]);
            let long = lengthy(&job, array.shape()[0], array.len());
            work(py, long, progress, |cancel| match points.scale()? {
                scale if scale == 0.0 || SINGLE.contains(&scale) => {
                    job.run(&points, threads, cancel)
                }
                _ => job.run(&points.widened(), threads, cancel),
            })
        }
        Matrix::Double(array) => {
            let points = Dense::new(contiguous(array)?, array.shape()[1]);
            let long = lengthy(&job, array.shape()[0], array.len());
            work(py, long, progress, |cancel| {
                points.scale()?;
                job.run(&points, threads, cancel)
            })
        }
        Matrix::Sparse(starts, columns, values, dim) => {
            macro_rules! sparse {
                ($starts:expr, $columns:expr, $values:expr) => {{
                    let (starts, columns) = (contiguous($starts)?, contiguous($columns)?);
                    let values = contiguous($values)?;
                    let long = lengthy(&job, starts.len().saturating_sub(1), values.len());
                    work(py, long, progress, |cancel| {
                        job.run(&Csr::new(starts, columns, values, *dim)?, threads, cancel)
                    })
                }};
            }
            macro_rules! with_starts {
                ($starts:expr) => {
                    match (columns, values) {
                        (Columns::Short(c), Values::Single(v)) => sparse!($starts, c, v),
                        (Columns::Short(c), Values::Double(v)) => sparse!($starts, c, v),
                        (Columns::Long(c), Values::Single(v)) => sparse!($starts, c, v),
                        (Columns::Long(c), Values::Double(v)) => sparse!($starts, c, v),
                    }
                };
            }
            match starts {
                Starts::Short(starts) => with_starts!(starts),
                Starts::Long(starts) => with_starts!(starts),
            }
        }
    }
}

/// Whether a job on `n` points, which are so many numbers, may take more than some milliseconds.
fn lengthy(job: &impl Job, n: usize, numbers: usize) -> bool {
    let width = numbers.div_ceil(n.max(1)).max(1);
    numbers as f64 + job.distances(n) * width as f64 > SHORT
}

/// Opens the door that fits the length of the work.
fn work<T: Send>(
    py: Python<'_>,
    long: bool,
    progress: Option<&Bound<'_, PyAny>>,
    f: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    if !long && progress.is_none() {
        return detached(py, || f(&Cancel::default()));
    }
    interruptible(py, progress, f)
}

struct Seed {
    weights: Option<Vec<f64>>,
    k: usize,
    method: Method,
    key: u64,
}

impl Job for Seed {
    type Out = kernels::Seeding;

    fn distances(&self, n: usize) -> f64 {
        self.method.distances(n, self.k)
    }

    fn run(self, points: &impl Points, threads: Threads<'_>, cancel: &Cancel) -> Result<Self::Out> {
        let stream = Stream::new(self.key);
        kernels::seed(points, self.weights.as_deref(), self.k, self.method, stream, threads, cancel)
    }
}

struct Assign(Vec<usize>);

impl Job for Assign {
    type Out = kernels::Assignment;

    fn distances(&self, n: usize) -> f64 {
        n as f64 * self.0.len() as f64
    }

    fn run(self, points: &impl Points, threads: Threads<'_>, cancel: &Cancel) -> Result<Self::Out> {
        kernels::assign(points, &self.0, threads, cancel)
    }
}

/// Indices of the centres; trials, distances computed, refreshes, and centres that were filled in.
type Seeded<'py> = (Bound<'py, PyArray1<i64>>, u64, u64, u64, usize);

/// Draws centres. Arguments have been checked, but for the data.
#[pyfunction]
#[pyo3(signature = (x, weights, k, method, key, /, *, local_trials, max_trials, uniform_fallback,
                    chain_length, oversampling, rounds, progress=None, num_threads=None))]
#[allow(clippy::too_many_arguments)]
fn seed<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    k: usize,
    method: &str,
    key: u64,
    local_trials: usize,
    max_trials: Option<u64>,
    uniform_fallback: bool,
    chain_length: usize,
    oversampling: f64,
    rounds: usize,
    progress: Option<&Bound<'py, PyAny>>,
    num_threads: Option<i64>,
) -> PyResult<Seeded<'py>> {
    let fallback = if uniform_fallback { Fallback::Uniform } else { Fallback::Exact };
    let method = match method {
        "lazy" => Method::Lazy,
        "exact" => Method::Plain { local_trials },
        "rejection" => Method::Rejection { max_trials, fallback },
        "afkmc2" => Method::Chain { length: chain_length },
        "parallel" => Method::Parallel { oversampling, rounds },
        "random" => Method::Random,
        other => return Err(to_py(Error::argument("method", format!("unknown: {other:?}")))),
    };
    let weights = weights.map(|weights| weights.as_array().to_vec());
    let job = Seed { weights, k, method, key };
    let done = run(py, x, job, progress, num_threads)?;
    let indices: Vec<i64> = done.indices.iter().map(|&row| row as i64).collect();
    let counts = (done.trials, done.evaluations, done.refreshes, done.degenerate);
    Ok((indices.into_pyarray(py), counts.0, counts.1, counts.2, counts.3))
}

/// The squared distance of each point to the nearest of the given rows, and its position.
#[pyfunction]
#[pyo3(signature = (x, centres, /, *, num_threads=None))]
#[allow(clippy::type_complexity)]
fn assign<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    centres: PyReadonlyArray1<'py, i64>,
    num_threads: Option<i64>,
) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u32>>)> {
    let centres = centres.as_array().iter().map(|&row| row as usize).collect();
    let done = run(py, x, Assign(centres), None, num_threads)?;
    Ok((done.distances.into_pyarray(py), done.labels.into_pyarray(py)))
}

#[pymodule(submodule)]
pub(crate) mod kmeans {
    #[pymodule_export]
    use super::{assign, seed};
}
