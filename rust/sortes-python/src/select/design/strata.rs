//! `_core.select.design.strata`: allocation of a sample to strata, and its draw.

use sortes::select::design as kernels;

use crate::prelude::*;

/// Nanoseconds of a stratum that is given its share, and of a unit.
const SHARE: f64 = 100.0;
const DRAW: f64 = 15.0;

/// Counts in proportion to shares.
#[pyfunction]
fn allocate(
    shares: Vector<'_, f64>,
    m: u64,
    caps: Option<Vector<'_, i64>>,
    min_per_stratum: u64,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    job.array(Size::new(shares.len(), SHARE).serial(), |run| {
        kernels::allocate(&shares, m, caps.as_deref(), min_per_stratum, run)
    })
}

/// Counts in proportion to sizes and standard deviations.
#[pyfunction]
fn neyman_allocation(
    sizes: Vector<'_, i64>,
    sds: Vector<'_, f64>,
    m: u64,
    min_per_stratum: u64,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    job.array(Size::new(sizes.len(), SHARE).serial(), |run| {
        kernels::neyman_allocation(&sizes, &sds, m, min_per_stratum, run)
    })
}

/// A simple random sample of each stratum.
#[pyfunction]
fn stratified(
    strata: Vector<'_, i64>,
    allocation: Vector<'_, i64>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let size = Size::new(strata.len(), DRAW);
    job.array(size, |run| kernels::stratified(&strata, &allocation, stream.0, run))
}

/// Allocation of a sample to strata, and its draw.
#[pymodule(submodule)]
pub(crate) mod strata {
    #[pymodule_export]
    use super::{allocate, neyman_allocation, stratified};
}
