//! `_core.pool.distinct`: pass@k from distinct samples of known probability.

use sortes::pool::distinct as kernels;

use crate::prelude::*;

/// An estimate of pass@k and one of its variance, row by row, for each k.
#[pyfunction]
fn estimates(
    correct: Matrix<'_, bool>,
    logprobs: Matrix<'_, f64>,
    k: Vector<'_, i64>,
    job: Job<'_>,
) -> PyResult<(Array<f64>, Array<f64>)> {
    let pools = kernels::Distinct { size: correct.cols(), correct: &correct, log_p: &logprobs };
    // Some 200 steps of an integral, each a product of polynomials of degree k and 2 k.
    let ns_each = k.iter().map(|&k| 200.0 * (30.0 + (k as f64).powi(2))).sum();
    let found =
        job.run(Size::new(correct.len(), ns_each), |run| kernels::distinct(pools, &k, run))?;
    Ok((column(&found, |x| x[0])?, column(&found, |x| x[1])?))
}

/// pass@k from distinct samples of known probability.
#[pymodule(submodule)]
pub(crate) mod distinct {
    #[pymodule_export]
    use super::estimates;
}
