//! `_core.select.design.conditional_poisson`: the design of maximum entropy among those of one size.

use sortes::select::design::{self as kernels, ConditionalPoisson};

use crate::prelude::*;

/// A pass over the sizes around the mean, for each of `n` units.
fn passes(n: usize) -> Size {
    Size::new(n, 1000.0 + 10.0 * (n as f64).sqrt())
}

/// Some dozen such passes.
fn fit(n: usize) -> Size {
    Size::new(n, 10_000.0 + 100.0 * (n as f64).sqrt())
}

/// Nanoseconds of adding two numbers in log space.
const LOG_ADD: f64 = 30.0;

/// A sample of given odds, and the inclusion probabilities.
#[pyfunction]
fn sample(
    odds: Vector<'_, f64>,
    k: usize,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<(Array<i64>, Array<f64>)> {
    let (chosen, pi) = job.run(passes(odds.len()), |run| {
        let design = ConditionalPoisson::new(&odds, k, run)?;
        Ok((design.sample(stream.0, run)?, design.probabilities(run)?))
    })?;
    Ok((Array(chosen), Array(pi)))
}

/// A sample of given inclusion probabilities.
#[pyfunction]
fn fitted_sample(
    pi: Vector<'_, f64>,
    k: Option<usize>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    job.array(fit(pi.len()), |run| ConditionalPoisson::fit(&pi, k, run)?.1.sample(stream.0, run))
}

/// The inclusion probabilities of given odds.
#[pyfunction]
fn probabilities(odds: Vector<'_, f64>, k: usize, job: Job<'_>) -> PyResult<Array<f64>> {
    job.array(passes(odds.len()), |run| ConditionalPoisson::new(&odds, k, run)?.probabilities(run))
}

/// Odds that have the given inclusion probabilities.
#[pyfunction]
fn odds(pi: Vector<'_, f64>, job: Job<'_>) -> PyResult<Array<f64>> {
    job.array(fit(pi.len()), |run| Ok(ConditionalPoisson::fit(&pi, None, run)?.0))
}

/// Logarithms of elementary symmetric polynomials of numbers given by logarithms.
#[pyfunction]
fn log_elementary_symmetric(logs: Vector<'_, f64>, k: usize, job: Job<'_>) -> PyResult<Array<f64>> {
    let size = Size::new(logs.len(), 10.0 + LOG_ADD * k as f64).serial();
    job.array(size, |run| kernels::log_elementary_symmetric(&logs, k, run))
}

/// Conditional Poisson samples, their probabilities and odds.
#[pymodule(submodule)]
pub(crate) mod conditional_poisson {
    #[pymodule_export]
    use super::{fitted_sample, log_elementary_symmetric, odds, probabilities, sample};
}
