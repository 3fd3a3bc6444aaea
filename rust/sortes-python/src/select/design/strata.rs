//! `_core.select.design.strata`: allocation of a sample to strata, and its draw.

use sortes::select::design as kernels;

use crate::prelude::*;

/// Nanoseconds of a stratum that is given its share, and of a unit.
const SHARE: f64 = 100.0;
const DRAW: f64 = 15.0;

/// Counts in proportion to shares.
#[pyfunction]
fn allocate<'py>(
    shares: Vector<'py, f64>,
    m: u64,
    caps: Option<Vector<'py, i64>>,
    min_per_stratum: u64,
    job: Job<'py>,
) -> PyResult<Array<'py, i64>> {
    job.array(Size::new(shares.len(), SHARE), |run| {
        kernels::allocate(&shares, m, caps.as_deref(), min_per_stratum, run)
    })
}

/// Counts in proportion to sizes and standard deviations.
#[pyfunction]
fn neyman_allocation<'py>(
    sizes: Vector<'py, i64>,
    sds: Vector<'py, f64>,
    m: u64,
    min_per_stratum: u64,
    job: Job<'py>,
) -> PyResult<Array<'py, i64>> {
    job.array(Size::new(sizes.len(), SHARE), |run| {
        kernels::neyman_allocation(&sizes, &sds, m, min_per_stratum, run)
    })
}

/// A simple random sample of each stratum.
#[pyfunction]
fn stratified<'py>(
    strata: Vector<'py, i64>,
    allocation: Vector<'py, i64>,
    stream: &Stream,
    job: Job<'py>,
) -> PyResult<Array<'py, i64>> {
    let size = Size::new(strata.len(), DRAW);
    job.array(size, |run| kernels::stratified(&strata, &allocation, stream.0, run))
}

/// Allocation of a sample to strata, and its draw.
#[pymodule(submodule)]
pub(crate) mod strata {
    #[pymodule_export]
    use super::{allocate, neyman_allocation, stratified};
}
