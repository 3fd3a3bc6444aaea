//! `_core.select.weighted`: draws in proportion to weights.

use sortes::select::weighted::{self as kernels, BlockSums, Precision};
use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::{Result, Run};

use crate::prelude::*;

/// A weight of an alias table, or a draw from sums.
const DRAW: f64 = 10.0;
/// A key.
const KEY: f64 = 5.0;
/// A key that is kept and sorted.
const KEPT: f64 = 150.0;
/// A weight that is looked at or copied.
const LOOK: f64 = 2.0;
/// A change of one weight, and a draw among changing weights.
const CHANGE: f64 = 100.0;
/// An item of a reservoir, which may come in whatever is held: far more than one that passes.
const ITEM: f64 = 150.0;
/// A byte of a state.
const BYTE: f64 = 4.0;

impl Named for Precision {
    const NAMES: &[(&str, Self)] =
        &[("auto", Self::Auto), ("narrow", Self::Narrow), ("wide", Self::Wide)];
}

/// Indices drawn with replacement, by an alias table or by block sums.
#[pyfunction]
fn choice(
    weights: Floats<'_>,
    size: usize,
    alias: bool,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let work = Size::new(weights.len().saturating_add(size), DRAW);
    with_floats!(&weights, |w| job.array(work, |run| {
        let mut out = zeroed(size, "draws")?;
        if alias && size > 0 {
            let table = kernels::AliasTable::new(w, Precision::Auto, run)?;
            table.sample(&mut out, stream.0, run)?;
        } else {
            BlockSums::new(w, run)?.sample(&mut out, stream.0, run)?;
        }
        Ok(out)
    }))
}

/// The first `k` items of successive sampling, fewer if fewer weights are positive.
#[pyfunction]
fn successive(
    weights: Floats<'_>,
    k: usize,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let kept = k.min(weights.len()) as f64 / weights.len().max(1) as f64;
    let size = Size::new(weights.len(), KEY + KEPT * kept);
    with_floats!(&weights, |w| job
        .array(size, |run| { indices(&kernels::successive(w, k, stream.0, run)?, run) }))
}

/// The indices of items in the order of their keys.
pub(super) fn indices(items: &[kernels::Keyed], run: Run<'_>) -> Result<Vec<i64>> {
    let mut out = with_capacity(items.len(), "indices")?;
    for range in run.blocks(items.len(), 1 << 16) {
        out.extend(items[range?].iter().map(|item| item.index as i64));
    }
    Ok(out)
}

/// The key of every item.
#[pyfunction]
fn weighted_keys(
    weights: Floats<'_>,
    log: bool,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let size = Size::new(weights.len(), KEY);
    with_floats!(&weights, |w| job.array(size, |run| kernels::keys(w, log, stream.0, run)))
}

/// A table for draws with replacement.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct AliasTable(kernels::AliasTable);

#[pymethods]
impl AliasTable {
    #[new]
    fn new(weights: Floats<'_>, precision: Choice<Precision>, job: Job<'_>) -> PyResult<Self> {
        let size = Size::new(weights.len(), DRAW);
        with_floats!(&weights, |w| job
            .run(size, |run| { kernels::AliasTable::new(w, precision.0, run).map(Self) }))
    }

    fn sample(&self, size: usize, stream: &Stream, job: Job<'_>) -> PyResult<Array<i64>> {
        job.array(Size::new(size, DRAW), |run| {
            let mut out = zeroed(size, "draws")?;
            self.0.sample(&mut out, stream.0, run)?;
            Ok(out)
        })
    }

    fn probabilities(&self, py: Python<'_>) -> PyResult<Array<f64>> {
        Job::plain(py).array(Size::new(self.0.len(), DRAW), |run| self.0.probabilities(run))
    }

    /// The table itself, which never changes.
    fn copy(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn to_bytes(&self, py: Python<'_>) -> PyResult<Bytes> {
        Job::plain(py).run(Size::new(self.0.len(), DRAW), |run| self.0.to_bytes(run)).map(Bytes)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len(), BYTE);
        Job::plain(py).run(size, |run| kernels::AliasTable::from_bytes(data, run)).map(Self)
    }

    #[getter]
    fn precision(&self) -> &'static str {
        self.0.precision().name()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Weights that change between draws.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct DynamicWeights(Locked<kernels::DynamicWeights>);

stateful!(DynamicWeights(kernels::DynamicWeights), len, LOOK, BYTE, total: f64);

#[pymethods]
impl DynamicWeights {
    #[new]
    fn new(weights: Floats<'_>, job: Job<'_>) -> PyResult<Self> {
        let size = Size::new(weights.len(), LOOK);
        with_floats!(&weights, |w| job.run(size, |run| kernels::DynamicWeights::checked(w, run)))
            .map(Self::of)
    }

    /// Sets the weights at `indices`.
    fn update(
        &self,
        indices: Vector<'_, i64>,
        weights: Vector<'_, f64>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let size = Size::new(indices.len(), CHANGE);
        self.0.write(&job, size, |tree, run| tree.update(&indices, &weights, run))
    }

    fn weights(&self, py: Python<'_>) -> PyResult<Array<f64>> {
        let copy =
            |tree: &kernels::DynamicWeights, run: Run<'_>| copied(tree.as_slice(), "weights", run);
        self.0.read(&Job::plain(py), self.all(py)?, copy).map(Array)
    }

    fn sample(&self, size: usize, stream: &Stream, job: Job<'_>) -> PyResult<Array<i64>> {
        let draws = self.0.read(&job, Size::new(size, CHANGE), |tree, run| {
            let mut out = zeroed(size, "draws")?;
            tree.sample(&mut out, stream.0, run)?;
            Ok(out)
        })?;
        Ok(Array(draws))
    }

    /// Draws items one after the other and sets their weights to zero; stops when all are.
    fn pop(&self, size: usize, stream: &Stream, job: Job<'_>) -> PyResult<Array<i64>> {
        let work = Size::new(size.min(self.__len__(job.py)?), CHANGE).serial();
        self.0.write(&job, work, |tree, run| tree.pop(size, stream.0, run)).map(Array)
    }
}

/// Distinct items from a stream.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct Reservoir(Locked<kernels::Reservoir>);

stateful!(Reservoir(kernels::Reservoir), len, ITEM, BYTE, k: usize, seen: u64);

#[pymethods]
impl Reservoir {
    #[new]
    fn new(k: usize, stream: &Stream) -> Self {
        Self::of(kernels::Reservoir::new(k, stream.0))
    }

    fn update(
        &self,
        weights: Floats<'_>,
        ids: Option<Vector<'_, i64>>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let size = Size::new(weights.len(), ITEM);
        with_floats!(&weights, |w| {
            self.0.write(&job, size, |reservoir, run| reservoir.update(w, ids.as_deref(), run))
        })
    }

    fn sample(&self, py: Python<'_>) -> PyResult<Array<i64>> {
        self.0.read(&Job::plain(py), self.all(py)?, kernels::Reservoir::sample).map(Array)
    }
}

/// Draws in proportion to weights.
#[pymodule(submodule)]
pub(crate) mod weighted {
    #[pymodule_export]
    use super::{AliasTable, DynamicWeights, Reservoir, choice, successive, weighted_keys};
}
