//! `_core.select.rs2`: what each epoch of a training run sees.

use sortes::select::rs2::{Mode, Rs2};
use sortes_core::memory::with_capacity;
use sortes_core::permutation::Permutation;

use crate::prelude::*;

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
fn rs2_epoch(
    n: u64,
    keep: u64,
    mode: Choice<Mode>,
    stream: &Stream,
    epoch: u64,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let rs2 = Rs2::new(n, keep, mode.0, stream.0).map_err(to_py)?;
    job.array(Size::new(rs2.cost() as usize, ITEM).serial(), |run| rs2.epoch(epoch, run))
}

/// Items `start..stop` of a keyed permutation of `0..n`.
#[pyfunction]
fn permutation(
    py: Python<'_>,
    n: u64,
    stream: &Stream,
    number: u32,
    start: u64,
    stop: u64,
) -> PyResult<Array<i64>> {
    let (start, stop) = (start.min(n), stop.clamp(start.min(n), n));
    let len = (stop - start) as usize;
    Job::plain(py).array(Size::new(len, ITEM).serial(), |run| {
        let mut items = with_capacity(len, "indices")?;
        Permutation::new(n, stream.0.rounds(), number).extend(start..stop, &mut items, run)?;
        Ok(items)
    })
}

/// What each epoch of a training run sees.
#[pymodule(submodule)]
pub(crate) mod rs2 {
    #[pymodule_export]
    use super::{permutation, rs2_epoch};
}
