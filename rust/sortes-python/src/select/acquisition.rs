//! `_core.select.acquisition`: batches by scores, for active learning.

use sortes::select::acquisition::{self as kernels, Strategy};
use sortes_core::races::Noise;

use super::weighted::indices;
use crate::prelude::*;

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
fn acquire(
    scores: Vector<'_, f64>,
    k: usize,
    strategy: Choice<Strategy>,
    beta: f64,
    noise: Source<'_>,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let noise = noise.noise();
    job.array(size(&scores, strategy.0), |run| {
        indices(&kernels::acquire(&scores, k, strategy.0, beta, noise, run)?, run)
    })
}

/// The probability of each item of being drawn first.
#[pyfunction]
fn acquisition_probs(
    scores: Vector<'_, f64>,
    strategy: Choice<Strategy>,
    beta: f64,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let size = size(&scores, strategy.0);
    job.array(size, |run| kernels::probabilities(&scores, strategy.0, beta, run))
}

/// Batches by scores, for active learning.
#[pymodule(submodule)]
pub(crate) mod acquisition {
    #[pymodule_export]
    use super::{acquire, acquisition_probs};
}
