//! `_core.decode.basis_aware`: truncation that knows the output matrix.

use std::sync::Arc;

use numpy::{PyArray2, PyArrayMethods};
use sortes::decode::basis_aware::{BasisAware, Decision, Drawn, Features, Settings};
use sortes_core::memory::{copied, filled, with_capacity};
use sortes_core::rng;

use crate::decode::sampling::{Given, Streams};
use crate::prelude::*;

/// Nanoseconds for a number of the matrix.
const NUMBER: f64 = 5.0;
/// For an exponential of a logit.
const EXPONENTIAL: f64 = 8.0;
/// For a program, and for the programs of a draw.
const PROGRAM: f64 = 5e6;
const DRAW: f64 = 50e6;
/// For a token, in both.
const TOKEN: f64 = 200.0;
/// For a byte of a state.
const BYTE: f64 = 4.0;

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
    fn new(py: Python<'_>, features: Matrix<'_, f32>, options: Options) -> PyResult<Self> {
        let features = Job::plain(py).run(Size::new(features.len(), NUMBER), |run| {
            Features::new(copied(&features, "features", run)?, features.cols(), run)
        })?;
        Ok(Self(made(Arc::new(features), options)))
    }

    /// The same matrix with other options.
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
        let matrix = Job::plain(py).array(Size::new(len, NUMBER).serial(), |run| {
            let (mut numbers, mut matrix) = (features.matrix(), with_capacity(len, "features")?);
            for range in run.blocks(len, 1 << 16) {
                matrix.extend(numbers.by_ref().take(range?.len()));
            }
            Ok(matrix)
        })?;
        matrix.into_pyobject(py)?.reshape([features.vocabulary(), features.dim()])
    }

    /// Tokens, programs solved and programs given up, for each row.
    fn sample(
        &self,
        given: Given<'_>,
        streams: Streams,
        job: Job<'_>,
    ) -> PyResult<(Array<i64>, Array<i64>, Array<i64>)> {
        let mut drawn = filled(given.logits.rows(), Drawn::default(), "draws").map_err(to_py)?;
        let per_logit = DRAW / given.logits.cols() as f64 + TOKEN;
        given.run(&job, &streams, per_logit, |call, logits, run| {
            with_rows!(logits, |rows| self.0.sample(call, rows, &mut drawn, run))
        })?;
        let column = |f: fn(&Drawn) -> i64| column(&drawn, f);
        let (tokens, programs) = (column(|d| d.token as i64)?, column(|d| d.programs.into())?);
        Ok((tokens, programs, column(|d| d.failures.into())?))
    }

    /// Writes which tokens are kept.
    fn keep_mask(
        &self,
        given: Given<'_>,
        mut out: OutMatrix<'_, bool>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let (call, out) = (given.call(NONE), &mut *out);
        job.run(Size::new(out.len(), PROGRAM), |run| {
            with_rows!(&given.logits, |rows| self.0.keep_mask(&call, rows, out, run))
        })
    }

    /// Writes the probability at which the rules cut each row.
    fn cutoffs(&self, given: Given<'_>, mut out: OutVector<'_, f64>, job: Job<'_>) -> PyResult<()> {
        let (call, out) = (given.call(NONE), &mut *out);
        job.run(Size::new(out.len(), EXPONENTIAL * given.logits.cols() as f64), |run| {
            with_rows!(&given.logits, |rows| self.0.cutoffs(&call, rows, out, run))
        })
    }

    /// Writes the critical values of some tokens.
    fn critical(
        &self,
        given: Given<'_>,
        ids: Vector<'_, i64>,
        mut out: OutMatrix<'_, f64>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let (call, out) = (given.call(NONE), &mut *out);
        let size = Size::new(out.len(), PROGRAM + TOKEN * given.logits.cols() as f64);
        job.run(size, |run| {
            with_rows!(&given.logits, |rows| self.0.critical(&call, rows, &ids, out, run))
        })
    }

    /// Whether the first row keeps `id` at `tau`, and the proof.
    fn decide(
        &self,
        py: Python<'_>,
        given: Given<'_>,
        id: i64,
        tau: f64,
    ) -> PyResult<(bool, Array<f64>)> {
        let call = given.call(NONE);
        let size = Size::new(1, DRAW + TOKEN * given.logits.cols() as f64);
        let decision = Job::plain(py).run(size, |run| {
            with_rows!(&given.logits, |rows| self.0.decide(&call, rows, id, tau, run))
        })?;
        Ok(match decision {
            Decision::Kept(price) => (true, Array(price)),
            Decision::Removed(q) => (false, Array(q)),
        })
    }

    fn to_bytes(&self, py: Python<'_>) -> PyResult<Bytes> {
        let features = &self.0.features;
        let size = Size::new(features.vocabulary() * features.dim(), NUMBER);
        Job::plain(py).run(size, |run| self.0.to_bytes(run)).map(Bytes)
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let size = Size::new(data.len(), BYTE);
        Job::plain(py).run(size, |run| BasisAware::from_bytes(data, run)).map(Self)
    }
}

/// Basis-aware truncation.
#[pymodule(submodule)]
pub(crate) mod basis_aware {
    #[pymodule_export]
    use super::Basis;
}
