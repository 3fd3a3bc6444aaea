//! `_core.decode.sampling`: logits to tokens.

use numpy::ndarray::IxDyn;
use numpy::{PyArray1, PyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::types::{PyDict, PyList, PyTuple};
use sortes::decode::stats::{self, RowStats};
use sortes::decode::{
    self as kernels, Boundary, Call, Details, Mask, Method, Options, Parameter, Rule, Ties,
};
use sortes_core::memory::with_capacity;
use sortes_core::{Result, Run, rng};

use crate::args::Out;
use crate::arrays::{Precision, RowsView, written};
use crate::prelude::*;
use crate::tensors::Exchange;

/// Nanoseconds of one thread for one logit, of rules and a draw.
const SCAN: f64 = 0.6;
/// Of an exponential in double precision.
const EXPONENTIAL: f64 = 8.0;
/// Of its place in a sorted row.
const SORT: f64 = 60.0;

impl Named for Ties {
    const NAMES: &[(&str, Self)] = &[("high", Self::High), ("low", Self::Low), ("all", Self::All)];
}

impl Named for Boundary {
    const NAMES: &[(&str, Self)] = &[
        ("smallest", Self::Smallest),
        ("lenient", Self::Lenient),
        ("ties_all", Self::TiesAll),
        ("exclude", Self::Exclude),
    ];
}

impl Named for Method {
    const NAMES: &[(&str, Self)] = &[("auto", Self::Auto), ("scan", Self::Scan)];
}

impl<T: Copy + Sync> kernels::Rows<T> for RowsView<T> {
    fn rows(&self) -> usize {
        self.rows()
    }
    fn cols(&self) -> usize {
        self.cols()
    }
    fn row(&self, row: usize) -> &[T] {
        self.row(row)
    }
}

/// Validated truncation rules.
#[pyclass(frozen, module = "sortes._core.decode.sampling")]
pub(crate) struct Rules(kernels::Rules);

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (params, order, *, ties=Choice(Ties::High),
                        top_p_boundary=Choice(Boundary::Smallest), sigma_ddof=0,
                        p_less_normalized=false, protected_ids=None))]
    fn new(
        params: &Bound<'_, PyDict>,
        order: Vec<String>,
        ties: Choice<Ties>,
        top_p_boundary: Choice<Boundary>,
        sigma_ddof: u8,
        p_less_normalized: bool,
        protected_ids: Option<Vector<'_, i64>>,
    ) -> PyResult<Self> {
        let order: Result<_> = order.iter().map(|name| Rule::named(name)).collect();
        let mut rules = kernels::Rules::new(Options {
            order: order.map_err(to_py)?,
            ties: ties.0,
            boundary: top_p_boundary.0,
            sigma_ddof,
            p_less_normalized,
            // Ids of no vocabulary protect nothing.
            protected: protected_ids.map_or_else(Vec::new, |ids| {
                ids.iter().filter_map(|&id| u32::try_from(id).ok()).collect()
            }),
        });
        params.iter().try_for_each(|(name, value)| set(&mut rules, &name, &value))?;
        Ok(Self(rules))
    }
}

fn set(
    rules: &mut kernels::Rules,
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let name: &str = name.extract()?;
    if !value.is_instance_of::<PyArray1<f64>>() {
        return rules.set(name, value.extract()?).map_err(to_py);
    }
    let values: Vector<'_, f64> = value.extract()?;
    let mut copy = with_capacity(values.len(), "parameters").map_err(to_py)?;
    copy.extend_from_slice(&values);
    rules.set_rows(name, copy).map_err(to_py)
}

/// One stream for all rows, or one for each.
pub(crate) enum Streams {
    One(rng::Stream),
    Each(Vec<rng::Stream>),
}

impl Streams {
    pub(crate) fn as_slice(&self) -> &[rng::Stream] {
        match self {
            Self::One(stream) => std::slice::from_ref(stream),
            Self::Each(streams) => streams,
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Streams {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(stream) = x.cast::<Stream>() {
            return Ok(Self::One(stream.get().0));
        }
        let given = x.cast::<PyList>()?;
        let mut streams = with_capacity(given.len(), "streams").map_err(to_py)?;
        for stream in given.iter() {
            streams.push(stream.cast::<Stream>()?.get().0);
        }
        Ok(Self::Each(streams))
    }
}

/// Allowed tokens: truth values, or packed bits.
enum Allowed<'py> {
    Bytes(Matrix<'py, bool>),
    Bits(Matrix<'py, u32>),
}

impl<'py> FromPyObject<'_, 'py> for Allowed<'py> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if x.is_instance_of::<numpy::PyArray2<u32>>() {
            x.extract().map(Self::Bits)
        } else {
            x.extract().map(Self::Bytes)
        }
    }
}

impl Allowed<'_> {
    fn mask(&self) -> Mask<'_> {
        match self {
            Self::Bytes(mask) => {
                // SAFETY: a `bool` is one byte, 0 or 1.
                let bytes = unsafe { std::slice::from_raw_parts(mask.as_ptr().cast(), mask.len()) };
                Mask::Bytes(bytes)
            }
            Self::Bits(mask) => Mask::Bits(mask),
        }
    }
}

/// What most calls are given, as one tuple.
pub(crate) struct Given<'py> {
    pub(crate) logits: Logits,
    rules: Py<Rules>,
    rows: Option<Vector<'py, u32>>,
    bias: Option<(Vector<'py, i64>, Vector<'py, f32>)>,
    mask: Option<Allowed<'py>>,
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = PyErr;

    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (x, bf16, rules, rows, bias, mask): (Bound<'py, PyAny>, bool, _, _, _, _) =
            x.extract()?;
        let logits = Logits::view(&x, bf16, "logits")?;
        Ok(Self { logits, rules, rows, bias, mask })
    }
}

impl Given<'_> {
    /// The call, in which rows draw from these streams.
    pub(crate) fn call<'a>(&'a self, streams: &'a [rng::Stream]) -> Call<'a> {
        Call {
            rules: &self.rules.get().0,
            streams,
            rows: self.rows.as_deref(),
            bias: self.bias.as_ref().map(|(ids, values)| (&**ids, &**values)),
            mask: self.mask.as_ref().map_or(Mask::None, Allowed::mask),
        }
    }

    /// Runs a kernel on the rows, each logit of which takes about `ns`.
    pub(super) fn run<T: Send>(
        &self,
        job: &Job<'_>,
        streams: &Streams,
        ns: f64,
        f: impl FnOnce(&Call<'_>, &Logits, Run<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let (logits, call) = (&self.logits, self.call(streams.as_slice()));
        job.run(size(logits, ns), |run| f(&call, logits, run))
    }
}

fn size(logits: &Logits, ns: f64) -> Size {
    Size::new(logits.rows(), super::ROW + logits.cols() as f64 * ns)
}

/// Draws one token per row.
#[pyfunction]
#[pyo3(signature = (given, streams, uniforms, method, out, job))]
fn sample(
    given: Given<'_>,
    streams: Streams,
    uniforms: Option<Vector<'_, f64>>,
    method: Choice<Method>,
    mut out: OutVector<'_, i64>,
    job: Job<'_>,
) -> PyResult<()> {
    let (uniforms, out) = (uniforms.as_deref(), &mut *out);
    given.run(&job, &streams, SCAN, |call, logits, run| {
        with_rows!(logits, |rows| call.sample(rows, uniforms, method.0, out, run))
    })
}

/// Draws one token per row where nothing but rules and a stream decides; `None` if the rows cannot
/// be read where they lie. They draw from the stream at `step`.
#[pyfunction]
#[pyo3(signature = (logits, bf16, rules, stream, num_threads))]
fn sample_plain<'py>(
    logits: &Bound<'py, PyAny>,
    bf16: bool,
    rules: &Bound<'py, Rules>,
    stream: (Py<Stream>, u32),
    num_threads: Option<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyArrayDyn<i64>>>> {
    let py = logits.py();
    let Some(view) = Logits::in_place(logits, bf16).filter(|view| view.cols() > 0) else {
        return Ok(None);
    };
    let is_row = logits.cast::<PyUntypedArray>()?.ndim() == 1;
    let shape = [view.rows()];
    let job = Job::new(py, num_threads, None);
    let draw = |out: &mut [i64]| draw_plain(&view, rules, stream, &job, out);
    written(py, if is_row { &[] } else { &shape }, draw).map(Some)
}

/// The same for a tensor of the type that `exchange` is of.
#[pyfunction]
#[pyo3(signature = (exchange, logits, rules, stream, num_threads))]
fn sample_tensor<'py>(
    exchange: &Bound<'py, Exchange>,
    logits: &Bound<'py, PyAny>,
    rules: &Bound<'py, Rules>,
    stream: (Py<Stream>, u32),
    num_threads: Option<Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (py, exchange) = (logits.py(), exchange.get());
    let Some((view, is_row)) = exchange.rows(logits).filter(|(view, _)| view.cols() > 0) else {
        return Ok(None);
    };
    let shape = [view.rows()];
    let job = Job::new(py, num_threads, None);
    let draw = |out: &mut [i64]| draw_plain(&view, rules, stream, &job, out);
    exchange.written(py, if is_row { &[] } else { &shape }, draw).map(Some)
}

/// Draws one token per row from the stream at a step.
fn draw_plain(
    logits: &Logits,
    rules: &Bound<'_, Rules>,
    (stream, step): (Py<Stream>, u32),
    job: &Job<'_>,
    out: &mut [i64],
) -> PyResult<()> {
    let streams = [stream.get().0.at_step(step)];
    let (rules, bias) = (&rules.get().0, None);
    let call = Call { rules, streams: &streams, rows: None, bias, mask: Mask::None };
    job.run(size(logits, SCAN), |run| {
        with_rows!(logits, |rows| call.sample(rows, None, Method::Auto, out, run))
    })
}

/// What is known of drawn tokens, each part an array to write to.
#[derive(FromPyObject)]
struct Parts<'py>(
    OutVector<'py, i64>,
    OutVector<'py, f64>,
    OutVector<'py, i64>,
    OutVector<'py, f64>,
    OutMatrix<'py, i64>,
    OutMatrix<'py, f64>,
);

impl Parts<'_> {
    fn details(&mut self) -> Details<'_> {
        let Self(tokens, logprob, rank, mass, top_ids, top_logprobs) = self;
        Details { tokens, logprob, rank, mass, top_ids, top_logprobs }
    }
}

/// Draws one token per row, and writes what is known of it.
#[pyfunction]
#[pyo3(signature = (given, streams, uniforms, method, processed, out, job))]
fn sample_details(
    given: Given<'_>,
    streams: Streams,
    uniforms: Option<Vector<'_, f64>>,
    method: Choice<Method>,
    processed: bool,
    mut out: Parts<'_>,
    job: Job<'_>,
) -> PyResult<()> {
    let (uniforms, method, out) = (uniforms.as_deref(), method.0, out.details());
    given.run(&job, &streams, 3.0 * SCAN, |call, logits, run| {
        with_rows!(logits, |rows| {
            call.sample_details(rows, uniforms, method, processed, out, run)
        })
    })
}

/// Writes `fill` in place of the tokens that the rules remove, and if `scaled` divides the others
/// by the temperature.
#[pyfunction]
fn truncate(
    given: Given<'_>,
    streams: Streams,
    fill: f64,
    scaled: bool,
    out: &Bound<'_, PyAny>,
    job: Job<'_>,
) -> PyResult<()> {
    with_rows!(&given.logits, |rows| write_like(rows, out, |out| {
        given.run(&job, &streams, SCAN, |call, _, run| call.truncate(rows, fill, scaled, out, run))
    }))
}

/// Lends out the memory of an array like the logits.
fn write_like<T: Precision>(
    _: &RowsView<T>,
    out: &Bound<'_, PyAny>,
    f: impl FnOnce(&mut [T]) -> PyResult<()>,
) -> PyResult<()> {
    const { assert!(size_of::<T>() == size_of::<T::Stored>()) };
    const { assert!(align_of::<T>() == align_of::<T::Stored>()) };
    let mut out: Out<'_, T::Stored, IxDyn> = out.extract()?;
    // SAFETY: `Stored` is how NumPy stores a `T`: the same size, alignment and bits.
    f(unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), out.len()) })
}

/// Declares a function that writes one array of numbers per row.
macro_rules! per_row {
    ($(#[$doc:meta])* $name:ident, $type:ty, $ns:expr) => {
        $(#[$doc])*
        #[pyfunction]
        fn $name(
            given: Given<'_>,
            streams: Streams,
            mut out: OutMatrix<'_, $type>,
            job: Job<'_>,
        ) -> PyResult<()> {
            let out = &mut *out;
            given.run(&job, &streams, $ns, |call, logits, run| {
                with_rows!(logits, |rows| call.$name(rows, out, run))
            })
        }
    };
}

per_row!(
    /// Whether each token is kept.
    keep_mask, bool, SCAN
);
per_row!(
    /// The lowest and the highest kept logit of each row.
    cutoffs, f64, SCAN
);
per_row!(
    /// The exact law of the drawn token of each row.
    distribution, f64, EXPONENTIAL
);

/// Statistics of each row: a column for each.
#[pyfunction]
fn row_stats(logits: Logits, job: Job<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let found = job.run(size(&logits, 2.0 * SCAN), |run| {
        with_rows!(&logits, |rows| stats::row_stats(rows, run))
    })?;
    let real = |f: fn(&RowStats) -> f64| column(&found, f);
    let whole = |f: fn(&RowStats) -> i64| column(&found, f);
    let (max, argmax, lse) = (real(|s| s.max)?, whole(|s| s.argmax)?, real(|s| s.lse)?);
    let (entropy, collision) = (real(|s| s.entropy)?, real(|s| s.collision)?);
    let (n_finite, mean, std) = (whole(|s| s.n_finite)?, real(|s| s.mean)?, real(|s| s.std)?);
    (max, argmax, lse, entropy, collision, n_finite, mean, std).into_pyobject(job.py)
}

/// The parameter at which each token leaves the kept set of a rule.
#[pyfunction]
fn critical(
    logits: Logits,
    rule: &str,
    sigma_ddof: u8,
    ties: Choice<Ties>,
    mut out: OutMatrix<'_, f64>,
    job: Job<'_>,
) -> PyResult<()> {
    let rule = Rule::named(rule).map_err(to_py)?;
    let options = Options { sigma_ddof, ties: ties.0, ..Options::default() };
    let out = &mut *out;
    job.run(size(&logits, SORT), |run| {
        with_rows!(&logits, |rows| stats::critical(rows, rule, &options, out, run))
    })
}

/// What Python sees of the table of rules.
type ParameterEntry = (&'static str, f64, String, bool, bool, bool);
type RuleEntry = (&'static str, Vec<ParameterEntry>, Vec<&'static str>, Vec<&'static str>);

fn parameter(p: &Parameter) -> ParameterEntry {
    let (domain, integer) = (p.domain.to_string(), p.domain.is_of_integers());
    (p.name, p.neutral, domain, integer, p.is_switch(), p.is_off_below())
}

fn entry(rule: &Rule) -> RuleEntry {
    let flags = [
        ("keeps_best", rule.keeps_best),
        ("reshapes", rule.reshapes),
        ("critical", rule.has_critical()),
        ("random", rule.is_random()),
    ];
    (
        rule.name,
        rule.parameters.iter().map(parameter).collect(),
        rule.shared.iter().map(|p| p.name).collect(),
        flags.iter().filter(|(_, is)| *is).map(|(flag, _)| *flag).collect(),
    )
}

/// Logits to tokens.
#[pymodule(submodule)]
pub(crate) mod sampling {
    use pyo3::prelude::*;
    use sortes::decode::{COMMON, GREEDY, RULES};

    #[pymodule_export]
    use crate::tensors::Exchange;

    #[pymodule_export]
    use super::{
        Rules, critical, cutoffs, distribution, keep_mask, row_stats, sample, sample_details,
        sample_plain, sample_tensor, truncate,
    };

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add("RULES", RULES.iter().map(super::entry).collect::<Vec<_>>())?;
        m.add("COMMON", COMMON.iter().map(super::parameter).collect::<Vec<_>>())?;
        m.add("GREEDY", GREEDY)
    }
}
