//! `_core.select.design.pivotal`: samples by duels, of a whole and in parts.

use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sortes::select::design as kernels;

use super::{Reals, Units};
use crate::args::{Matrix, Vector};
use crate::boundary::{Size, bytes, run, to_py};
use crate::locked::Locked;
use crate::stream::Stream;

/// Nanoseconds of a duel: with the next unit, in an order, over the nodes of a tree, with the nearest
/// of many.
const NEXT: f64 = 15.0;
const ORDERED: f64 = 40.0;
const NODE: f64 = 60.0;
const NEAREST: f64 = 12_000.0;
/// Nanoseconds of a unit that is copied or written.
const COPY: f64 = 10.0;

/// A pivotal sample in sequence.
#[pyfunction]
#[pyo3(signature = (pi, order, stream, /, *, num_threads=None, progress=None))]
fn sequential<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    order: Option<Vector<'py, i64>>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, order) = (&*pi, order.as_deref());
    let size = Size::new(pi.len(), if order.is_some() { ORDERED } else { NEXT });
    let chosen = run(py, size, num_threads, progress, |run| {
        kernels::pivotal::sequential(pi, order, stream.0, run)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample over the balanced tree.
#[pyfunction]
#[pyo3(signature = (pi, stream, /, *, num_threads=None, progress=None))]
fn balanced<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, size) = (&*pi, Size::new(pi.len(), NEXT));
    let chosen =
        run(py, size, num_threads, progress, |run| kernels::pivotal::balanced(pi, stream.0, run))?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample over a tree of merges.
#[pyfunction]
#[pyo3(signature = (pi, merges, stream, /, *, num_threads=None, progress=None))]
fn over_tree<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    merges: Matrix<'py, i64>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, merges) = (&*pi, merges.as_chunks::<2>().0);
    let chosen = run(py, Size::new(pi.len(), NODE), num_threads, progress, |run| {
        kernels::pivotal::over_tree(pi, merges, stream.0, run)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// A pivotal sample whose duels are between near points.
#[pyfunction]
#[pyo3(signature = (pi, x, stream, /, *, num_threads=None, progress=None))]
fn local<'py>(
    py: Python<'py>,
    pi: Vector<'py, f64>,
    x: Matrix<'py, f64>,
    stream: &Stream,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Units<'py>> {
    let (pi, x, dim) = (&*pi, &*x, x.cols());
    let size = Size::new(pi.len(), NEAREST);
    let chosen = run(py, size, num_threads, progress, |run| {
        kernels::local_pivotal(pi, x, dim, stream.0, run)
    })?;
    Ok(chosen.into_pyarray(py))
}

/// The state of a pivotal design over a part of a population.
#[pyclass(frozen, module = "sortes._core.select.design.pivotal")]
pub(crate) struct Pivotal(Locked<kernels::Pivotal>);

impl Pivotal {
    /// The work of a copy.
    fn size(&self, py: Python<'_>) -> PyResult<Size> {
        Ok(Size::new(self.0.get(py, kernels::Pivotal::chosen)?, COPY))
    }

    fn copied(&self, py: Python<'_>) -> PyResult<kernels::Pivotal> {
        self.0.read(py, self.size(py)?, None, None, kernels::Pivotal::copy)
    }
}

#[pymethods]
impl Pivotal {
    #[new]
    #[pyo3(signature = (first, stream, /))]
    fn new(first: u64, stream: &Stream) -> PyResult<Self> {
        Ok(Self(Locked::new(kernels::Pivotal::new(first, stream.0).map_err(to_py)?)))
    }

    /// How many units there are.
    #[getter]
    fn units(&self, py: Python<'_>) -> PyResult<u64> {
        self.0.get(py, kernels::Pivotal::units)
    }

    /// Appends units.
    #[pyo3(signature = (pi, ids, /, *, progress=None))]
    fn extend(
        &self,
        py: Python<'_>,
        pi: Vector<'_, f64>,
        ids: Option<Vector<'_, i64>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (pi, ids, size) = (&*pi, ids.as_deref(), Size::new(pi.len(), NEXT));
        self.0.write(py, size, None, progress, |part, run| part.extend(pi, ids, run))
    }

    /// Takes in another part.
    #[pyo3(signature = (other, /))]
    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        // A copy: the two may be one, or another thread may merge them the other way.
        let size = other.size(py)?;
        let other = other.copied(py)?;
        self.0.write(py, size, None, None, |part, run| part.merge(&other, run))
    }

    /// The chosen units and their probabilities, the last fraction decided.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<(Units<'py>, Reals<'py>)> {
        let size = self.size(py)?;
        let (chosen, pi) = self.0.read(py, size, None, None, kernels::Pivotal::finish)?;
        Ok((chosen.into_pyarray(py), pi.into_pyarray(py)))
    }

    /// A part of its own in the same state.
    fn copy(&self, py: Python<'_>) -> PyResult<Self> {
        Ok(Self(Locked::new(self.copied(py)?)))
    }

    /// The state.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let size = self.size(py)?;
        bytes(py, &self.0.read(py, size, None, None, kernels::Pivotal::to_bytes)?)
    }

    /// A part in the state that `to_bytes` wrote.
    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len(), 1.0);
        let part = run(py, size, None, None, |run| kernels::Pivotal::from_bytes(data, run))?;
        Ok(Self(Locked::new(part)))
    }
}

/// Samples by duels.
#[pymodule(submodule)]
pub(crate) mod pivotal {
    #[pymodule_export]
    use super::{Pivotal, balanced, local, over_tree, sequential};
}
