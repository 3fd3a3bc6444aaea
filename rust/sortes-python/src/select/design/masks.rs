//! `_core.select.design.masks`: masks of features whose sizes are evenly spread.

use sortes::select::design as kernels;

use crate::prelude::*;

/// Nanoseconds of a row, of one of its features, and of a weight.
const ROW: f64 = 60.0;
const FEATURE: f64 = 5.0;
const WEIGHT: f64 = 15.0;

/// Masks of features of evenly spread sizes, end to end, and their weights.
#[pyfunction]
fn stratified_masks(
    n: usize,
    rows: usize,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<(Array<bool>, Array<f64>)> {
    let size = Size::new(rows, ROW + FEATURE * n as f64);
    let (masks, weights) =
        job.run(size, |run| kernels::stratified_masks(n, rows, stream.0, run))?;
    Ok((Array(masks), Array(weights)))
}

/// The weight of a mask of each size.
#[pyfunction]
fn mask_weights(py: Python<'_>, n: usize) -> PyResult<Array<f64>> {
    Job::plain(py).array(Size::new(n, WEIGHT), |run| kernels::mask_weights(n, run))
}

/// Masks of features whose sizes are evenly spread.
#[pymodule(submodule)]
pub(crate) mod masks {
    #[pymodule_export]
    use super::{mask_weights, stratified_masks};
}
