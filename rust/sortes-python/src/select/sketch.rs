//! `_core.select.sketch`: samples that merge.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes::select::sketch::{self as kernels, Batch, Weights};
use sortes_core::cancel::Cancel;

use crate::boundary::{detached, interruptible, to_py};
use crate::pool;

/// From so many items on, an update takes tens of milliseconds and listens to Ctrl-C.
const LONG: usize = 1 << 20;

/// A column of weights in one of the precisions that kernels read.
#[derive(FromPyObject)]
enum Column<'py> {
    F64(PyReadonlyArray1<'py, f64>),
    F32(PyReadonlyArray1<'py, f32>),
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

/// A sketch of any kind, behind a lock.
///
/// The lock is taken with the interpreter released, and nothing asks for the interpreter while
/// holding it.
#[pyclass(frozen, module = "sortes._core.select.sketch")]
pub(crate) struct Sketch(Mutex<kernels::Sketch>);

impl Sketch {
    fn of(sketch: kernels::Sketch) -> Self {
        Self(Mutex::new(sketch))
    }

    /// A panic under the lock is reported by the boundary; the state is whole at every step.
    fn lock(&self) -> MutexGuard<'_, kernels::Sketch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T: Send>(
        &self,
        py: Python<'_>,
        f: impl FnOnce(&kernels::Sketch) -> T + Send,
    ) -> PyResult<T> {
        detached(py, || Ok(f(&self.lock())))
    }
}

#[pymethods]
impl Sketch {
    #[new]
    #[pyo3(signature = (kind, k, key, shard, /))]
    fn new(kind: &str, k: u64, key: u64, shard: Option<u64>) -> PyResult<Self> {
        kernels::Sketch::new(kind, k, key, shard).map(Self::of).map_err(to_py)
    }

    #[pyo3(signature = (ids, weights, values, /, *, num_threads=None, progress=None))]
    fn update(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, i64>,
        weights: Option<Column<'_>>,
        values: Option<PyReadonlyArray1<'_, f64>>,
        num_threads: Option<i64>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let ids = ids.as_slice()?;
        let weights = match &weights {
            None => Weights::Ones,
            Some(Column::F64(weights)) => Weights::F64(weights.as_slice()?),
            Some(Column::F32(weights)) => Weights::F32(weights.as_slice()?),
        };
        let values = values.as_ref().map(|values| values.as_slice()).transpose()?;
        let threads = pool::threads_old(num_threads)?;
        let work = |cancel: &Cancel| {
            let batch = Batch::new(ids, weights, values)?;
            self.lock().update(&batch, threads, cancel)
        };
        if ids.len() < LONG && progress.is_none() {
            detached(py, || work(&Cancel::default()))
        } else {
            interruptible(py, progress, work)
        }
    }

    #[pyo3(signature = (other, /))]
    fn merge(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        let other = other.get();
        detached(py, || {
            // A copy, so that two locks are never held at once.
            let other = other.lock().clone();
            self.lock().merge(&other)
        })
    }

    fn sample<'py>(&self, py: Python<'py>) -> PyResult<Sampled<'py>> {
        let (sample, threshold) = self.look(py, kernels::Sketch::sample)?;
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
        Ok(PyBytes::new(py, &self.look(py, kernels::Sketch::to_bytes)?))
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        detached(py, || kernels::Sketch::from_bytes(data)).map(Self::of)
    }

    #[pyo3(signature = (shard, /))]
    fn for_shard(&self, py: Python<'_>, shard: u64) -> PyResult<Self> {
        detached(py, || self.lock().for_shard(shard)).map(Self::of)
    }

    #[pyo3(signature = (shard, /))]
    fn has_drawn(&self, py: Python<'_>, shard: u64) -> PyResult<bool> {
        detached(py, || self.lock().header().has_drawn(shard))
    }

    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        self.look(py, kernels::Sketch::clone).map(Self::of)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.look(py, kernels::Sketch::len)
    }

    #[getter]
    fn kind(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.look(py, kernels::Sketch::kind)
    }

    #[getter]
    fn coordinated(&self, py: Python<'_>) -> PyResult<bool> {
        self.look(py, |sketch| sketch.header().is_coordinated())
    }

    #[getter]
    fn k(&self, py: Python<'_>) -> PyResult<usize> {
        self.look(py, |sketch| sketch.header().k())
    }

    #[getter]
    fn n(&self, py: Python<'_>) -> PyResult<u64> {
        self.look(py, |sketch| sketch.header().n())
    }

    #[getter]
    fn total(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.look(py, kernels::Sketch::total)
    }
}

#[pymodule(submodule)]
pub(crate) mod sketch {
    #[pymodule_export]
    use super::Sketch;
}
