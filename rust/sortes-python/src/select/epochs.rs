//! `_core.epochs`: what each epoch of a training run sees.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sortes::select::epochs::{Mode, Rs2};
use sortes::select::permutation::{LENGTH_LIMIT, Permutation};
use sortes_core::Error;
use sortes_core::rng::Stream;

use crate::boundary::{detached, to_py};

/// The items of one epoch of repeated sampling of random subsets.
#[pyfunction]
#[pyo3(signature = (n, keep, mode, key, epoch, /))]
fn rs2_epoch<'py>(
    py: Python<'py>,
    n: u64,
    keep: u64,
    mode: &str,
    key: u64,
    epoch: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let mode = match mode {
        "replacement" => Mode::Replacement,
        "distinct" => Mode::Distinct,
        "drop" => Mode::Drop,
        "raw" => Mode::Raw,
        other => {
            let reason = format!("must be 'distinct', 'drop' or 'raw', got '{other}'");
            return Err(to_py(Error::argument("wrap", reason)));
        }
    };
    let items = detached(py, || Rs2::new(n, keep, mode, Stream::new(key))?.epoch(epoch))?;
    Ok(items.into_pyarray(py))
}

/// Places `start..stop` of a keyed permutation of `0..n`.
#[pyfunction]
#[pyo3(signature = (n, key, number, start, stop, /))]
fn permutation(
    py: Python<'_>,
    n: u64,
    key: u64,
    number: u32,
    start: u64,
    stop: u64,
) -> PyResult<Bound<'_, PyArray1<i64>>> {
    if n > LENGTH_LIMIT {
        return Err(to_py(Error::argument("n", format!("must be at most 2^48, got {n}"))));
    }
    let items = detached(py, || {
        let mut items = Vec::new();
        Permutation::new(n, Stream::new(key), number).extend(start.min(n)..stop.min(n), &mut items);
        Ok(items)
    })?;
    Ok(items.into_pyarray(py))
}

/// What each epoch of a training run sees.
#[pymodule(submodule)]
pub(crate) mod epochs {
    #[pymodule_export]
    use super::{permutation, rs2_epoch};
}
