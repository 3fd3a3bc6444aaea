//! `_core.pool.coverage`: a beta law of difficulty, fitted and extrapolated.

use sortes::pool::coverage as kernels;

use crate::prelude::*;

/// Nanoseconds of a problem, and of a prediction.
const PROBLEM: f64 = 100.0;
const PREDICTION: f64 = 500.0;

impl Named for kernels::Optimum {
    const NAMES: &[(&str, Self)] = &[
        ("inside", Self::Inside),
        ("failed", Self::Failed),
        ("solved", Self::Solved),
        ("all or nothing", Self::AllOrNothing),
        ("equal", Self::Equal),
    ];
}

/// Alpha, beta, the mean, the log-likelihood, the covariance of the logarithms, and where it is.
type Fit = (f64, f64, f64, f64, [f64; 3], &'static str);

/// The law of largest likelihood.
#[pyfunction]
fn fit(n: Vector<'_, i64>, c: Vector<'_, i64>, job: Job<'_>) -> PyResult<Fit> {
    let fit = job.run(Size::new(n.len(), PROBLEM), |run| kernels::fit(&n, &c, run))?;
    let kernels::Fit { alpha, beta, mean, log_likelihood, covariance, optimum } = fit;
    Ok((alpha, beta, mean, log_likelihood, covariance, optimum.name()))
}

/// pass@k of a law, and its standard error.
#[pyfunction]
fn predict(
    alpha: f64,
    beta: f64,
    covariance: [f64; 3],
    k: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<(Array<f64>, Array<f64>)> {
    let found = job.run(Size::new(k.len(), PREDICTION), |run| {
        kernels::predictions(alpha, beta, covariance, &k, run)
    })?;
    Ok((column(&found, |x| x[0])?, column(&found, |x| x[1])?))
}

/// A beta law of difficulty, fitted and extrapolated.
#[pymodule(submodule)]
pub(crate) mod coverage {
    #[pymodule_export]
    use super::{fit, predict};
}
