//! `_core.mcmc.diagnostics`: effective sample sizes and R-hat.

use sortes::mcmc::diagnostics as kernels;

use crate::prelude::*;

/// Nanoseconds of a number: sorts and transforms.
const NUMBER: f64 = 600.0;

impl Named for kernels::Kind {
    const NAMES: &[(&str, Self)] =
        &[("bulk", Self::Bulk), ("tail", Self::Tail), ("mean", Self::Mean)];
}

fn draws_of<'a>(draws: &'a Matrix<'_, f64>, chains: usize) -> kernels::Draws<'a> {
    kernels::Draws { values: draws, chains, width: draws.cols() }
}

fn size_of(draws: &Matrix<'_, f64>) -> Size {
    Size::new(draws.cols(), NUMBER * draws.rows() as f64)
}

/// The effective sample size of each column, of rows that belong to chains in order.
#[pyfunction]
fn ess(
    draws: Matrix<'_, f64>,
    chains: usize,
    method: Choice<kernels::Kind>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    job.array(size_of(&draws), |run| kernels::ess(draws_of(&draws, chains), method.0, run))
}

/// The rank-normalised split R-hat of each column, of rows that belong to chains in order.
#[pyfunction]
fn rhat(draws: Matrix<'_, f64>, chains: usize, job: Job<'_>) -> PyResult<Array<f64>> {
    job.array(size_of(&draws), |run| kernels::rhat(draws_of(&draws, chains), run))
}

/// Effective sample sizes and R-hat.
#[pymodule(submodule)]
pub(crate) mod diagnostics {
    #[pymodule_export]
    use super::{ess, rhat};
}
