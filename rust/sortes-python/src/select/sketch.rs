//! `_core.select.sketch`: samples that merge.

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes::select::sketch::{self as kernels, Batch, Weights};
use sortes_core::bytes::Kind;

use crate::args::{Choice, Floats, Named, Vector};
use crate::boundary::{Size, bytes, run, to_py};
use crate::locked::Locked;
use crate::stream::Stream;

/// An item that comes in, if it is kept: most are not.
const UPDATE: f64 = 45.0;
/// An item that is held, in all else: it is sorted, merged or written.
const HELD: f64 = 300.0;

impl Named for Kind {
    const NAMES: &[(&str, Self)] = &[
        ("bottom_k", Self::BottomK),
        ("priority", Self::PrioritySample),
        ("var_opt", Self::VarOpt),
    ];
}

/// Ids, weights, adjusted weights, inclusion probabilities, values, threshold.
type Sampled<'py> = (
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<f64>>,
    Option<Bound<'py, PyArray1<f64>>>,
    f64,
);

/// A sketch of any kind.
#[pyclass(frozen, module = "sortes._core.select.sketch")]
pub(crate) struct Sketch(Locked<kernels::Sketch>);

impl Sketch {
    fn of(sketch: kernels::Sketch) -> Self {
        Self(Locked::new(sketch))
    }

    /// Work on all items that are held.
    fn all(&self, py: Python<'_>) -> PyResult<Size> {
        Ok(Size::new(self.__len__(py)?, HELD))
    }
}

#[pymethods]
impl Sketch {
    #[new]
    #[pyo3(signature = (kind, k, stream, shard, /))]
    fn new(kind: Choice<Kind>, k: u64, stream: &Stream, shard: Option<u64>) -> PyResult<Self> {
        kernels::Sketch::new(kind.0, k, stream.0, shard).map(Self::of).map_err(to_py)
    }

    #[pyo3(signature = (ids, weights, values, /, *, num_threads=None, progress=None))]
    fn update(
        &self,
        py: Python<'_>,
        ids: Vector<'_, i64>,
        weights: Option<Floats<'_>>,
        values: Option<Vector<'_, f64>>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let weights = match &weights {
            None => Weights::Ones,
            Some(Floats::F64(weights)) => Weights::F64(weights),
            Some(Floats::F32(weights)) => Weights::F32(weights),
        };
        let (ids, values) = (&*ids, values.as_deref());
        let size = Size::new(ids.len(), UPDATE);
        self.0.write(py, size, num_threads, progress, |sketch, run| {
            sketch.update(&Batch::new(ids, weights, values, run)?, run)
        })
    }

    #[pyo3(signature = (other, /))]
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        // A copy, so that two locks are never held at once.
        let size = other.get().all(py)?;
        let other = other.get().0.read(py, size, None, None, kernels::Sketch::copied)?;
        self.0.write(py, size, None, None, |sketch, run| sketch.merge(&other, run))
    }

    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Sampled<'py>> {
        let size = self.all(py)?;
        let (sample, threshold) = self.0.read(py, size, None, None, kernels::Sketch::sample)?;
        Ok((
            sample.ids.into_pyarray(py),
            sample.weights.into_pyarray(py),
            sample.adjusted.into_pyarray(py),
            sample.inclusion.into_pyarray(py),
            sample.values.map(|values| values.into_pyarray(py)),
            threshold,
        ))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.all(py)?;
        bytes(py, &self.0.read(py, size, None, None, kernels::Sketch::to_bytes)?)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len() / 16, HELD);
        run(py, size, None, None, |run| kernels::Sketch::from_bytes(data, run)).map(Self::of)
    }

    #[pyo3(signature = (shard, /))]
    fn for_shard(&self, py: Python<'_>, shard: u64) -> PyResult<Self> {
        self.0.get(py, |sketch| sketch.for_shard(shard))?.map(Self::of).map_err(to_py)
    }

    #[pyo3(signature = (shard, /))]
    fn has_drawn(&self, py: Python<'_>, shard: u64) -> PyResult<bool> {
        self.0.get(py, |sketch| sketch.header().has_drawn(shard))?.map_err(to_py)
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        let size = self.all(py)?;
        self.0.read(py, size, None, None, kernels::Sketch::copied).map(Self::of)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::Sketch::len)
    }

    #[getter]
    fn kind(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.0.get(py, |sketch| sketch.kind().name())
    }

    #[getter]
    fn coordinated(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.get(py, |sketch| sketch.header().is_coordinated())
    }

    #[getter]
    fn k(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, |sketch| sketch.header().k())
    }

    #[getter]
    fn n(&self, py: Python<'_>) -> PyResult<u64> {
        self.0.get(py, |sketch| sketch.header().n())
    }

    #[getter]
    fn total(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let size = self.all(py)?;
        self.0.read(py, size, None, None, kernels::Sketch::total)
    }
}

/// Samples that merge.
#[pymodule(submodule)]
pub(crate) mod sketch {
    #[pymodule_export]
    use super::Sketch;
}
