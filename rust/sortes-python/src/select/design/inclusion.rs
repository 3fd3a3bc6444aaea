//! `_core.select.design.inclusion`: probabilities in proportion to weights, and the simplest designs.

use sortes::select::design as kernels;
use sortes_core::order::sort;

use crate::prelude::*;

/// Nanoseconds of a unit.
const WEIGHT: f64 = 15.0;
const DRAW: f64 = 4.0;
const TOOTH: f64 = 15.0;

/// Probabilities in proportion to weights, and their threshold.
#[pyfunction]
fn inclusion_probabilities(
    weights: Vector<'_, f64>,
    k: f64,
    job: Job<'_>,
) -> PyResult<(Array<f64>, f64)> {
    let size = Size::new(weights.len(), WEIGHT);
    let design = job.run(size, |run| kernels::inclusion_probabilities(&weights, k, run))?;
    Ok((Array(design.pi), design.tau))
}

/// A Poisson sample.
#[pyfunction]
fn poisson(pi: Vector<'_, f64>, stream: &Stream, job: Job<'_>) -> PyResult<Array<i64>> {
    job.array(Size::new(pi.len(), DRAW), |run| kernels::poisson(&pi, stream.0, run))
}

/// The start of a systematic sample.
#[pyfunction]
fn start(stream: &Stream) -> f64 {
    kernels::start(stream.0)
}

/// A systematic sample from a start, in ascending order.
#[pyfunction]
fn systematic(
    pi: Vector<'_, f64>,
    u: f64,
    order: Option<Vector<'_, i64>>,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    job.array(Size::new(pi.len(), TOOTH), |run| {
        let mut chosen = kernels::systematic(&pi, u, order.as_deref(), run)?;
        if order.is_some() {
            sort(&mut chosen, i64::cmp, run)?;
        }
        Ok(chosen)
    })
}

/// Probabilities in proportion to weights; Poisson and systematic samples.
#[pymodule(submodule)]
pub(crate) mod inclusion {
    #[pymodule_export]
    use super::{inclusion_probabilities, poisson, start, systematic};
}
