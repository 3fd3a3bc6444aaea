//! `_core.diffusion.mixture`: mixtures of normals on the line, exactly.

use sortes::diffusion::mixture::{self as kernels, Mixture};
use sortes_core::memory::zeroed;

use crate::prelude::*;

/// Nanoseconds of a normal at a point, and how often an equation asks for them.
const NORMAL: f64 = 40.0;
const TURNS: f64 = 12.0;

/// The mass below each point.
#[pyfunction]
fn cdf(
    x: Vector<'_, f64>,
    weights: Vector<'_, f64>,
    means: Vector<'_, f64>,
    scales: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let mixture = Mixture { weights: &weights, means: &means, scales: &scales };
    job.array(Size::new(x.len(), NORMAL * weights.len() as f64), |run| {
        let mut out = zeroed(x.len(), "masses")?;
        kernels::cdf(&x, mixture, &mut out, run)?;
        Ok(out)
    })
}

/// The point below which there is each mass.
#[pyfunction]
fn quantile(
    p: Vector<'_, f64>,
    weights: Vector<'_, f64>,
    means: Vector<'_, f64>,
    scales: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let mixture = Mixture { weights: &weights, means: &means, scales: &scales };
    job.array(Size::new(p.len(), TURNS * NORMAL * weights.len() as f64), |run| {
        let mut out = zeroed(p.len(), "points")?;
        kernels::quantile(&p, mixture, &mut out, run)?;
        Ok(out)
    })
}

/// Where the monotone map between two mixtures of the same weights takes each point.
#[pyfunction]
fn transport(
    x: Vector<'_, f64>,
    weights: Vector<'_, f64>,
    means: Vector<'_, f64>,
    scales: Vector<'_, f64>,
    to_means: Vector<'_, f64>,
    to_scales: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let from = Mixture { weights: &weights, means: &means, scales: &scales };
    let to = Mixture { weights: &weights, means: &to_means, scales: &to_scales };
    job.array(Size::new(x.len(), TURNS * NORMAL * weights.len() as f64), |run| {
        let mut out = zeroed(x.len(), "points")?;
        kernels::transport(&x, from, to, &mut out, run)?;
        Ok(out)
    })
}

/// The distance of sorted points from a mixture.
#[pyfunction]
fn wasserstein_1(
    sorted: Vector<'_, f64>,
    weights: Vector<'_, f64>,
    means: Vector<'_, f64>,
    scales: Vector<'_, f64>,
    job: Job<'_>,
) -> PyResult<f64> {
    let mixture = Mixture { weights: &weights, means: &means, scales: &scales };
    let size = Size::new(sorted.len(), 3.0 * NORMAL * weights.len() as f64);
    job.run(size, |run| kernels::wasserstein_1(&sorted, mixture, run))
}

/// Mixtures of normals on the line.
#[pymodule(submodule)]
pub(crate) mod mixture {
    #[pymodule_export]
    use super::{cdf, quantile, transport, wasserstein_1};
}
