//! `_core.select.design.masks`: masks of features whose sizes are evenly spread.

use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use sortes::select::design as kernels;

use super::Reals;
use crate::boundary::{Size, run};
use crate::stream::Stream;

/// Nanoseconds of a row, of one of its features, and of a weight.
const ROW: f64 = 60.0;
const FEATURE: f64 = 5.0;
const WEIGHT: f64 = 15.0;

/// Masks of features of evenly spread sizes, and their weights.
#[pyfunction]
#[pyo3(signature = (n, rows, stream, /, *, num_threads=None, progress=None))]
fn stratified_masks<'py>(
    py: Python<'py>,
    n: usize,
    rows: usize,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyArray2<bool>>, Reals<'py>)> {
    let size = Size::new(rows, ROW + FEATURE * n as f64);
    let (masks, weights) = run(py, size, num_threads, progress, |run| {
        kernels::stratified_masks(n, rows, stream.0, run)
    })?;
    Ok((masks.into_pyarray(py).reshape([rows, n])?, weights.into_pyarray(py)))
}

/// The weight of a mask of each size.
#[pyfunction]
#[pyo3(signature = (n, /))]
fn mask_weights(py: Python<'_>, n: usize) -> PyResult<Reals<'_>> {
    let size = Size::new(n, WEIGHT);
    Ok(run(py, size, None, None, |run| kernels::mask_weights(n, run))?.into_pyarray(py))
}

/// Masks of features whose sizes are evenly spread.
#[pymodule(submodule)]
pub(crate) mod masks {
    #[pymodule_export]
    use super::{mask_weights, stratified_masks};
}
