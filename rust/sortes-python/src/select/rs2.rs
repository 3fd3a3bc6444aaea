//! `_core.select.rs2`: what each epoch of a training run sees.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sortes::select::permutation::{LENGTH_LIMIT, Permutation};
use sortes::select::rs2::{Mode, Rs2};
use sortes_core::Error;
use sortes_core::cancel::Cancel;
use sortes_core::memory::with_room;
use sortes_core::rng::Stream;

use crate::boundary::{by_length, detached, to_py};

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
    let rs2 = Rs2::new(n, keep, mode, Stream::new(key)).map_err(to_py)?;
    // A place costs about as much as two items of a plain pass; more than half of `n` costs all.
    let places = if mode == Mode::Distinct && keep > n / 2 { n } else { keep };
    let items = by_length(py, 2 * places as usize, None, |cancel| rs2.epoch(epoch, cancel))?;
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
        let places = start.min(n)..stop.clamp(start.min(n), n);
        let mut items = with_room(places.end - places.start, "indices")?;
        Permutation::new(n, Stream::new(key), number).extend(
            places,
            &mut items,
            &Cancel::default(),
        )?;
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
