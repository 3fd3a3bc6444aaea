//! `_core.select.sketch`: samples that merge.

use sortes::select::sketch::{self as kernels, Batch, Weights};
use sortes_core::bytes::Kind;

use crate::prelude::*;

/// An item that comes in, if it is kept: most are not.
const UPDATE: f64 = 45.0;
/// An item that is held, in all else: it is sorted, merged or written.
const HELD: f64 = 300.0;
/// A byte of a state: an item has sixteen.
const BYTE: f64 = HELD / 16.0;

impl Named for Kind {
    const NAMES: &[(&str, Self)] = &[
        ("bottom_k", Self::BottomK),
        ("priority", Self::PrioritySample),
        ("var_opt", Self::VarOpt),
    ];
}

/// Ids, weights, adjusted weights, inclusion probabilities, values, threshold.
type Sampled = (Array<i64>, Array<f64>, Array<f64>, Array<f64>, Option<Array<f64>>, f64);

/// A sketch of any kind.
#[pyclass(frozen, module = "sortes._core.select.sketch")]
pub(crate) struct Sketch(Locked<kernels::Sketch>);

stateful!(Sketch(kernels::Sketch), len, HELD, BYTE);

#[pymethods]
impl Sketch {
    #[new]
    #[pyo3(signature = (kind, k, stream, shard))]
    fn new(kind: Choice<Kind>, k: u64, stream: &Stream, shard: Option<u64>) -> PyResult<Self> {
        kernels::Sketch::new(kind.0, k, stream.0, shard).map(Self::of).map_err(to_py)
    }

    fn update(
        &self,
        ids: Vector<'_, i64>,
        weights: Option<Floats<'_>>,
        values: Option<Vector<'_, f64>>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let weights = match &weights {
            None => Weights::Ones,
            Some(Floats::F64(weights)) => Weights::F64(weights),
            Some(Floats::F32(weights)) => Weights::F32(weights),
        };
        self.0.write(&job, Size::new(ids.len(), UPDATE), |sketch, run| {
            sketch.update(&Batch::new(&ids, weights, values.as_deref(), run)?, run)
        })
    }

    fn merge(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        // A copy, so that two locks are never held at once.
        let (size, other) = (other.all(py)?, other.copied(py)?);
        self.0.write(&Job::plain(py), size, |sketch, run| sketch.merge(&other, run))
    }

    fn sample(&self, py: Python<'_>) -> PyResult<Sampled> {
        let size = self.all(py)?;
        let (sample, threshold) = self.0.read(&Job::plain(py), size, kernels::Sketch::sample)?;
        Ok((
            Array(sample.ids),
            Array(sample.weights),
            Array(sample.adjusted),
            Array(sample.inclusion),
            sample.values.map(Array),
            threshold,
        ))
    }

    fn for_shard(&self, py: Python<'_>, shard: u64) -> PyResult<Self> {
        self.0.get(py, |sketch| sketch.for_shard(shard))?.map(Self::of).map_err(to_py)
    }

    fn has_drawn(&self, py: Python<'_>, shard: u64) -> PyResult<bool> {
        self.0.get(py, |sketch| sketch.header().has_drawn(shard))?.map_err(to_py)
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
        self.0.read(&Job::plain(py), self.all(py)?, kernels::Sketch::total)
    }
}

/// Samples that merge.
#[pymodule(submodule)]
pub(crate) mod sketch {
    #[pymodule_export]
    use super::Sketch;
}
