//! `_core.decode.basis_aware`: truncation that knows the output matrix.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use sortes::decode::basis_aware::{BasisAware, Decision, Drawn, Features, Settings};
use sortes_core::memory::{copied, filled, with_capacity};
use sortes_core::rng;

use crate::args::{Matrix, Vector};
use crate::arrays::{elements_mut, with_rows, writable};
use crate::boundary::{Size, bytes, run, to_py};
use crate::decode::sampling::{Given, Streams};

/// Nanoseconds for a number of the matrix.
const NUMBER: f64 = 5.0;
/// For an exponential of a logit.
const EXPONENTIAL: f64 = 8.0;
/// For a program, and for the programs of a draw: enough that no draw is deaf.
const PROGRAM: f64 = 5e6;
const DRAW: f64 = 50e6;
/// For eight bytes of a state.
const WORD: f64 = 30.0;

/// Options: `nonneg`, `max_lp`, `max_pivots`, `strict`.
type Options = (bool, Option<u32>, usize, bool);

/// What no random number is drawn from.
const NONE: &[rng::Stream] = &[rng::Stream::new(0)];

/// A reduced output matrix, and the options of the programs that are solved on it.
#[pyclass(frozen, module = "sortes._core.decode.basis_aware")]
pub(crate) struct Basis(BasisAware);

fn made(features: Arc<Features>, (nonneg, max_lp, max_pivots, strict): Options) -> BasisAware {
    let settings = Settings::new(nonneg, max_pivots);
    BasisAware { features, settings, max_programs: max_lp.unwrap_or(u32::MAX), strict }
}

#[pymethods]
impl Basis {
    #[new]
    #[pyo3(signature = (features, options, /))]
    fn new(py: Python<'_>, features: Matrix<'_, f32>, options: Options) -> PyResult<Self> {
        let (matrix, cols): (&[f32], usize) = (&features, features.cols());
        let features = run(py, Size::new(matrix.len(), NUMBER), None, None, |run| {
            Features::new(copied(matrix, "features", run)?, cols, run)
        })?;
        Ok(Self(made(Arc::new(features), options)))
    }

    /// The same matrix with other options.
    #[pyo3(signature = (options, /))]
    fn with_options(&self, options: Options) -> Self {
        Self(made(self.0.features.clone(), options))
    }

    fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    #[getter]
    fn options(&self) -> Options {
        let BasisAware { settings, max_programs, strict, .. } = &self.0;
        let max_lp = Some(*max_programs).filter(|&most| most != u32::MAX);
        (settings.nonneg, max_lp, settings.max_pivots, *strict)
    }

    /// The matrix as it was given.
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let features = &self.0.features;
        let len = features.vocabulary() * features.dim();
        let matrix = run(py, Size::new(len, NUMBER), None, None, |run| {
            let (mut numbers, mut matrix) = (features.matrix(), with_capacity(len, "features")?);
            for range in run.blocks(len, 1 << 16) {
                matrix.extend(numbers.by_ref().take(range?.len()));
            }
            Ok(matrix)
        })?;
        matrix.into_pyarray(py).reshape([features.vocabulary(), features.dim()])
    }

    /// Tokens, programs solved and programs given up, for each row.
    #[pyo3(signature = (given, streams, /, *, num_threads=None, progress=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        given: Given<'py>,
        streams: Streams,
        num_threads: Option<&Bound<'py, PyAny>>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let mut drawn = filled(given.logits.rows(), Drawn::default(), "draws").map_err(to_py)?;
        let ns = DRAW / given.logits.cols() as f64;
        given.run(py, &streams, ns, num_threads, progress, |call, logits, run| {
            with_rows!(logits, |rows| self.0.sample(call, rows, &mut drawn, run))
        })?;
        let column = |f: fn(&Drawn) -> i64| {
            let mut column = with_capacity(drawn.len(), "draws").map_err(to_py)?;
            column.extend(drawn.iter().map(f));
            PyResult::Ok(column.into_pyarray(py))
        };
        let (tokens, programs) = (column(|d| d.token as i64)?, column(|d| d.programs.into())?);
        (tokens, programs, column(|d| d.failures.into())?).into_pyobject(py)
    }

    /// Writes which tokens are kept.
    #[pyo3(signature = (given, out, /, *, num_threads=None, progress=None))]
    fn keep_mask(
        &self,
        py: Python<'_>,
        given: Given<'_>,
        out: &Bound<'_, PyArray2<bool>>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut out = writable(out, "out")?;
        let out = elements_mut(&mut out, "out")?;
        let call = given.call(NONE);
        run(py, Size::new(out.len(), PROGRAM), num_threads, progress, |run| {
            with_rows!(&given.logits, |rows| self.0.keep_mask(&call, rows, out, run))
        })
    }

    /// Writes the probability at which the rules cut each row.
    #[pyo3(signature = (given, out, /, *, num_threads=None, progress=None))]
    fn cutoffs(
        &self,
        py: Python<'_>,
        given: Given<'_>,
        out: &Bound<'_, PyArray1<f64>>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut out = writable(out, "out")?;
        let out = elements_mut(&mut out, "out")?;
        let call = given.call(NONE);
        let size = Size::new(out.len(), EXPONENTIAL * given.logits.cols() as f64);
        run(py, size, num_threads, progress, |run| {
            with_rows!(&given.logits, |rows| self.0.cutoffs(&call, rows, out, run))
        })
    }

    /// Writes the critical values of some tokens.
    #[pyo3(signature = (given, ids, out, /, *, num_threads=None, progress=None))]
    fn critical(
        &self,
        py: Python<'_>,
        given: Given<'_>,
        ids: Vector<'_, i64>,
        out: &Bound<'_, PyArray2<f64>>,
        num_threads: Option<&Bound<'_, PyAny>>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let ids: &[i64] = &ids;
        let mut out = writable(out, "out")?;
        let out = elements_mut(&mut out, "out")?;
        let call = given.call(NONE);
        run(py, Size::new(out.len(), PROGRAM), num_threads, progress, |run| {
            with_rows!(&given.logits, |rows| self.0.critical(&call, rows, ids, out, run))
        })
    }

    /// Whether the first row keeps `id` at `tau`, and the proof.
    #[pyo3(signature = (given, id, tau, /))]
    fn decide<'py>(
        &self,
        py: Python<'py>,
        given: Given<'py>,
        id: i64,
        tau: f64,
    ) -> PyResult<(bool, Bound<'py, PyArray1<f64>>)> {
        let call = given.call(NONE);
        let decision = run(py, Size::new(1, DRAW), None, None, |run| {
            with_rows!(&given.logits, |rows| self.0.decide(&call, rows, id, tau, run))
        })?;
        Ok(match decision {
            Decision::Kept(price) => (true, price.into_pyarray(py)),
            Decision::Removed(q) => (false, q.into_pyarray(py)),
        })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let features = &self.0.features;
        let size = Size::new(features.vocabulary() * features.dim(), NUMBER);
        bytes(py, &run(py, size, None, None, |run| self.0.to_bytes(run))?)
    }

    #[staticmethod]
    #[pyo3(signature = (data, /))]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len() / 8, WORD);
        run(py, size, None, None, |run| BasisAware::from_bytes(data, run)).map(Self)
    }
}

/// Basis-aware truncation.
#[pymodule(submodule)]
pub(crate) mod basis_aware {
    #[pymodule_export]
    use super::Basis;
}
