//! `_core.select.design.strata`: allocation of a sample to strata, and its draw.

use numpy::IntoPyArray;
use pyo3::prelude::*;
use sortes::select::design as kernels;

use super::Units;
use crate::args::Vector;
use crate::boundary::{Size, run};
use crate::stream::Stream;

/// Nanoseconds of a stratum that is given its share, and of a unit.
const SHARE: f64 = 100.0;
const DRAW: f64 = 15.0;

/// Counts in proportion to shares.
#[pyfunction]
#[pyo3(signature = (shares, m, caps, min_per_stratum, /, *, progress=None))]
fn allocate<'py>(
    py: Python<'py>,
    shares: Vector<'py, f64>,
    m: u64,
    caps: Option<Vector<'py, i64>>,
    min_per_stratum: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (shares, caps) = (&*shares, caps.as_deref());
    let size = Size::new(shares.len(), SHARE);
    let counts = run(py, size, None, progress, |run| {
        kernels::allocate(shares, m, caps, min_per_stratum, run)
    })?;
    Ok(counts.into_pyarray(py))
}

/// Counts in proportion to sizes and standard deviations.
#[pyfunction]
#[pyo3(signature = (sizes, sds, m, min_per_stratum, /, *, progress=None))]
fn neyman_allocation<'py>(
    py: Python<'py>,
    sizes: Vector<'py, i64>,
    sds: Vector<'py, f64>,
    m: u64,
    min_per_stratum: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (sizes, sds) = (&*sizes, &*sds);
    let size = Size::new(sizes.len(), SHARE);
    let counts = run(py, size, None, progress, |run| {
        kernels::neyman_allocation(sizes, sds, m, min_per_stratum, run)
    })?;
    Ok(counts.into_pyarray(py))
}

/// A simple random sample of each stratum.
#[pyfunction]
#[pyo3(signature = (strata, allocation, stream, /, *, num_threads=None, progress=None))]
fn stratified<'py>(
    py: Python<'py>,
    strata: Vector<'py, i64>,
    allocation: Vector<'py, i64>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (strata, allocation) = (&*strata, &*allocation);
    let size = Size::new(strata.len(), DRAW);
    let chosen = run(py, size, num_threads, progress, |run| {
        kernels::stratified(strata, allocation, stream.0, run)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// Allocation of a sample to strata, and its draw.
#[pymodule(submodule)]
pub(crate) mod strata {
    #[pymodule_export]
    use super::{allocate, neyman_allocation, stratified};
}
