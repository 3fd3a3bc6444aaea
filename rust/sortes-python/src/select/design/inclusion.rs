//! `_core.select.design.inclusion`: probabilities in proportion to weights, and the simplest designs.

use numpy::IntoPyArray;
use pyo3::prelude::*;
use sortes::select::design as kernels;
use sortes_core::order::sort;

use super::{Reals, Units};
use crate::args::Vector;
use crate::boundary::{Size, run};
use crate::stream::Stream;

/// Nanoseconds of a unit.
const WEIGHT: f64 = 15.0;
const DRAW: f64 = 4.0;
const TOOTH: f64 = 15.0;

/// Probabilities in proportion to weights, and their threshold.
#[pyfunction]
#[pyo3(signature = (weights, k, /, *, num_threads=None, progress=None))]
fn inclusion_probabilities<'py>(
    py: Python<'py>,
    weights: Vector<'py, f64>,
    k: f64,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Reals<'py>, f64)> {
    let (weights, size) = (&*weights, Size::new(weights.len(), WEIGHT));
    let design = run(py, size, num_threads, progress, |run| {
        kernels::inclusion_probabilities(weights, k, run)
    })?;
    Ok((design.pi.into_pyarray(py), design.tau))
}

/// A Poisson sample.
#[pyfunction]
#[pyo3(signature = (pi, stream, /, *, num_threads=None, progress=None))]
fn poisson<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, size) = (&*pi, Size::new(pi.len(), DRAW));
    let chosen = run(py, size, num_threads, progress, |run| kernels::poisson(pi, stream.0, run))?;
    Ok(chosen.into_pyarray(py))
}

/// The start of a systematic sample.
#[pyfunction]
#[pyo3(signature = (stream, /))]
fn start(stream: &Stream) -> f64 {
    kernels::start(stream.0)
}

/// A systematic sample from a start, in ascending order.
#[pyfunction]
#[pyo3(signature = (pi, u, order, /, *, num_threads=None, progress=None))]
fn systematic<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    u: f64,
    order: Option<Vector<'py, i64>>,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, order) = (&*pi, order.as_deref());
    let chosen = run(py, Size::new(pi.len(), TOOTH), num_threads, progress, |run| {
        let mut chosen = kernels::systematic(pi, u, order, run)?;
        if order.is_some() {
            sort(&mut chosen, i64::cmp, run)?;
        }
        Ok(chosen)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// Probabilities in proportion to weights; Poisson and systematic samples.
#[pymodule(submodule)]
pub(crate) mod inclusion {
    #[pymodule_export]
    use super::{inclusion_probabilities, poisson, start, systematic};
}
