//! `_core.select.design.pivotal`: samples by duels, of a whole and in parts.

use sortes::select::design::{self as kernels, pivotal as duels};

use crate::prelude::*;

/// Nanoseconds of a duel: with the next unit, in an order, over the nodes of a tree, with the nearest
/// of many.
const NEXT: f64 = 15.0;
const ORDERED: f64 = 40.0;
const NODE: f64 = 60.0;
const NEAREST: f64 = 12_000.0;
/// Nanoseconds of a unit that is copied or written, and of a byte of a state.
const COPY: f64 = 10.0;
const BYTE: f64 = 1.0;

/// A pivotal sample in sequence.
#[pyfunction]
fn sequential(
    pi: Vector<'_, f64>,
    order: Option<Vector<'_, i64>>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let size = Size::new(pi.len(), if order.is_some() { ORDERED } else { NEXT });
    job.array(size, |run| duels::sequential(&pi, order.as_deref(), stream.0, run))
}

/// A pivotal sample over the balanced tree.
#[pyfunction]
fn balanced(pi: Vector<'_, f64>, stream: &Stream, job: Job<'_>) -> PyResult<Array<i64>> {
    job.array(Size::new(pi.len(), NEXT), |run| duels::balanced(&pi, stream.0, run))
}

/// A pivotal sample over a tree of merges.
#[pyfunction]
fn over_tree(
    pi: Vector<'_, f64>,
    merges: Matrix<'_, i64>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let merges = merges.as_chunks::<2>().0;
    job.array(Size::new(pi.len(), NODE), |run| duels::over_tree(&pi, merges, stream.0, run))
}

/// A pivotal sample whose duels are between near points.
#[pyfunction]
fn local(
    pi: Vector<'_, f64>,
    x: Matrix<'_, f64>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let size = Size::new(pi.len(), NEAREST);
    job.array(size, |run| kernels::local_pivotal(&pi, &x, x.cols(), stream.0, run))
}

/// The state of a pivotal design over a part of a population.
#[pyclass(frozen, module = "sortes._core.select.design.pivotal")]
pub(crate) struct Pivotal(Locked<kernels::Pivotal>);

stateful!(Pivotal(kernels::Pivotal), chosen, COPY, BYTE, units: u64);

#[pymethods]
impl Pivotal {
    #[new]
    fn new(first: u64, stream: &Stream) -> PyResult<Self> {
        kernels::Pivotal::new(first, stream.0).map(Self::of).map_err(to_py)
    }

    /// Appends units.
    fn extend(
        &self,
        pi: Vector<'_, f64>,
        ids: Option<Vector<'_, i64>>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let size = Size::new(pi.len(), NEXT).serial();
        self.0.write(&job, size, |part, run| part.extend(&pi, ids.as_deref(), run))
    }

    /// Takes in another part.
    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        // A copy: the two may be one, or another thread may merge them the other way.
        let (size, other) = (other.all(py)?, other.copied(py)?);
        self.0.write(&Job::plain(py), size, |part, run| part.merge(&other, run))
    }

    /// The chosen units and their probabilities, the last fraction decided.
    fn finish(&self, py: Python<'_>) -> PyResult<(Array<i64>, Array<f64>)> {
        let size = self.all(py)?;
        let (chosen, pi) = self.0.read(&Job::plain(py), size, kernels::Pivotal::finish)?;
        Ok((Array(chosen), Array(pi)))
    }
}

/// Samples by duels.
#[pymodule(submodule)]
pub(crate) mod pivotal {
    #[pymodule_export]
    use super::{Pivotal, balanced, local, over_tree, sequential};
}
