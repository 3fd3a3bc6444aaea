//! `_core.select.weighted`: draws in proportion to weights.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes::select::weighted::{self as kernels, BlockSums, Precision};
use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::{Result, Run};

use crate::args::{Choice, Floats, Named, Vector, with_floats};
use crate::boundary::{Size, bytes, run};
use crate::locked::Locked;
use crate::stream::Stream;

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
/// Eight bytes of a state.
const WORD: f64 = 30.0;

impl Named for Precision {
    const NAMES: &[(&str, Self)] =
        &[("auto", Self::Auto), ("narrow", Self::Narrow), ("wide", Self::Wide)];
}

/// Indices drawn with replacement, by an alias table or by block sums.
#[pyfunction]
#[pyo3(signature = (weights, size, alias, stream, /, *, num_threads=None, progress=None))]
fn choice<'py>(
    py: Python<'py>,
    weights: Floats<'py>,
    size: usize,
    alias: bool,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let work = Size::new(weights.len().saturating_add(size), DRAW);
    let draws = with_floats!(weights, |w| run(py, work, num_threads, progress, |run| {
        let mut out = zeroed(size, "draws")?;
        if alias && size > 0 {
            let table = kernels::AliasTable::new(w, Precision::Auto, run)?;
            table.sample(&mut out, stream.0, run)?;
        } else {
            BlockSums::new(w, run)?.sample(&mut out, stream.0, run)?;
        }
        Ok(out)
    }))?;
    Ok(draws.into_pyarray(py))
}

/// The first `k` items of successive sampling, fewer if fewer weights are positive.
#[pyfunction]
#[pyo3(signature = (weights, k, stream, /, *, num_threads=None, progress=None))]
fn successive<'py>(
    py: Python<'py>,
    weights: Floats<'py>,
    k: usize,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let kept = k.min(weights.len()) as f64 / weights.len().max(1) as f64;
    let size = Size::new(weights.len(), KEY + KEPT * kept);
    let drawn = with_floats!(weights, |w| run(py, size, num_threads, progress, |run| {
        indices(&kernels::successive(w, k, stream.0, run)?, run)
    }))?;
    Ok(drawn.into_pyarray(py))
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
#[pyo3(signature = (weights, log, stream, /, *, num_threads=None, progress=None))]
fn weighted_keys<'py>(
    py: Python<'py>,
    weights: Floats<'py>,
    log: bool,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let size = Size::new(weights.len(), KEY);
    let keys = with_floats!(weights, |w| run(py, size, num_threads, progress, |run| {
        kernels::keys(w, log, stream.0, run)
    }))?;
    Ok(keys.into_pyarray(py))
}

/// A table for draws with replacement.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct AliasTable(kernels::AliasTable);

#[pymethods]
impl AliasTable {
    #[new]
    #[pyo3(signature = (weights, precision, /, *, num_threads=None, progress=None))]
    fn new(
        py: Python<'_>,
        weights: Floats<'_>,
        precision: Choice<Precision>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let size = Size::new(weights.len(), DRAW);
        with_floats!(weights, |w| run(py, size, num_threads, progress, |run| {
            kernels::AliasTable::new(w, precision.0, run).map(Self)
        }))
    }

    #[pyo3(signature = (size, stream, /, *, num_threads=None, progress=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stream: &Stream,
        num_threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let draws = run(py, Size::new(size, DRAW), num_threads, progress, |run| {
            let mut out = zeroed(size, "draws")?;
            self.0.sample(&mut out, stream.0, run)?;
            Ok(out)
        })?;
        Ok(draws.into_pyarray(py))
    }

    fn probabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let size = Size::new(self.0.len(), DRAW);
        Ok(run(py, size, None, None, |run| self.0.probabilities(run))?.into_pyarray(py))
    }

    /// The table itself, which never changes.
    fn copy(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let size = Size::new(self.0.len(), DRAW);
        bytes(py, &run(py, size, None, None, |run| self.0.to_bytes(run))?)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len() / 8, WORD);
        run(py, size, None, None, |run| kernels::AliasTable::from_bytes(data, run)).map(Self)
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

impl DynamicWeights {
    /// A pass over all weights.
    fn pass(&self, py: Python<'_>) -> PyResult<Size> {
        Ok(Size::new(self.__len__(py)?, LOOK))
    }
}

#[pymethods]
impl DynamicWeights {
    #[new]
    #[pyo3(signature = (weights, /, *, num_threads=None, progress=None))]
    fn new(
        py: Python<'_>,
        weights: Floats<'_>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let size = Size::new(weights.len(), LOOK);
        let tree = with_floats!(weights, |w| run(py, size, num_threads, progress, |run| {
            kernels::DynamicWeights::checked(w, run)
        }))?;
        Ok(Self(Locked::new(tree)))
    }

    /// Sets the weights at `indices`.
    #[pyo3(signature = (indices, weights, /, *, num_threads=None, progress=None))]
    fn update(
        &self,
        py: Python<'_>,
        indices: Vector<'_, i64>,
        weights: Vector<'_, f64>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (indices, weights) = (&*indices, &*weights);
        let size = Size::new(indices.len(), CHANGE);
        self.0
            .write(py, size, num_threads, progress, |tree, run| tree.update(indices, weights, run))
    }

    #[getter]
    fn total(&self, py: Python<'_>) -> PyResult<f64> {
        self.0.get(py, kernels::DynamicWeights::total)
    }

    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let weights = self.0.read(py, self.pass(py)?, None, None, |tree, run| {
            copied(tree.as_slice(), "weights", run)
        })?;
        Ok(weights.into_pyarray(py))
    }

    #[pyo3(signature = (size, stream, /, *, num_threads=None, progress=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stream: &Stream,
        num_threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let draws =
            self.0.read(py, Size::new(size, CHANGE), num_threads, progress, |tree, run| {
                let mut out = zeroed(size, "draws")?;
                tree.sample(&mut out, stream.0, run)?;
                Ok(out)
            })?;
        Ok(draws.into_pyarray(py))
    }

    /// Draws items one after the other and sets their weights to zero; stops when all are.
    #[pyo3(signature = (size, stream, /, *, progress=None))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stream: &Stream,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let work = Size::new(size.min(self.__len__(py)?), CHANGE);
        let drawn =
            self.0.write(py, work, None, progress, |tree, run| tree.pop(size, stream.0, run))?;
        Ok(drawn.into_pyarray(py))
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let copy = self.0.read(py, self.pass(py)?, None, None, kernels::DynamicWeights::copied)?;
        Ok(Self(Locked::new(copy)))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.pass(py)?;
        bytes(py, &self.0.read(py, size, None, None, kernels::DynamicWeights::to_bytes)?)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len() / 8, WORD);
        let tree = run(py, size, None, None, |run| kernels::DynamicWeights::from_bytes(data, run))?;
        Ok(Self(Locked::new(tree)))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::DynamicWeights::len)
    }
}

/// Distinct items from a stream.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct Reservoir(Locked<kernels::Reservoir>);

impl Reservoir {
    /// Work on all items that are held.
    fn all(&self, py: Python<'_>) -> PyResult<Size> {
        Ok(Size::new(self.__len__(py)?, ITEM))
    }
}

#[pymethods]
impl Reservoir {
    #[new]
    #[pyo3(signature = (k, stream, /))]
    fn new(k: usize, stream: &Stream) -> Self {
        Self(Locked::new(kernels::Reservoir::new(k, stream.0)))
    }

    #[pyo3(signature = (weights, ids, /, *, num_threads=None, progress=None))]
    fn update(
        &self,
        py: Python<'_>,
        weights: Floats<'_>,
        ids: Option<Vector<'_, i64>>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let size = Size::new(weights.len(), ITEM);
        let ids = ids.as_deref();
        with_floats!(weights, |w| self.0.write(
            py,
            size,
            num_threads,
            progress,
            |reservoir, run| { reservoir.update(w, ids, run) }
        ))
    }

    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let size = self.all(py)?;
        Ok(self.0.read(py, size, None, None, kernels::Reservoir::sample)?.into_pyarray(py))
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let copy = self.0.read(py, self.all(py)?, None, None, kernels::Reservoir::copied)?;
        Ok(Self(Locked::new(copy)))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.all(py)?;
        bytes(py, &self.0.read(py, size, None, None, kernels::Reservoir::to_bytes)?)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len() / 8, WORD);
        let read = run(py, size, None, None, |run| kernels::Reservoir::from_bytes(data, run))?;
        Ok(Self(Locked::new(read)))
    }

    #[getter]
    fn k(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Reservoir::k)
    }

    #[getter]
    fn seen(&self, py: Python<'_>) -> PyResult<u64> {
        self.0.get(py, kernels::Reservoir::seen)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Reservoir::len)
    }
}

/// Draws in proportion to weights.
#[pymodule(submodule)]
pub(crate) mod weighted {
    #[pymodule_export]
    use super::{AliasTable, DynamicWeights, Reservoir, choice, successive, weighted_keys};
}
