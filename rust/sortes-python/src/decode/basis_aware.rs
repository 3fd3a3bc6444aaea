//! `_core.decode.basis_aware`: truncation that knows the output matrix.

use half::{bf16, f16};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use sortes::decode::basis_aware::{self as kernels, Base, Decision, Features, Sampler, Settings};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result};

use crate::arrays::Logits;
use crate::boundary::{detached, interruptible, to_py};
use crate::pool;

/// One row in double precision.
fn widened(logits: &Logits, row: usize) -> Vec<f64> {
    match logits {
        Logits::F32(x) => x.row(row).iter().map(|&l| f64::from(l)).collect(),
        Logits::F16(x) => x.row(row).iter().copied().map(f16::to_f64).collect(),
        Logits::Bf16(x) => x.row(row).iter().copied().map(bf16::to_f64).collect(),
        Logits::F64(x) => x.row(row).to_vec(),
    }
}

/// A base rule and its parameter, both checked by the Python side.
#[derive(FromPyObject)]
struct Rule(String, f64);

impl Rule {
    fn base(&self) -> PyResult<Base> {
        match self.0.as_str() {
            "eta" => Ok(Base::Eta(self.1)),
            "epsilon" => Ok(Base::Epsilon(self.1)),
            "top_p" => Ok(Base::TopP(self.1)),
            other => {
                let reason = format!("must be 'eta', 'epsilon' or 'top_p', got {other:?}");
                Err(to_py(Error::argument("base", reason)))
            }
        }
    }
}

/// What draws rows: a key for all or for each, and the entity of each.
struct Names {
    keys: Vec<u64>,
    rows: Option<Vec<u32>>,
}

impl Names {
    fn extract(
        keys: &Bound<'_, PyAny>,
        rows: Option<PyReadonlyArray1<'_, u32>>,
        batch: usize,
    ) -> PyResult<Self> {
        let keys = match keys.cast::<PyArray1<u64>>() {
            Ok(keys) => keys.readonly().as_array().to_vec(),
            Err(_) => vec![keys.extract()?; batch],
        };
        let rows = rows.map(|rows| rows.as_array().to_vec());
        for (name, len) in [("rng", keys.len()), ("rows", rows.as_ref().map_or(batch, Vec::len))] {
            if len != batch {
                let (expected, got) = (format!("({batch},)"), format!("({len},)"));
                return Err(to_py(Error::Shape { name, expected, got }));
            }
        }
        Ok(Self { keys, rows })
    }

    fn of(&self, row: usize) -> (Stream, u32) {
        let entity = self.rows.as_ref().map_or(row as u32, |rows| rows[row]);
        (Stream::new(self.keys[row]), entity)
    }
}

/// A reduced output matrix and the program that is solved on it.
#[pyclass(frozen, module = "sortes._core.decode.basis_aware")]
pub(crate) struct Basis {
    features: Features,
    settings: Settings,
}

impl Basis {
    fn logits(&self, x: &Bound<'_, PyAny>, bf16: bool) -> PyResult<Logits> {
        let logits = Logits::extract(x, bf16, "logits")?;
        let vocabulary = self.features.vocabulary();
        if logits.cols() == vocabulary {
            return Ok(logits);
        }
        Err(to_py(Error::Shape {
            name: "logits",
            expected: format!("(B, {vocabulary})"),
            got: format!("({}, {})", logits.rows(), logits.cols()),
        }))
    }
}

#[pymethods]
impl Basis {
    #[new]
    #[pyo3(signature = (features, nonneg, max_pivots, /))]
    fn new(
        py: Python<'_>,
        features: PyReadonlyArray2<'_, f32>,
        nonneg: bool,
        max_pivots: usize,
    ) -> PyResult<Self> {
        let dim = features.as_array().ncols();
        let matrix: Vec<f32> = features.as_array().iter().copied().collect();
        let features = detached(py, || Features::new(matrix, dim))?;
        Ok(Self { features, settings: Settings::new(nonneg, max_pivots) })
    }

    /// The threshold of each row.
    #[pyo3(signature = (x, rule, temperature, /, *, bf16=false))]
    fn thresholds<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        rule: Rule,
        temperature: f64,
        bf16: bool,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (logits, base) = (self.logits(x, bf16)?, rule.base()?);
        let thresholds = detached(py, || {
            let threshold = |row| {
                let p = kernels::law::softmax(&widened(&logits, row), temperature, row)?;
                Ok(base.threshold(&p))
            };
            (0..logits.rows()).map(threshold).collect::<Result<Vec<f64>>>()
        })?;
        Ok(thresholds.into_pyarray(py))
    }

    /// Tokens, programs solved and programs given up, for each row.
    #[pyo3(signature = (x, rule, temperature, keys, rows, step, max_lp, strict, /, *,
                        bf16=false, num_threads=None))]
    #[allow(clippy::too_many_arguments)]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        rule: Rule,
        temperature: f64,
        keys: &Bound<'py, PyAny>,
        rows: Option<PyReadonlyArray1<'py, u32>>,
        step: u32,
        max_lp: Option<u32>,
        strict: bool,
        bf16: bool,
        num_threads: Option<i64>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let logits = self.logits(x, bf16)?;
        let names = Names::extract(keys, rows, logits.rows())?;
        let threads = pool::threads_old(num_threads)?;
        let sampler = Sampler {
            features: &self.features,
            settings: self.settings,
            base: rule.base()?,
            temperature,
            max_programs: max_lp.unwrap_or(u32::MAX),
            strict,
        };
        let drawn = interruptible(py, None, |cancel| {
            let row = |r| widened(&logits, r);
            sampler.sample(logits.rows(), row, |r| names.of(r), step, threads, cancel)
        })?;
        let column = |f: fn(&kernels::Drawn) -> i64| {
            drawn.iter().map(f).collect::<Vec<i64>>().into_pyarray(py)
        };
        let tokens = column(|d| d.token as i64);
        let programs = column(|d| d.programs.into());
        let failures = column(|d| d.failures.into());
        (tokens, programs, failures).into_pyobject(py)
    }

    /// The mask of kept tokens.
    #[pyo3(signature = (x, rule, temperature, strict, /, *,
                        bf16=false, num_threads=None, progress=None))]
    #[allow(clippy::too_many_arguments)]
    fn keep_mask<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        rule: Rule,
        temperature: f64,
        strict: bool,
        bf16: bool,
        num_threads: Option<i64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<bool>>> {
        let (logits, base) = (self.logits(x, bf16)?, rule.base()?);
        let threads = pool::threads_old(num_threads)?;
        let Self { features, settings } = self;
        let mask = interruptible(py, progress, |cancel| {
            cancel.expect((logits.rows() * logits.cols()) as u64);
            let mut mask = Vec::new();
            for row in 0..logits.rows() {
                let p = kernels::law::softmax(&widened(&logits, row), temperature, row)?;
                let tau = base.threshold(&p);
                mask.extend(kernels::keep(
                    features, *settings, p, tau, strict, row, threads, cancel,
                )?);
            }
            Ok(mask)
        })?;
        mask.into_pyarray(py).reshape([logits.rows(), logits.cols()])
    }

    /// The critical values of some tokens, or of all.
    #[pyo3(signature = (x, ids, temperature, /, *, bf16=false, num_threads=None, progress=None))]
    #[allow(clippy::too_many_arguments)]
    fn critical<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        ids: Option<PyReadonlyArray1<'py, i64>>,
        temperature: f64,
        bf16: bool,
        num_threads: Option<i64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let logits = self.logits(x, bf16)?;
        let ids = match ids {
            None => (0..logits.cols()).collect(),
            Some(ids) => ids
                .as_array()
                .iter()
                .map(|&id| self.token("ids", id))
                .collect::<PyResult<Vec<usize>>>()?,
        };
        let threads = pool::threads_old(num_threads)?;
        let Self { features, settings } = self;
        let values = interruptible(py, progress, |cancel| {
            cancel.expect((logits.rows() * ids.len()) as u64);
            let mut values = Vec::new();
            for row in 0..logits.rows() {
                let p = kernels::law::softmax(&widened(&logits, row), temperature, row)?;
                values
                    .extend(kernels::critical(features, *settings, p, &ids, row, threads, cancel)?);
            }
            Ok(values)
        })?;
        values.into_pyarray(py).reshape([logits.rows(), ids.len()])
    }

    /// Whether the first row keeps `id` at `tau`, and the proof.
    #[pyo3(signature = (x, id, tau, temperature, /, *, bf16=false))]
    fn decide<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        id: i64,
        tau: f64,
        temperature: f64,
        bf16: bool,
    ) -> PyResult<(bool, Bound<'py, PyArray1<f64>>)> {
        let logits = self.logits(x, bf16)?;
        let token = self.token("id", id)?;
        let Self { features, settings } = self;
        let decision = interruptible(py, None, |cancel| {
            let p = kernels::law::softmax(&widened(&logits, 0), temperature, 0)?;
            kernels::decide(features, *settings, p, token, tau, cancel)
        })?;
        Ok(match decision {
            Decision::Kept(price) => (true, price.into_pyarray(py)),
            Decision::Removed(q) => (false, q.into_pyarray(py)),
        })
    }
}

impl Basis {
    fn token(&self, name: &'static str, id: i64) -> PyResult<usize> {
        let vocabulary = self.features.vocabulary();
        usize::try_from(id).ok().filter(|&id| id < vocabulary).ok_or_else(|| {
            to_py(Error::argument(name, format!("must be in [0, {vocabulary}), got {id}")))
        })
    }
}

/// Basis-aware truncation.
#[pymodule(submodule)]
pub(crate) mod basis_aware {
    #[pymodule_export]
    use super::Basis;
}
