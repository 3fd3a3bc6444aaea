//! `_core.decode.sampling`: logits to tokens.

#![allow(clippy::too_many_arguments)] // one native call carries what several Python functions take

use half::{bf16, f16};
use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sortes::decode::stats::{self, Critical};
use sortes::decode::{
    self as kernels, Batch, Boundary, Details, Mask, Method, Options, Step, Ties,
};
use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Error, Result};

use crate::arrays::{Logits, RowsView};
use crate::boundary::{detached, interruptible, to_py};
use crate::pool;

/// Logits above this number may keep a person waiting: such calls answer Ctrl-C.
const LONG_FROM: usize = 1 << 26;
/// Logits below this number are not worth waking a second thread.
const PARALLEL_FROM: usize = 1 << 16;

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

/// Runs a kernel with the interpreter released, by the door that its size asks for.
fn released<T: Send>(
    py: Python<'_>,
    logits: &Logits,
    f: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    if logits.rows() * logits.cols() < LONG_FROM {
        detached(py, || f(&Cancel::default()))
    } else {
        interruptible(py, None, f)
    }
}

/// Runs `$body` with `$rows` bound to the view of the logits, whatever their precision.
macro_rules! by_precision {
    ($logits:expr, |$rows:ident| $body:expr) => {
        match $logits {
            Logits::F32($rows) => $body,
            Logits::F16($rows) => $body,
            Logits::Bf16($rows) => $body,
            Logits::F64($rows) => $body,
        }
    };
}

fn choice<T: Copy>(name: &'static str, given: &str, of: &[(&str, T)]) -> PyResult<T> {
    of.iter().find(|(key, _)| *key == given).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = of.iter().map(|(key, _)| format!("{key:?}")).collect();
        to_py(Error::argument(name, format!("must be {}, got {given:?}", known.join(" or "))))
    })
}

const TIES: [(&str, Ties); 3] = [("high", Ties::High), ("low", Ties::Low), ("all", Ties::All)];

fn ddof(sigma_ddof: i64) -> PyResult<u8> {
    if (0..=1).contains(&sigma_ddof) {
        return Ok(sigma_ddof as u8);
    }
    Err(to_py(Error::argument("sigma_ddof", format!("must be 0 or 1, got {sigma_ddof}"))))
}

/// Validated truncation rules.
#[pyclass(frozen, module = "sortes._core.decode.sampling")]
pub(crate) struct Rules(kernels::Rules);

#[pymethods]
impl Rules {
    #[new]
    #[pyo3(signature = (params, order, *, ties="high", top_p_boundary="smallest", sigma_ddof=0,
                        p_less_normalized=false, protected_ids=None))]
    fn new(
        params: &Bound<'_, PyDict>,
        order: Vec<String>,
        ties: &str,
        top_p_boundary: &str,
        sigma_ddof: i64,
        p_less_normalized: bool,
        protected_ids: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Self> {
        let boundaries = [
            ("smallest", Boundary::Smallest),
            ("lenient", Boundary::Lenient),
            ("ties_all", Boundary::TiesAll),
            ("exclude", Boundary::Exclude),
        ];
        let order: Result<Vec<_>> = order.iter().map(|name| Step::parse(name)).collect();
        let protected = match protected_ids {
            None => Vec::new(),
            Some(ids) => ids.as_array().iter().filter_map(|id| u32::try_from(*id).ok()).collect(),
        };
        let mut rules = kernels::Rules::new(Options {
            order: order.map_err(to_py)?,
            ties: choice("ties", ties, &TIES)?,
            boundary: choice("top_p_boundary", top_p_boundary, &boundaries)?,
            sigma_ddof: ddof(sigma_ddof)?,
            p_less_normalized,
            protected,
        });
        for (name, value) in params {
            let name: String = name.extract()?;
            if let Ok(values) = value.cast::<PyArray1<f64>>() {
                rules.set_rows(&name, values.readonly().as_array().to_vec())
            } else {
                rules.set(&name, value.extract()?)
            }
            .map_err(to_py)?;
        }
        Ok(Self(rules))
    }
}

/// One key for all rows, or one for each.
fn keys_of(keys: &Bound<'_, PyAny>, rows: usize) -> PyResult<Vec<u64>> {
    if let Ok(keys) = keys.cast::<PyArray1<u64>>() {
        let keys = keys.readonly().as_array().to_vec();
        if keys.len() != rows {
            let reason = format!("has {} streams for {rows} rows of logits", keys.len());
            return Err(to_py(Error::argument("rng", reason)));
        }
        return Ok(keys);
    }
    Ok(vec![keys.extract()?])
}

enum MaskArray<'py> {
    None,
    Bytes(PyReadonlyArray2<'py, bool>),
    Bits(PyReadonlyArray2<'py, u32>),
}

impl<'py> MaskArray<'py> {
    fn extract(
        mask: Option<&Bound<'py, PyAny>>,
        rows: usize,
        cols: usize,
    ) -> PyResult<MaskArray<'py>> {
        let Some(mask) = mask else { return Ok(Self::None) };
        let (out, shape, width) = if let Ok(mask) = mask.cast::<PyArray2<bool>>() {
            (Self::Bytes(mask.readonly()), mask.shape(), cols)
        } else if let Ok(mask) = mask.cast::<PyArray2<u32>>() {
            (Self::Bits(mask.readonly()), mask.shape(), cols.div_ceil(32))
        } else {
            return Err(PyTypeError::new_err("mask: must be a 2-D array of bool or uint32"));
        };
        if (shape[0] != rows && shape[0] != 1) || shape[1] != width {
            let (expected, got) = (format!("({rows}, {width})"), format!("{shape:?}"));
            return Err(to_py(Error::Shape { name: "mask", expected, got }));
        }
        Ok(out)
    }

    fn borrow(&self) -> PyResult<Mask<'_>> {
        let contiguous = |()| to_py(Error::argument("mask", "must be C-contiguous"));
        Ok(match self {
            Self::None => Mask::None,
            Self::Bytes(mask) if !mask.is_c_contiguous() => return Err(contiguous(())),
            Self::Bits(mask) if !mask.is_c_contiguous() => return Err(contiguous(())),
            Self::Bytes(mask) => {
                let mask = mask.as_slice().map_err(|_| contiguous(()))?;
                // SAFETY: a `bool` is one byte, 0 or 1.
                let bytes = unsafe { std::slice::from_raw_parts(mask.as_ptr().cast(), mask.len()) };
                Mask::Bytes(bytes)
            }
            Self::Bits(mask) => Mask::Bits(mask.as_slice().map_err(|_| contiguous(()))?),
        })
    }
}

fn threads_for(logits: &Logits, num_threads: Option<i64>) -> PyResult<Threads<'static>> {
    let small = logits.rows() * logits.cols() < PARALLEL_FROM;
    if small && num_threads.is_none() {
        Ok(Threads::SERIAL)
    } else {
        pool::threads_old(num_threads)
    }
}

fn slice_of<'a, T: numpy::Element>(
    name: &'static str,
    array: &'a PyReadonlyArray1<'_, T>,
    rows: usize,
) -> PyResult<&'a [T]> {
    if array.len() != rows {
        let (expected, got) = (format!("({rows},)"), format!("({},)", array.len()));
        return Err(to_py(Error::Shape { name, expected, got }));
    }
    array.as_slice().map_err(|_| to_py(Error::argument(name, "must be contiguous")))
}

/// What every call takes beside the logits, borrowed from Python.
struct Call<'py> {
    logits: Logits,
    rules: Py<Rules>,
    keys: Vec<u64>,
    rows: Option<PyReadonlyArray1<'py, u32>>,
    step: u32,
    bias: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f32>)>,
    mask: MaskArray<'py>,
    threads: Threads<'static>,
}

impl<'py> Call<'py> {
    fn new(
        x: &Bound<'py, PyAny>,
        rules: Py<Rules>,
        keys: &Bound<'py, PyAny>,
        rows: Option<PyReadonlyArray1<'py, u32>>,
        step: u32,
        bf16: bool,
        bias: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f32>)>,
        mask: Option<&Bound<'py, PyAny>>,
        num_threads: Option<i64>,
    ) -> PyResult<Self> {
        let logits = Logits::extract(x, bf16, "logits")?;
        let keys = keys_of(keys, logits.rows())?;
        let mask = MaskArray::extract(mask, logits.rows(), logits.cols())?;
        let threads = threads_for(&logits, num_threads)?;
        Ok(Self { logits, rules, keys, rows, step, bias, mask, threads })
    }

    /// Runs a kernel on the batch with the interpreter released.
    fn run<T: Send>(
        &self,
        py: Python<'py>,
        f: impl FnOnce(&Batch<'_>, &Logits) -> Result<T> + Send,
    ) -> PyResult<T> {
        let rows = self.logits.rows();
        let stream_ids = self.rows.as_ref().map(|ids| slice_of("rows", ids, rows)).transpose()?;
        let bias = match &self.bias {
            None => None,
            Some((ids, values)) => {
                let n = ids.len();
                Some((slice_of("logit_bias", ids, n)?, slice_of("logit_bias", values, n)?))
            }
        };
        let (rules, mask) = (&self.rules.get().0, self.mask.borrow()?);
        let (keys, step, threads) = (&self.keys, self.step, self.threads);
        let logits = &self.logits;
        released(py, logits, move |cancel| {
            f(&Batch { rules, bias, mask, keys, stream_ids, step, threads, cancel }, logits)
        })
    }
}

fn method_of(method: &str) -> PyResult<Method> {
    choice("method", method, &[("auto", Method::Auto), ("scan", Method::Scan)])
}

/// The array that a call writes to: `out` if it fits, else a new one.
fn out_1d<'py, T: numpy::Element>(
    py: Python<'py>,
    out: Option<Bound<'py, PyAny>>,
    rows: usize,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let Some(out) = out else {
        // SAFETY: every element is written before the array is returned.
        return Ok(unsafe { PyArray1::new(py, [rows], false) });
    };
    let Ok(array) = out.cast::<PyArray1<T>>() else {
        let got =
            out.getattr("dtype").map_or_else(|_| out.get_type().to_string(), |d| d.to_string());
        let expected = "int64, one-dimensional".into();
        return Err(to_py(Error::Dtype { name: "out", expected, got }));
    };
    if array.len() != rows {
        let (expected, got) = (format!("({rows},)"), format!("{:?}", array.shape()));
        return Err(to_py(Error::Shape { name: "out", expected, got }));
    }
    Ok(array.clone())
}

fn out_2d<'py, T: numpy::Element>(
    py: Python<'py>,
    out: Option<Bound<'py, PyAny>>,
    rows: usize,
    cols: usize,
) -> PyResult<Bound<'py, PyArray2<T>>> {
    let Some(out) = out else {
        // SAFETY: every element is written before the array is returned.
        return Ok(unsafe { PyArray2::new(py, [rows, cols], false) });
    };
    let Ok(array) = out.cast::<PyArray2<T>>() else {
        let got =
            out.getattr("dtype").map_or_else(|_| out.get_type().to_string(), |d| d.to_string());
        let expected = format!("{}, two-dimensional", numpy::dtype::<T>(py));
        return Err(to_py(Error::Dtype { name: "out", expected, got }));
    };
    if array.shape() != [rows, cols] {
        let (expected, got) = (format!("({rows}, {cols})"), format!("{:?}", array.shape()));
        return Err(to_py(Error::Shape { name: "out", expected, got }));
    }
    // A slice of the array would also be had in Fortran's order, with the rows mixed up.
    if !array.is_c_contiguous() {
        return Err(to_py(Error::argument("out", "must be C-contiguous")));
    }
    Ok(array.clone())
}

/// The memory of an output array, borrowed for writing while the interpreter is released.
fn writable<'a, T: numpy::Element, D: numpy::ndarray::Dimension>(
    array: &'a mut numpy::PyReadwriteArray<'_, T, D>,
) -> PyResult<&'a mut [T]> {
    array.as_slice_mut().map_err(|_| to_py(Error::argument("out", "must be C-contiguous")))
}

fn borrow_out<'py, T: numpy::Element, D: numpy::ndarray::Dimension>(
    array: &Bound<'py, numpy::PyArray<T, D>>,
) -> PyResult<numpy::PyReadwriteArray<'py, T, D>> {
    array
        .try_readwrite()
        .map_err(|e| to_py(Error::argument("out", format!("cannot be written: {e}"))))
}

/// Draws one token per row.
#[pyfunction]
#[pyo3(signature = (x, rules, keys, rows, step, *, bf16=false, uniforms=None, bias=None, mask=None,
                    method="auto", details=-1, processed=false, out=None, num_threads=None))]
fn sample<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    rules: Py<Rules>,
    keys: &Bound<'py, PyAny>,
    rows: Option<PyReadonlyArray1<'py, u32>>,
    step: u32,
    bf16: bool,
    uniforms: Option<PyReadonlyArray1<'py, f64>>,
    bias: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f32>)>,
    mask: Option<&Bound<'py, PyAny>>,
    method: &str,
    details: i64,
    processed: bool,
    out: Option<Bound<'py, PyAny>>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(x, rules, keys, rows, step, bf16, bias, mask, num_threads)?;
    let n = call.logits.rows();
    let coins = uniforms.as_ref().map(|u| slice_of("uniforms", u, n)).transpose()?;
    if let Some((row, u)) =
        coins.and_then(|u| u.iter().enumerate().find(|(_, u)| !(0.0..1.0).contains(*u)))
    {
        let reason = format!("must be in [0, 1), got {u} at index {row}");
        return Err(to_py(Error::argument("uniforms", reason)));
    }
    let method = method_of(method)?;
    let tokens = out_1d::<i64>(py, out, n)?;
    if details < 0 {
        let mut borrowed = borrow_out(&tokens)?;
        let slice = writable(&mut borrowed)?;
        call.run(py, |batch, logits| {
            by_precision!(logits, |rows| batch.sample(rows, coins, method, slice))
        })?;
        drop(borrowed);
        return Ok(tokens.into_any());
    }
    let top = details as usize;
    let found: Vec<Details> = call.run(py, |batch, logits| {
        by_precision!(logits, |rows| batch.sample_details(rows, coins, method, top, processed))
    })?;
    let mut borrowed = borrow_out(&tokens)?;
    for (token, row) in writable(&mut borrowed)?.iter_mut().zip(&found) {
        *token = row.token;
    }
    drop(borrowed);
    let column = |f: fn(&Details) -> f64| PyArray1::from_iter(py, found.iter().map(f));
    let ids = PyArray1::from_iter(py, found.iter().flat_map(|d| d.top.iter().map(|t| t.0)));
    let values = PyArray1::from_iter(py, found.iter().flat_map(|d| d.top.iter().map(|t| t.1)));
    let rank = PyArray1::from_iter(py, found.iter().map(|d| d.rank));
    let all = PyTuple::new(
        py,
        [
            tokens.into_any(),
            column(|d| d.logprob).into_any(),
            rank.into_any(),
            column(|d| d.mass).into_any(),
            ids.reshape([n, top])?.into_any(),
            values.reshape([n, top])?.into_any(),
        ],
    )?;
    Ok(all.into_any())
}

/// Writes the truncated logits of one precision.
fn truncate_as<'py, T, S>(
    py: Python<'py>,
    call: &Call<'py>,
    pick: impl Fn(&Logits) -> Option<&RowsView<T>> + Send,
    fill: f64,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>>
where
    T: kernels::Element,
    S: numpy::Element,
{
    const { assert!(size_of::<T>() == size_of::<S>() && align_of::<T>() == align_of::<S>()) };
    let array = out_2d::<S>(py, out, call.logits.rows(), call.logits.cols())?;
    let mut borrowed = borrow_out(&array)?;
    let slice = writable(&mut borrowed)?;
    // SAFETY: `S` is how NumPy stores a `T`: the same size, alignment and bits.
    let slice =
        unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast::<T>(), slice.len()) };
    call.run(py, move |batch, logits| match pick(logits) {
        Some(rows) => batch.truncate(rows, fill, slice),
        None => Ok(()),
    })?;
    drop(borrowed);
    Ok(array.into_any())
}

/// Writes `fill` in place of the tokens that the rules remove.
#[pyfunction]
#[pyo3(signature = (x, rules, keys, rows, step, *, bf16=false, bias=None, mask=None,
                    fill=f64::NEG_INFINITY, out=None, num_threads=None))]
fn truncate<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    rules: Py<Rules>,
    keys: &Bound<'py, PyAny>,
    rows: Option<PyReadonlyArray1<'py, u32>>,
    step: u32,
    bf16: bool,
    bias: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f32>)>,
    mask: Option<&Bound<'py, PyAny>>,
    fill: f64,
    out: Option<Bound<'py, PyAny>>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(x, rules, keys, rows, step, bf16, bias, mask, num_threads)?;
    macro_rules! as_type {
        ($variant:ident, $t:ty, $stored:ty) => {
            truncate_as::<$t, $stored>(
                py,
                &call,
                |logits| if let Logits::$variant(rows) = logits { Some(rows) } else { None },
                fill,
                out,
            )
        };
    }
    match &call.logits {
        Logits::F32(_) => as_type!(F32, f32, f32),
        Logits::F16(_) => as_type!(F16, f16, f16),
        Logits::Bf16(_) => as_type!(Bf16, bf16, u16),
        Logits::F64(_) => as_type!(F64, f64, f64),
    }
}

/// Declares a function that writes one array of numbers per row.
macro_rules! per_row {
    ($(#[$doc:meta])* $name:ident, $type:ty, $cols:expr) => {
        $(#[$doc])*
        #[pyfunction]
        #[pyo3(signature = (x, rules, keys, rows, step, *, bf16=false, bias=None, mask=None,
                            out=None, num_threads=None))]
        fn $name<'py>(
            py: Python<'py>,
            x: &Bound<'py, PyAny>,
            rules: Py<Rules>,
            keys: &Bound<'py, PyAny>,
            rows: Option<PyReadonlyArray1<'py, u32>>,
            step: u32,
            bf16: bool,
            bias: Option<(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f32>)>,
            mask: Option<&Bound<'py, PyAny>>,
            out: Option<Bound<'py, PyAny>>,
            num_threads: Option<i64>,
        ) -> PyResult<Bound<'py, PyArray2<$type>>> {
            let call = Call::new(x, rules, keys, rows, step, bf16, bias, mask, num_threads)?;
            let cols: fn(&Logits) -> usize = $cols;
            let array = out_2d::<$type>(py, out, call.logits.rows(), cols(&call.logits))?;
            let mut borrowed = borrow_out(&array)?;
            let slice = writable(&mut borrowed)?;
            call.run(py, |batch, logits| {
                by_precision!(logits, |rows| batch.$name(rows, slice))
            })?;
            drop(borrowed);
            Ok(array)
        }
    };
}

per_row!(
    /// Whether each token is kept.
    keep_mask, bool, Logits::cols
);
per_row!(
    /// The lowest and the highest kept logit of each row.
    cutoffs, f64, |_| 2
);
per_row!(
    /// The exact law of the drawn token of each row.
    distribution, f64, Logits::cols
);

/// Statistics of each row.
#[pyfunction]
#[pyo3(signature = (x, *, bf16=false, num_threads=None))]
fn row_stats<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    bf16: bool,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyTuple>> {
    let logits = Logits::extract(x, bf16, "logits")?;
    let threads = threads_for(&logits, num_threads)?;
    let found = released(py, &logits, |cancel| {
        by_precision!(&logits, |rows| stats::row_stats(rows, threads, cancel))
    })?;
    let real =
        |f: fn(&stats::RowStats) -> f64| PyArray1::from_iter(py, found.iter().map(f)).into_any();
    let whole =
        |f: fn(&stats::RowStats) -> i64| PyArray1::from_iter(py, found.iter().map(f)).into_any();
    PyTuple::new(
        py,
        [
            real(|s| s.max),
            whole(|s| s.argmax),
            real(|s| s.lse),
            real(|s| s.entropy),
            real(|s| s.collision),
            whole(|s| s.n_finite),
            real(|s| s.mean),
            real(|s| s.std),
        ],
    )
}

/// The parameter at which each token leaves the kept set of a rule.
#[pyfunction]
#[pyo3(signature = (x, name, *, bf16=false, sigma_ddof=0, ties="high", num_threads=None))]
fn critical<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    name: &str,
    bf16: bool,
    sigma_ddof: i64,
    ties: &str,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let logits = Logits::extract(x, bf16, "logits")?;
    let rule = Critical::parse(name).map_err(to_py)?;
    let (ddof, ties) = (ddof(sigma_ddof)?, choice("ties", ties, &TIES)?);
    let threads = threads_for(&logits, num_threads)?;
    let array = out_2d::<f64>(py, None, logits.rows(), logits.cols())?;
    let mut borrowed = borrow_out(&array)?;
    let slice = writable(&mut borrowed)?;
    released(py, &logits, |cancel| {
        by_precision!(&logits, |rows| {
            stats::critical(rows, rule, ddof, ties, threads, cancel, slice)
        })
    })?;
    drop(borrowed);
    Ok(array)
}

/// Logits to tokens.
#[pymodule(submodule)]
pub(crate) mod sampling {
    #[pymodule_export]
    use super::{Rules, critical, cutoffs, distribution, keep_mask, row_stats, sample, truncate};
}
