//! `_core.select.rs2`: what each epoch of a training run sees.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sortes::select::rs2::{Mode, Rs2};
use sortes_core::memory::with_capacity;
use sortes_core::permutation::Permutation;

use crate::args::{Choice, Named};
use crate::boundary::{Size, run, to_py};
use crate::stream::Stream;

impl Named for Mode {
    const NAMES: &[(&str, Self)] = &[
        ("replacement", Self::Replacement),
        ("distinct", Self::Distinct),
        ("drop", Self::Drop),
        ("raw", Self::Raw),
    ];
}

/// An item of a permutation.
const ITEM: f64 = 40.0;

/// The items of one epoch of repeated sampling of random subsets.
#[pyfunction]
#[pyo3(signature = (n, keep, mode, stream, epoch, /, *, progress=None))]
fn rs2_epoch<'py>(
    py: Python<'py>,
    n: u64,
    keep: u64,
    mode: Choice<Mode>,
    stream: &Stream,
    epoch: u64,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let rs2 = Rs2::new(n, keep, mode.0, stream.0).map_err(to_py)?;
    let size = Size::new(rs2.cost() as usize, ITEM);
    Ok(run(py, size, None, progress, |run| rs2.epoch(epoch, run))?.into_pyarray(py))
}

/// Items `start..stop` of a keyed permutation of `0..n`.
#[pyfunction]
#[pyo3(signature = (n, stream, number, start, stop, /))]
fn permutation<'py>(
    py: Python<'py>,
    n: u64,
    stream: &Stream,
    number: u32,
    start: u64,
    stop: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (start, stop) = (start.min(n), stop.clamp(start.min(n), n));
    let len = (stop - start) as usize;
    let items = run(py, Size::new(len, ITEM), None, None, |run| {
        let mut items = with_capacity(len, "indices")?;
        Permutation::new(n, stream.0.rounds(), number).extend(start..stop, &mut items, run)?;
        Ok(items)
    })?;
    Ok(items.into_pyarray(py))
}

/// What each epoch of a training run sees.
#[pymodule(submodule)]
pub(crate) mod rs2 {
    #[pymodule_export]
    use super::{permutation, rs2_epoch};
}
