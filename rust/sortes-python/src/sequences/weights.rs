//! `_core.sequences.weights`: weights of distinct samples.

use sortes::sequences::weights as kernels;

use crate::prelude::*;

/// Nanoseconds of a weight from a threshold.
const THRESHOLD: f64 = 100.0;
/// Of a weight from the orders of a set, or from an integral.
const SET: f64 = 60e3;

/// `p / q` of each sample, row by row.
#[pyfunction]
fn threshold_weights(
    logprobs: Matrix<'_, f64>,
    kappa: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let size = Size::new(logprobs.rows(), logprobs.cols() as f64 * THRESHOLD);
    job.array(size, |run| kernels::threshold_weights((&logprobs, logprobs.rows()), &kappa, run))
}

/// `p R(S, s)` of each sample, row by row.
#[pyfunction]
fn unordered_set_weights(logprobs: Matrix<'_, f64>, job: Job<'_>) -> PyResult<Array<f64>> {
    let size = Size::new(logprobs.rows(), logprobs.cols() as f64 * SET);
    job.array(size, |run| kernels::unordered_set_weights((&logprobs, logprobs.rows()), run))
}

/// Weights of distinct samples.
#[pymodule(submodule)]
pub(crate) mod weights {
    #[pymodule_export]
    use super::{threshold_weights, unordered_set_weights};
}
