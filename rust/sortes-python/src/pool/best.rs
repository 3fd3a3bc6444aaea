//! `_core.pool.best`: the expected reward of the best of k samples.

use sortes::pool::best as kernels;

use crate::prelude::*;

/// Nanoseconds of a sample: a share of a sort, and its part for each k.
const SAMPLE: f64 = 60.0;
const EACH: f64 = 5.0;

/// The expected reward of the best of k samples, row by row, for each k.
#[pyfunction]
fn expected(
    scores: Matrix<'_, f64>,
    rewards: Option<Matrix<'_, f64>>,
    weights: Option<Matrix<'_, f64>>,
    k: Vector<'_, i64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let pools = kernels::Pools {
        size: scores.cols(),
        scores: &scores,
        rewards: rewards.as_deref(),
        weights: weights.as_deref(),
    };
    let size = Size::new(scores.len(), SAMPLE + EACH * k.len() as f64);
    job.array(size, |run| kernels::best(pools, &k, run))
}

/// The expected reward of the best of k samples.
#[pymodule(submodule)]
pub(crate) mod best {
    #[pymodule_export]
    use super::expected;
}
