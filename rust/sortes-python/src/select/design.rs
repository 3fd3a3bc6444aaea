//! `_core.select.design`: subsets with given inclusion probabilities, strata.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use sortes::select::design::{self as kernels, ConditionalPoisson, pivotal};
use sortes_core::cancel::Cancel;
use sortes_core::rng::Stream;
use sortes_core::{Error, Result};

use crate::boundary::{detached, interruptible, to_py};
use crate::pool;

type Floats<'py> = PyReadonlyArray1<'py, f64>;
type Ints<'py> = PyReadonlyArray1<'py, i64>;
type Indices<'py> = Bound<'py, PyArray1<i64>>;

fn slice_of<'a, T: numpy::Element>(
    array: Option<&'a PyReadonlyArray1<'_, T>>,
) -> PyResult<Option<&'a [T]>> {
    Ok(array.map(|array| array.as_slice()).transpose()?)
}

/// Counts that the Python side has checked to be non-negative.
fn counts(array: &Ints<'_>) -> Vec<u64> {
    array.as_array().iter().map(|&count| count.max(0).cast_unsigned()).collect()
}

/// Units that any kernel here has done with in some 50 ms.
const SHORT: usize = 1 << 12;

/// Short work stays on this thread: starting another takes longer than a small sample.
fn by_size<T: Send>(
    py: Python<'_>,
    units: usize,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    if units <= SHORT && progress.is_none() {
        detached(py, || work(&Cancel::default()))
    } else {
        interruptible(py, progress, work)
    }
}

/// Probabilities in proportion to weights, and their threshold.
#[pyfunction]
#[pyo3(signature = (weights, k, /))]
fn inclusion_probabilities<'py>(
    py: Python<'py>,
    weights: Floats<'py>,
    k: f64,
) -> PyResult<(Bound<'py, PyArray1<f64>>, f64)> {
    let weights = weights.as_slice()?;
    let design = detached(py, || kernels::inclusion_probabilities(weights, k))?;
    Ok((design.pi.into_pyarray(py), design.tau))
}

/// A Poisson sample.
#[pyfunction]
#[pyo3(signature = (pi, key, step, /, *, num_threads=None))]
fn poisson<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
) -> PyResult<Indices<'py>> {
    let (pi, threads) = (pi.as_slice()?, pool::threads_old(num_threads)?);
    let chosen = detached(py, || kernels::poisson::poisson(pi, Stream::new(key), step, threads))?;
    Ok(chosen.into_pyarray(py))
}

/// A systematic sample in the order of its units, from a start that is drawn unless given.
#[pyfunction]
#[pyo3(signature = (pi, u, order, key, step, /))]
fn systematic<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    u: Option<f64>,
    order: Option<Ints<'py>>,
    key: u64,
    step: u32,
) -> PyResult<Indices<'py>> {
    let (pi, order) = (pi.as_slice()?, slice_of(order.as_ref())?);
    let u = u.unwrap_or_else(|| kernels::start(Stream::new(key).at_step(step)));
    Ok(detached(py, || kernels::systematic(pi, u, order, sortes_core::Run::alone()))?
        .into_pyarray(py))
}

/// A pivotal sample in sequence.
#[pyfunction]
#[pyo3(signature = (pi, order, key, step, /))]
fn pivotal_sequential<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    order: Option<Ints<'py>>,
    key: u64,
    step: u32,
) -> PyResult<Indices<'py>> {
    let (pi, order) = (pi.as_slice()?, slice_of(order.as_ref())?);
    let chosen = detached(py, || pivotal::sequential(pi, order, Stream::new(key), step))?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample over the balanced tree.
#[pyfunction]
#[pyo3(signature = (pi, key, step, /, *, num_threads=None))]
fn pivotal_balanced<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
) -> PyResult<Indices<'py>> {
    let (pi, threads) = (pi.as_slice()?, pool::threads_old(num_threads)?);
    let chosen = detached(py, || pivotal::balanced(pi, Stream::new(key), step, threads))?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample over a tree of merges.
#[pyfunction]
#[pyo3(signature = (pi, merges, key, step, /))]
fn pivotal_over_tree<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    merges: PyReadonlyArray2<'py, i64>,
    key: u64,
    step: u32,
) -> PyResult<Indices<'py>> {
    let pi = pi.as_slice()?;
    if merges.shape()[1] != 2 {
        let (expected, got) = ("(n - 1, 2)".into(), format!("{:?}", merges.shape()));
        return Err(to_py(Error::Shape { name: "order", expected, got }));
    }
    let merges = merges.as_slice()?.as_chunks::<2>().0;
    let chosen = detached(py, || pivotal::over_tree(pi, merges, Stream::new(key), step))?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample whose duels are between near points.
#[pyfunction]
#[pyo3(signature = (pi, x, key, step, /, *, progress=None))]
fn pivotal_local<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    x: PyReadonlyArray2<'py, f64>,
    key: u64,
    step: u32,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Indices<'py>> {
    let (pi, dim, points) = (pi.as_slice()?, x.shape()[1], x.as_slice()?);
    if x.shape()[0] != pi.len() {
        let (expected, got) = (format!("({}, d)", pi.len()), format!("{:?}", x.shape()));
        return Err(to_py(Error::Shape { name: "X", expected, got }));
    }
    let stream = Stream::new(key);
    let chosen = by_size(py, pi.len(), progress, |cancel| {
        kernels::local_pivotal::local_pivotal(pi, points, dim, stream, step, cancel)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// A conditional Poisson sample of given odds.
#[pyfunction]
#[pyo3(signature = (odds, k, key, step, /))]
fn conditional_poisson<'py>(
    py: Python<'py>,
    odds: Floats<'py>,
    k: usize,
    key: u64,
    step: u32,
) -> PyResult<Indices<'py>> {
    let odds = odds.as_slice()?;
    let chosen = by_size(py, odds.len(), None, |cancel| {
        ConditionalPoisson::new(odds, k)?.sample(Stream::new(key), step, cancel)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// The inclusion probabilities of a conditional Poisson design.
#[pyfunction]
#[pyo3(signature = (odds, k, /, *, num_threads=None))]
fn conditional_poisson_probabilities<'py>(
    py: Python<'py>,
    odds: Floats<'py>,
    k: usize,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (odds, threads) = (odds.as_slice()?, pool::threads_old(num_threads)?);
    let pi = by_size(py, odds.len(), None, |cancel| {
        ConditionalPoisson::new(odds, k)?.probabilities(threads, cancel)
    })?;
    Ok(pi.into_pyarray(py))
}

/// The odds of the conditional Poisson design with given probabilities.
#[pyfunction]
#[pyo3(signature = (pi, /, *, num_threads=None))]
fn conditional_poisson_odds<'py>(
    py: Python<'py>,
    pi: Floats<'py>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (pi, threads) = (pi.as_slice()?, pool::threads_old(num_threads)?);
    let odds =
        by_size(py, pi.len(), None, |cancel| Ok(ConditionalPoisson::fit(pi, threads, cancel)?.0))?;
    Ok(odds.into_pyarray(py))
}

/// Logarithms of elementary symmetric polynomials of numbers given by logarithms.
#[pyfunction]
#[pyo3(signature = (logs, k, /))]
fn log_elementary_symmetric<'py>(
    py: Python<'py>,
    logs: Floats<'py>,
    k: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let logs = logs.as_slice()?;
    let e = by_size(py, logs.len(), None, |cancel| {
        kernels::esp::log_elementary_symmetric(logs, k, cancel)
    })?;
    Ok(e.into_pyarray(py))
}

/// Counts in proportion to shares.
#[pyfunction]
#[pyo3(signature = (shares, m, floors, caps, /))]
fn allocate<'py>(
    py: Python<'py>,
    shares: Floats<'py>,
    m: u64,
    floors: Ints<'py>,
    caps: Ints<'py>,
) -> PyResult<Indices<'py>> {
    let given = kernels::strata::allocate(shares.as_slice()?, m, &counts(&floors), &counts(&caps));
    let signed: Vec<i64> = given.map_err(to_py)?.into_iter().map(u64::cast_signed).collect();
    Ok(signed.into_pyarray(py))
}

/// A simple random sample of each stratum.
#[pyfunction]
#[pyo3(signature = (strata, wanted, key, step, /))]
fn stratified<'py>(
    py: Python<'py>,
    strata: Ints<'py>,
    wanted: Ints<'py>,
    key: u64,
    step: u32,
) -> PyResult<Indices<'py>> {
    let (strata, wanted) = (strata.as_slice()?, counts(&wanted));
    let chosen = detached(py, || kernels::strata::sample(strata, &wanted, Stream::new(key), step))?;
    Ok(chosen.into_pyarray(py))
}

/// Masks of features of evenly spread sizes, and their weights.
#[pyfunction]
#[pyo3(signature = (n, rows, key, step, /, *, num_threads=None))]
fn stratified_masks<'py>(
    py: Python<'py>,
    n: usize,
    rows: usize,
    key: u64,
    step: u32,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyTuple>> {
    let threads = pool::threads_old(num_threads)?;
    let (masks, weights) = detached(py, || {
        kernels::masks::stratified_masks(n, rows, Stream::new(key), step, threads)
    })?;
    let masks: Bound<'py, PyArray2<bool>> = masks.into_pyarray(py).reshape([rows, n])?;
    (masks, weights.into_pyarray(py)).into_pyobject(py)
}

/// The weight of a mask of each size.
#[pyfunction]
#[pyo3(signature = (n, /))]
fn mask_weights(py: Python<'_>, n: usize) -> PyResult<Bound<'_, PyArray1<f64>>> {
    Ok(detached(py, || kernels::masks::mask_weights(n))?.into_pyarray(py))
}

/// The state of a pivotal design over a part of a population.
#[pyclass(frozen, module = "sortes._core.select.design")]
pub(crate) struct Pivotal(Mutex<kernels::Pivotal>);

impl Pivotal {
    fn state(&self) -> MutexGuard<'_, kernels::Pivotal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The chosen units and their probabilities, the open one and what is left of it, the sum of
/// probabilities in two parts, the positions, the next one.
type State<Ids, Pi> = (Ids, Pi, (i64, f64, f64), (f64, f64), Vec<(u64, u64)>, u64);

#[pymethods]
impl Pivotal {
    #[new]
    #[pyo3(signature = (first, /))]
    fn new(first: u64) -> Self {
        Self(Mutex::new(kernels::Pivotal::new(first)))
    }

    /// A state as `state_tuple` returned it.
    #[staticmethod]
    #[pyo3(signature = (state, /))]
    fn from_state(state: State<Ints<'_>, Floats<'_>>) -> PyResult<Self> {
        let (chosen, pi, (id, own, left), (high, low), stretches, next) = state;
        let mut out = kernels::Pivotal::new(next);
        out.chosen = chosen.as_slice()?.iter().copied().zip(pi.as_slice()?.to_vec()).collect();
        (out.open, out.left, out.stretches) = ((id, own), left, stretches);
        (out.total.high, out.total.low) = (high, low);
        Ok(Self(Mutex::new(out)))
    }

    /// All that there is to it.
    fn state_tuple<'py>(&self, py: Python<'py>) -> State<Indices<'py>, Bound<'py, PyArray1<f64>>> {
        let state = self.state();
        let (chosen, pi): (Vec<i64>, Vec<f64>) = state.chosen.iter().copied().unzip();
        (
            chosen.into_pyarray(py),
            pi.into_pyarray(py),
            (state.open.0, state.open.1, state.left),
            (state.total.high, state.total.low),
            state.stretches.clone(),
            state.next,
        )
    }

    /// Appends units.
    #[pyo3(signature = (pi, ids, key, step, /))]
    fn extend(
        &self,
        py: Python<'_>,
        pi: Floats<'_>,
        ids: Option<Ints<'_>>,
        key: u64,
        step: u32,
    ) -> PyResult<()> {
        let (pi, ids) = (pi.as_slice()?, slice_of(ids.as_ref())?);
        detached(py, || self.state().extend(pi, ids, Stream::new(key), step))
    }

    /// The union of two parts.
    #[pyo3(signature = (other, key, step, /))]
    fn merge(&self, other: &Self, key: u64, step: u32) -> PyResult<Self> {
        // One lock at a time: the two may be one, or another thread may merge them the other way.
        let one = self.state().clone();
        let two = other.state().clone();
        let merged = one.merge(two, Stream::new(key), step).map_err(to_py)?;
        Ok(Self(Mutex::new(merged)))
    }

    /// The chosen units and their probabilities, the last fraction decided.
    #[pyo3(signature = (key, step, /))]
    fn finish<'py>(
        &self,
        py: Python<'py>,
        key: u64,
        step: u32,
    ) -> (Indices<'py>, Bound<'py, PyArray1<f64>>) {
        let chosen = self.state().finish(Stream::new(key), step);
        let (chosen, pi): (Vec<i64>, Vec<f64>) = chosen.into_iter().unzip();
        (chosen.into_pyarray(py), pi.into_pyarray(py))
    }
}

#[pymodule(submodule)]
pub(crate) mod design {
    #[pymodule_export]
    use super::{
        Pivotal, allocate, conditional_poisson, conditional_poisson_odds,
        conditional_poisson_probabilities, inclusion_probabilities, log_elementary_symmetric,
        mask_weights, pivotal_balanced, pivotal_local, pivotal_over_tree, pivotal_sequential,
        poisson, stratified, stratified_masks, systematic,
    };
}
