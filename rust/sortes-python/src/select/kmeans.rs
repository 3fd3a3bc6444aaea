//! `_core.select.kmeans`: the k-means++ family.

use pyo3::exceptions::PyValueError;
use pyo3::types::PyTuple;
use sortes::select::kmeans::{Assignment, Fallback, Method, Request, Seeding};
use sortes_core::csr::Csr;

use crate::prelude::*;

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
        match $indices {
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
                (with_indices!(starts, |starts| starts.len().saturating_sub(1)), values.len())
            }
        }
    }

    fn answer(
        &self,
        request: &Request<'_>,
        job: &Job<'_>,
    ) -> PyResult<(Seeding, Option<Assignment>)> {
        let (n, numbers) = self.counts();
        // A nanosecond for each number that is looked at.
        let centres = request.n_clusters;
        let size = Size::new(centres, request.cost(n, numbers) / centres.max(1) as f64);
        match self {
            Self::Single(x) => job.run(size, |run| request.dense(x, x.cols(), run)),
            Self::Double(x) => job.run(size, |run| request.dense(x, x.cols(), run)),
            Self::Sparse(starts, columns, values, width) => {
                with_indices!(starts, |starts| with_indices!(columns, |columns| {
                    with_floats!(values, |values| job.run(size, |run| {
                        let rows = Csr::new(starts, columns, values, *width, "X", run)?;
                        request.sparse(rows, run)
                    }))
                }))
            }
        }
    }
}

/// Indices of the centres; trials, distances computed, refreshes, and centres that were filled in;
/// the squared distance of each point to its nearest centre, and the position of that.
type Seeded = (Array<i64>, (u64, u64, u64, usize), Option<(Array<f64>, Array<u32>)>);

/// Draws centres; with `assign`, finds the nearest of each point as well.
#[pyfunction]
fn seed(
    x: Points<'_>,
    n_clusters: usize,
    method: Given,
    sample_weight: Option<Vector<'_, f64>>,
    stream: &Stream,
    assign: bool,
    job: Job<'_>,
) -> PyResult<Seeded> {
    let (method, sample_weight) = (method.0, sample_weight.as_deref());
    let request = Request { n_clusters, method, sample_weight, stream: stream.0, assign };
    let (done, nearest) = x.answer(&request, &job)?;
    let counts = (done.trials, done.evaluations, done.refreshes, done.degenerate);
    let indices = column(&done.indices, |&row| row as i64)?;
    let arrays = |n: Assignment| (Array(n.distances), Array(n.labels));
    Ok((indices, counts, nearest.map(arrays)))
}

/// The k-means++ family.
#[pymodule(submodule)]
pub(crate) mod kmeans {
    #[pymodule_export]
    use super::seed;
}
