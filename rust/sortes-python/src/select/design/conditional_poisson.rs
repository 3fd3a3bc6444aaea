//! `_core.select.design.conditional_poisson`: the design of maximum entropy among those of one size.

use numpy::IntoPyArray;
use pyo3::prelude::*;
use sortes::select::design::{self as kernels, ConditionalPoisson};

use super::{Reals, Units};
use crate::args::Vector;
use crate::boundary::{Size, run};
use crate::stream::Stream;

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
#[pyo3(signature = (odds, k, stream, /, *, num_threads=None, progress=None))]
fn sample<'py>(
    py: Python<'py>,
    odds: Vector<'py, f64>,
    k: usize,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Units<'py>, Reals<'py>)> {
    let odds = &*odds;
    let (chosen, pi) = run(py, passes(odds.len()), num_threads, progress, |run| {
        let design = ConditionalPoisson::new(odds, k, run)?;
        Ok((design.sample(stream.0, run)?, design.probabilities(run)?))
    })?;
    Ok((chosen.into_pyarray(py), pi.into_pyarray(py)))
}

/// A sample of given inclusion probabilities.
#[pyfunction]
#[pyo3(signature = (pi, k, stream, /, *, num_threads=None, progress=None))]
fn fitted_sample<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    k: Option<usize>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let pi = &*pi;
    let chosen = run(py, fit(pi.len()), num_threads, progress, |run| {
        ConditionalPoisson::fit(pi, k, run)?.1.sample(stream.0, run)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// The inclusion probabilities of given odds.
#[pyfunction]
#[pyo3(signature = (odds, k, /, *, num_threads=None, progress=None))]
fn probabilities<'py>(
    py: Python<'py>,
    odds: Vector<'py, f64>,
    k: usize,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Reals<'py>> {
    let odds = &*odds;
    let pi = run(py, passes(odds.len()), num_threads, progress, |run| {
        ConditionalPoisson::new(odds, k, run)?.probabilities(run)
    })?;
    Ok(pi.into_pyarray(py))
}

/// Odds that have the given inclusion probabilities.
#[pyfunction]
#[pyo3(signature = (pi, /, *, num_threads=None, progress=None))]
fn odds<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Reals<'py>> {
    let pi = &*pi;
    let odds = run(py, fit(pi.len()), num_threads, progress, |run| {
        Ok(ConditionalPoisson::fit(pi, None, run)?.0)
    })?;
    Ok(odds.into_pyarray(py))
}

/// Logarithms of elementary symmetric polynomials of numbers given by logarithms.
#[pyfunction]
#[pyo3(signature = (logs, k, /, *, progress=None))]
fn log_elementary_symmetric<'py>(
    py: Python<'py>,
    logs: Vector<'py, f64>,
    k: usize,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Reals<'py>> {
    let (logs, size) = (&*logs, Size::new(logs.len(), 10.0 + LOG_ADD * k as f64));
    let e = run(py, size, None, progress, |run| kernels::log_elementary_symmetric(logs, k, run))?;
    Ok(e.into_pyarray(py))
}

/// Conditional Poisson samples, their probabilities and odds.
#[pymodule(submodule)]
pub(crate) mod conditional_poisson {
    #[pymodule_export]
    use super::{fitted_sample, log_elementary_symmetric, odds, probabilities, sample};
}
