//! `_core.select.acquisition`: batches by scores, for active learning.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sortes::select::acquisition::{self as kernels, Noise, Strategy};

use super::weighted::indices;
use crate::args::{Choice, Named, Vector};
use crate::boundary::{Size, run};
use crate::stream::Stream;

impl Named for Strategy {
    const NAMES: &[(&str, Self)] =
        &[("power", Self::Power), ("softmax", Self::Softmax), ("softrank", Self::Softrank)];
}

/// Where the Gumbel noise of a draw comes from.
#[derive(FromPyObject)]
enum Source<'py> {
    Stream(Bound<'py, Stream>),
    Given(Vector<'py, f64>),
}

impl Source<'_> {
    fn noise(&self) -> Noise<'_> {
        match self {
            Self::Stream(stream) => Noise::Stream(stream.get().0),
            Self::Given(noise) => Noise::Given(noise),
        }
    }
}

/// A score: its logarithm, or its rank after a sort.
fn size(scores: &[f64], strategy: Strategy) -> Size {
    Size::new(scores.len(), if strategy == Strategy::Softrank { 200.0 } else { 60.0 })
}

/// A batch of distinct items, drawn by scores: with the noise of a stream, or with noise that is given.
#[pyfunction]
#[pyo3(signature = (scores, k, strategy, beta, noise, /, *, num_threads=None, progress=None))]
#[allow(clippy::too_many_arguments)]
fn acquire<'py>(
    py: Python<'py>,
    scores: Vector<'py, f64>,
    k: usize,
    strategy: Choice<Strategy>,
    beta: f64,
    noise: Source<'py>,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (scores, noise) = (&*scores, noise.noise());
    let batch = run(py, size(scores, strategy.0), num_threads, progress, |run| {
        indices(&kernels::acquire(scores, k, strategy.0, beta, noise, run)?, run)
    })?;
    Ok(batch.into_pyarray(py))
}

/// The probability of each item of being drawn first.
#[pyfunction]
#[pyo3(signature = (scores, strategy, beta, /, *, num_threads=None, progress=None))]
fn acquisition_probs<'py>(
    py: Python<'py>,
    scores: Vector<'py, f64>,
    strategy: Choice<Strategy>,
    beta: f64,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let scores = &*scores;
    let p = run(py, size(scores, strategy.0), num_threads, progress, |run| {
        kernels::probabilities(scores, strategy.0, beta, run)
    })?;
    Ok(p.into_pyarray(py))
}

/// Batches by scores, for active learning.
#[pymodule(submodule)]
pub(crate) mod acquisition {
    #[pymodule_export]
    use super::{acquire, acquisition_probs};
}
