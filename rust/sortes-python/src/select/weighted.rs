//! `_core.select.weighted`: draws in proportion to weights.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{
    Element, IntoPyArray, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use sortes::select::weighted::acquisition::{self, Noise, Strategy};
use sortes::select::weighted::reservoir::State;
use sortes::select::weighted::{self as kernels, BlockSums, Precision};
use sortes_core::memory::with_capacity;
use sortes_core::par::Threads;
use sortes_core::rng::Stream;
use sortes_core::weights::AliasState;
use sortes_core::{Error, Result, Run};

use crate::boundary::{by_length, detached, to_py};
use crate::pool;

/// A vector of weights, borrowed.
enum Weights<'py> {
    F32(PyReadonlyArray1<'py, f32>),
    F64(PyReadonlyArray1<'py, f64>),
}

impl<'py> Weights<'py> {
    fn extract(x: &Bound<'py, PyAny>) -> PyResult<Self> {
        fn borrow<'py, E: Element>(x: &Bound<'py, PyAny>) -> Option<PyReadonlyArray1<'py, E>> {
            let array = x.cast::<PyArray1<E>>().ok()?.readonly();
            array.as_slice().is_ok().then_some(array)
        }
        if let Some(x) = borrow(x) {
            return Ok(Self::F64(x));
        }
        if let Some(x) = borrow(x) {
            return Ok(Self::F32(x));
        }
        let got = match x.cast::<PyUntypedArray>() {
            Ok(array) => format!("{} of {} dimensions", array.dtype(), array.ndim()),
            Err(_) => x.get_type().to_string(),
        };
        let expected = "a contiguous vector of float32 or float64".into();
        Err(to_py(Error::Dtype { name: "weights", expected, got }))
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F64(x) => x.len(),
        }
    }
}

/// Calls a generic kernel with the weights as a slice of whichever type they have.
macro_rules! with_weights {
    ($weights:expr, |$slice:ident| $body:expr) => {
        match $weights {
            Weights::F32(x) => {
                let $slice = slice(x);
                $body
            }
            Weights::F64(x) => {
                let $slice = slice(x);
                $body
            }
        }
    };
}

fn slice<'a, E: Element>(x: &'a PyReadonlyArray1<'_, E>) -> &'a [E] {
    // `extract` let contiguous vectors through alone.
    x.as_slice().unwrap_or(&[])
}

fn precision_of(name: &str) -> PyResult<Precision> {
    match name {
        "auto" => Ok(Precision::Auto),
        "narrow" => Ok(Precision::Narrow),
        "wide" => Ok(Precision::Wide),
        other => {
            let reason = format!("must be 'auto', 'narrow' or 'wide', got '{other}'");
            Err(to_py(Error::argument("precision", reason)))
        }
    }
}

fn zeros(size: usize) -> Result<Vec<i64>> {
    let mut out = with_capacity(size, "draws")?;
    out.resize(size, 0);
    Ok(out)
}

/// Indices drawn with replacement, by an alias table or by block sums.
#[pyfunction]
#[pyo3(signature = (weights, size, alias, key, step, /, *, num_threads=None, progress=None))]
#[allow(clippy::too_many_arguments)]
fn choice<'py>(
    py: Python<'py>,
    weights: &Bound<'py, PyAny>,
    size: usize,
    alias: bool,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (weights, threads, stream) =
        (Weights::extract(weights)?, pool::threads_old(num_threads)?, Stream::new(key));
    let items = weights.len().saturating_add(size);
    let draws = with_weights!(&weights, |w| by_length(py, items, progress, |cancel| {
        let mut out = zeros(size)?;
        if alias && size > 0 {
            kernels::AliasTable::new(w, Precision::Auto, Run::new(threads, cancel))?.sample(
                &mut out,
                stream.at_step(step),
                Run::new(threads, cancel),
            )?;
        } else {
            BlockSums::new(w, Run::new(threads, cancel))?.sample(
                &mut out,
                stream.at_step(step),
                Run::new(threads, cancel),
            )?;
        }
        Ok(out)
    }))?;
    Ok(draws.into_pyarray(py))
}

/// The first `k` items of successive sampling, fewer if fewer weights are positive.
#[pyfunction]
#[pyo3(signature = (weights, k, key, step, /, *, num_threads=None, progress=None))]
fn successive<'py>(
    py: Python<'py>,
    weights: &Bound<'py, PyAny>,
    k: usize,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (weights, threads, stream) =
        (Weights::extract(weights)?, pool::threads_old(num_threads)?, Stream::new(key));
    let items = weights.len();
    let found = with_weights!(&weights, |w| by_length(py, items, progress, |cancel| {
        kernels::successive(w, k, stream, step, threads, cancel)
    }))?;
    Ok(indices(found).into_pyarray(py))
}

fn indices(found: Vec<kernels::keys::Keyed>) -> Vec<i64> {
    found.into_iter().map(|item| item.index as i64).collect()
}

/// The key of every item.
#[pyfunction]
#[pyo3(signature = (weights, log, key, step, /, *, num_threads=None, progress=None))]
fn weighted_keys<'py>(
    py: Python<'py>,
    weights: &Bound<'py, PyAny>,
    log: bool,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (weights, threads, stream) =
        (Weights::extract(weights)?, pool::threads_old(num_threads)?, Stream::new(key));
    let items = weights.len();
    let keys = with_weights!(&weights, |w| by_length(py, items, progress, |cancel| {
        kernels::keys(w, log, stream, step, threads, cancel)
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
        weights: &Bound<'_, PyAny>,
        precision: &str,
        num_threads: Option<i64>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (weights, threads) = (Weights::extract(weights)?, pool::threads_old(num_threads)?);
        let precision = precision_of(precision)?;
        let items = weights.len();
        let table = with_weights!(&weights, |w| by_length(py, items, progress, |cancel| {
            kernels::AliasTable::new(w, precision, Run::new(threads, cancel))
        }))?;
        Ok(Self(table))
    }

    #[pyo3(signature = (size, key, step, /, *, num_threads=None, progress=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        key: u64,
        step: u32,
        num_threads: Option<i64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let threads = pool::threads_old(num_threads)?;
        let draws = by_length(py, size, progress, |cancel| {
            let mut out = zeros(size)?;
            self.0.sample(&mut out, Stream::new(key).at_step(step), Run::new(threads, cancel))?;
            Ok(out)
        })?;
        Ok(draws.into_pyarray(py))
    }

    fn probabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        Ok(detached(py, || Ok(self.0.probabilities()))?.into_pyarray(py))
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match detached(py, || Ok(self.0.state()))? {
            AliasState::Narrow(state) => state.into_pyarray(py).into_any(),
            AliasState::Wide(state) => state.into_pyarray(py).into_any(),
        })
    }

    #[staticmethod]
    #[pyo3(signature = (state, /))]
    fn restore(py: Python<'_>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let state = match state.extract::<PyReadonlyArray1<'_, u32>>() {
            Ok(narrow) => AliasState::Narrow(narrow.as_array().to_vec()),
            Err(_) => {
                AliasState::Wide(state.extract::<PyReadonlyArray1<'_, u64>>()?.as_array().to_vec())
            }
        };
        Ok(Self(detached(py, || kernels::AliasTable::restore(&state))?))
    }

    #[getter]
    fn precision(&self) -> &'static str {
        match self.0.precision() {
            Precision::Wide => "wide",
            _ => "narrow",
        }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Waits for the other thread with the interpreter released, so that neither waits for the other.
fn lock<'a, T: Send>(py: Python<'_>, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
    use pyo3::sync::MutexExt;
    mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

/// Weights that change between draws.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct DynamicWeights(Mutex<kernels::DynamicWeights>);

/// What a change costs, in items of a plain pass.
const CHANGE: usize = 8;

#[pymethods]
impl DynamicWeights {
    #[new]
    #[pyo3(signature = (weights, /))]
    fn new(py: Python<'_>, weights: &Bound<'_, PyAny>) -> PyResult<Self> {
        let weights = Weights::extract(weights)?;
        let items = weights.len();
        let tree = with_weights!(&weights, |w| by_length(py, items, None, |cancel| {
            kernels::DynamicWeights::checked(w, Run::new(Threads::SERIAL, cancel))
        }))?;
        Ok(Self(Mutex::new(tree)))
    }

    /// Sets the weights at `indices`.
    #[pyo3(signature = (indices, weights, /))]
    fn update(
        &self,
        py: Python<'_>,
        indices: PyReadonlyArray1<'_, i64>,
        weights: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<()> {
        let (indices, weights) = (slice(&indices), slice(&weights));
        let mut tree = lock(py, &self.0);
        let tree = &mut *tree;
        let items = indices.len().saturating_mul(CHANGE);
        by_length(py, items, None, |cancel| {
            tree.update(indices, weights, Run::new(Threads::SERIAL, cancel))
        })
    }

    #[getter]
    fn total(&self, py: Python<'_>) -> f64 {
        lock(py, &self.0).total()
    }

    fn weights<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        PyArray1::from_slice(py, lock(py, &self.0).as_slice())
    }

    #[pyo3(signature = (size, key, step, /))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        key: u64,
        step: u32,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let tree = lock(py, &self.0);
        let tree = &*tree;
        let draws = by_length(py, size, None, |cancel| {
            let mut out = zeros(size)?;
            tree.sample(
                &mut out,
                Stream::new(key).at_step(step),
                Run::new(Threads::SERIAL, cancel),
            )?;
            Ok(out)
        })?;
        Ok(draws.into_pyarray(py))
    }

    /// Draws items one after the other and sets their weights to zero; stops when all are.
    #[pyo3(signature = (size, key, step, /))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        key: u64,
        step: u32,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let mut tree = lock(py, &self.0);
        let tree = &mut *tree;
        let items = size.min(tree.len()).saturating_mul(CHANGE);
        let draws = by_length(py, items, None, |cancel| {
            tree.pop(size, Stream::new(key).at_step(step), Run::new(Threads::SERIAL, cancel))
        })?;
        Ok(draws.into_pyarray(py))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        lock(py, &self.0).len()
    }
}

/// What a reservoir is made of: k, key, skip, event, seen, keys, ids.
type Parts<'py> = (usize, u64, f64, u64, u64, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<i64>>);

/// Distinct items from a stream.
#[pyclass(frozen, module = "sortes._core.select.weighted")]
pub(crate) struct Reservoir(Mutex<kernels::Reservoir>);

#[pymethods]
impl Reservoir {
    #[new]
    #[pyo3(signature = (k, key, /))]
    fn new(k: usize, key: u64) -> Self {
        Self(Mutex::new(kernels::Reservoir::new(k, Stream::new(key))))
    }

    #[pyo3(signature = (weights, ids, /, *, num_threads=None))]
    fn update(
        &self,
        py: Python<'_>,
        weights: &Bound<'_, PyAny>,
        ids: Option<PyReadonlyArray1<'_, i64>>,
        num_threads: Option<i64>,
    ) -> PyResult<()> {
        let (weights, threads) = (Weights::extract(weights)?, pool::threads_old(num_threads)?);
        let ids = ids.as_ref().map(|ids| slice(ids));
        let mut reservoir = lock(py, &self.0);
        let reservoir = &mut *reservoir;
        let items = weights.len();
        with_weights!(&weights, |w| by_length(py, items, None, |cancel| {
            reservoir.update(w, ids, threads, cancel)
        }))
    }

    fn sample<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        lock(py, &self.0).sample().into_pyarray(py)
    }

    #[getter]
    fn k(&self, py: Python<'_>) -> usize {
        lock(py, &self.0).size()
    }

    #[getter]
    fn seen(&self, py: Python<'_>) -> u64 {
        lock(py, &self.0).seen()
    }

    fn state<'py>(&self, py: Python<'py>) -> Parts<'py> {
        let State { k, key, skip, event, seen, keys, ids } = lock(py, &self.0).state();
        (k, key, skip, event, seen, keys.into_pyarray(py), ids.into_pyarray(py))
    }

    #[staticmethod]
    #[pyo3(signature = (k, key, skip, event, seen, keys, ids, /))]
    fn restore(
        k: usize,
        key: u64,
        skip: f64,
        event: u64,
        seen: u64,
        keys: PyReadonlyArray1<'_, f64>,
        ids: PyReadonlyArray1<'_, i64>,
    ) -> PyResult<Self> {
        let (keys, ids) = (keys.as_array().to_vec(), ids.as_array().to_vec());
        let state = State { k, key, skip, event, seen, keys, ids };
        Ok(Self(Mutex::new(kernels::Reservoir::restore(&state).map_err(to_py)?)))
    }
}

fn strategy_of(name: &str) -> PyResult<Strategy> {
    match name {
        "power" => Ok(Strategy::Power),
        "softmax" => Ok(Strategy::Softmax),
        "softrank" => Ok(Strategy::Softrank),
        other => {
            let reason = format!("must be 'power', 'softmax' or 'softrank', got '{other}'");
            Err(to_py(Error::argument("strategy", reason)))
        }
    }
}

/// A batch of distinct items, drawn by scores.
#[pyfunction]
#[pyo3(signature = (scores, k, strategy, beta, key, step, noise, /, *, num_threads=None))]
#[allow(clippy::too_many_arguments)]
fn acquire<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray1<'py, f64>,
    k: usize,
    strategy: &str,
    beta: f64,
    key: u64,
    step: u32,
    noise: Option<PyReadonlyArray1<'py, f64>>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (strategy, threads) = (strategy_of(strategy)?, pool::threads_old(num_threads)?);
    let (scores, noise) = (slice(&scores), noise.as_ref().map(|noise| slice(noise)));
    let noise = noise.map_or(Noise::Stream(Stream::new(key), step), Noise::Given);
    let batch = by_length(py, scores.len(), None, |cancel| {
        acquisition::acquire(scores, k, strategy, beta, noise, threads, cancel)
    })?;
    Ok(indices(batch).into_pyarray(py))
}

/// The probability of each item of being drawn first.
#[pyfunction]
#[pyo3(signature = (scores, strategy, beta, /))]
fn acquisition_probs<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray1<'py, f64>,
    strategy: &str,
    beta: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let strategy = strategy_of(strategy)?;
    let scores = slice(&scores);
    let p = detached(py, || acquisition::probabilities(scores, strategy, beta))?;
    Ok(p.into_pyarray(py))
}

/// Draws in proportion to weights.
#[pymodule(submodule)]
pub(crate) mod weighted {
    #[pymodule_export]
    use super::{
        AliasTable, DynamicWeights, Reservoir, acquire, acquisition_probs, choice, successive,
        weighted_keys,
    };
}
