//! `_core.select.kmeans`: the k-means++ family.

use numpy::{IntoPyArray, PyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use sortes::select::kmeans::{Assignment, Fallback, Method, Request, Seeding};
use sortes_core::csr::Csr;
use sortes_core::memory::with_capacity;

use crate::args::{Choice, Floats, Matrix, Named, Vector, with_floats};
use crate::boundary::{Size, run, to_py};
use crate::stream::Stream;

impl Named for Fallback {
    const NAMES: &[(&str, Self)] = &[("exact", Self::Exact), ("uniform", Self::Uniform)];
}

/// A method as its name and its options.
struct Given(Method);

impl<'py> FromPyObject<'_, 'py> for Given {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let given = x.cast::<PyTuple>()?;
        let (name, option) = (given.get_item(0)?, |i| given.get_item(i));
        Ok(Self(match name.extract()? {
            "lazy" => Method::Lazy,
            "exact" => Method::Plain { local_trials: option(1)?.extract()? },
            "rejection" => Method::Rejection {
                max_trials: option(1)?.extract()?,
                fallback: option(2)?.extract::<Choice<Fallback>>()?.0,
            },
            "afkmc2" => Method::Chain { length: option(1)?.extract()? },
            "parallel" => Method::Parallel {
                oversampling: option(1)?.extract()?,
                rounds: option(2)?.extract()?,
            },
            "random" => Method::Random,
            other => return Err(PyValueError::new_err(format!("unknown method {other:?}"))),
        }))
    }
}

/// Indices of either width.
#[derive(FromPyObject)]
enum Indices<'py> {
    Short(Vector<'py, i32>),
    Long(Vector<'py, i64>),
}

/// Evaluates `$body` with `$slice` bound to the indices, whichever type they have.
macro_rules! with_indices {
    ($indices:expr, |$slice:ident| $body:expr) => {
        match &$indices {
            Indices::Short(x) => {
                let $slice: &[i32] = x;
                $body
            }
            Indices::Long(x) => {
                let $slice: &[i64] = x;
                $body
            }
        }
    };
}

/// Points as Python hands them over.
#[derive(FromPyObject)]
enum Points<'py> {
    Single(Matrix<'py, f32>),
    Double(Matrix<'py, f64>),
    /// Row starts, columns, values, and how many columns there are.
    Sparse(Indices<'py>, Indices<'py>, Floats<'py>, usize),
}

impl Points<'_> {
    /// How many points there are, and how many numbers in all.
    fn counts(&self) -> (usize, usize) {
        match self {
            Self::Single(x) => (x.rows(), x.len()),
            Self::Double(x) => (x.rows(), x.len()),
            Self::Sparse(starts, _, values, _) => {
                (with_indices!(*starts, |starts| starts.len().saturating_sub(1)), values.len())
            }
        }
    }

    fn answer(
        &self,
        py: Python<'_>,
        request: &Request<'_>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Seeding, Option<Assignment>)> {
        let (n, numbers) = self.counts();
        // A nanosecond for each number that is looked at.
        let centres = request.n_clusters;
        let size = Size::new(centres, request.cost(n, numbers) / centres.max(1) as f64);
        match self {
            Self::Single(x) => {
                let (data, dim): (&[f32], _) = (x, x.cols());
                run(py, size, num_threads, progress, |run| request.dense(data, dim, run))
            }
            Self::Double(x) => {
                let (data, dim): (&[f64], _) = (x, x.cols());
                run(py, size, num_threads, progress, |run| request.dense(data, dim, run))
            }
            Self::Sparse(starts, columns, values, width) => {
                with_indices!(*starts, |starts| with_indices!(*columns, |columns| {
                    with_floats!(*values, |values| {
                        run(py, size, num_threads, progress, |run| {
                            let rows = Csr::new(starts, columns, values, *width, "X", run)?;
                            request.sparse(rows, run)
                        })
                    })
                }))
            }
        }
    }
}

type Nearest<'py> = (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u32>>);
/// Indices of the centres; trials, distances computed, refreshes, and centres that were filled in;
/// the squared distance of each point to its nearest centre, and the position of that.
type Seeded<'py> = (Bound<'py, PyArray1<i64>>, (u64, u64, u64, usize), Option<Nearest<'py>>);

/// Draws centres; with `assign`, finds the nearest of each point as well.
#[pyfunction]
#[pyo3(signature = (x, n_clusters, method, sample_weight, stream, /, *, assign, num_threads=None,
                    progress=None))]
#[allow(clippy::too_many_arguments)]
fn seed<'py>(
    py: Python<'py>,
    x: Points<'py>,
    n_clusters: usize,
    method: Given,
    sample_weight: Option<Vector<'py, f64>>,
    stream: &Stream,
    assign: bool,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Seeded<'py>> {
    let (method, sample_weight) = (method.0, sample_weight.as_deref());
    let request = Request { n_clusters, method, sample_weight, stream: stream.0, assign };
    let (done, nearest) = x.answer(py, &request, num_threads, progress)?;
    let mut indices = with_capacity(done.indices.len(), "centres").map_err(to_py)?;
    indices.extend(done.indices.iter().map(|&row| row as i64));
    let counts = (done.trials, done.evaluations, done.refreshes, done.degenerate);
    let nearest = nearest.map(|n| (n.distances.into_pyarray(py), n.labels.into_pyarray(py)));
    Ok((indices.into_pyarray(py), counts, nearest))
}

/// The k-means++ family.
#[pymodule(submodule)]
pub(crate) mod kmeans {
    #[pymodule_export]
    use super::seed;
}
