//! Penalties and the adaptive-p transform: rows in, rows out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use half::{bf16, f16};
use numpy::ndarray::ArrayViewMut2;
use numpy::{
    Element, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use sortes::decode::adaptive_p::adaptive_p as adapt;
use sortes::decode::penalties::{self as kernels, Breakers, Lists, Penalties, Row, Scratch};
use sortes_core::par::Threads;
use sortes_core::{Error, Result};

use crate::arrays::{Logits, RowsView};
use crate::boundary::{detached, to_py};
use crate::pool;

/// Smaller outputs than this are not worth waking a second thread.
const PARALLEL_FROM: usize = 1 << 15;

/// A precision of logits, as `NumPy` stores it.
trait Precision: Copy + Send + Sync {
    type Stored: Element + Copy + Send + Sync;
    fn stored(self) -> Self::Stored;
    fn widen(stored: Self::Stored) -> f64;
    fn round(value: f64) -> Self::Stored;
    fn rows_of(logits: Logits) -> Option<RowsView<Self>>;
}

macro_rules! precision {
    ($name:ty, $stored:ty, $variant:ident, $store:expr, $widen:expr, $round:expr) => {
        impl Precision for $name {
            type Stored = $stored;
            fn stored(self) -> $stored {
                $store(self)
            }
            fn widen(stored: $stored) -> f64 {
                $widen(stored)
            }
            fn round(value: f64) -> $stored {
                $round(value)
            }
            fn rows_of(logits: Logits) -> Option<RowsView<Self>> {
                if let Logits::$variant(rows) = logits { Some(rows) } else { None }
            }
        }
    };
}
precision!(f32, f32, F32, |v| v, f64::from, |v| v as f32);
precision!(f64, f64, F64, |v| v, |v| v, |v| v);
precision!(f16, f16, F16, |v| v, f16::to_f64, f16::from_f64);
precision!(bf16, u16, Bf16, bf16::to_bits, |v| bf16::from_bits(v).to_f64(), |v| {
    bf16::from_f64(v).to_bits()
});

/// A row in its own precision.
struct InPlace<'a, T: Precision>(&'a mut [T::Stored]);

impl<T: Precision> Row for InPlace<'_, T> {
    fn vocabulary(&self) -> usize {
        self.0.len()
    }
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64) {
        self.0[token] = T::round(change(T::widen(self.0[token])));
    }
}

/// The tokens so far of all rows, end to end.
#[derive(FromPyObject)]
struct History<'py> {
    #[pyo3(item)]
    input_ids: PyReadonlyArray1<'py, i64>,
    /// Row `r` holds `input_ids[offsets[r]..offsets[r + 1]]`.
    #[pyo3(item)]
    offsets: PyReadonlyArray1<'py, i64>,
    #[pyo3(item)]
    prompt_lengths: PyReadonlyArray1<'py, i64>,
}

/// The token lists that all rows share.
#[derive(FromPyObject)]
struct TokenLists {
    #[pyo3(item)]
    logit_bias: Vec<(i64, f64)>,
    #[pyo3(item)]
    bad_words: Vec<Vec<i64>>,
    #[pyo3(item)]
    breakers: Vec<Vec<i64>>,
    #[pyo3(item)]
    eos: Vec<i64>,
}

/// What the kernels read, borrowed and checked.
struct Batch<'a> {
    input_ids: &'a [i64],
    offsets: &'a [i64],
    prompt_lengths: &'a [i64],
    penalties: Vec<Penalties>,
    lists: Lists,
}

impl<'a> Batch<'a> {
    fn new(
        history: &'a History<'_>,
        params: &HashMap<String, Bound<'_, PyAny>>,
        lists: TokenLists,
        vocabulary: usize,
    ) -> PyResult<Self> {
        let input_ids = history.input_ids.as_slice()?;
        let offsets = history.offsets.as_slice()?;
        let prompt_lengths = history.prompt_lengths.as_slice()?;
        let rows = prompt_lengths.len();
        let end = offsets.last().and_then(|&end| usize::try_from(end).ok());
        if offsets.len() != rows + 1
            || offsets[0] != 0
            || end != Some(input_ids.len())
            || !offsets.is_sorted()
        {
            return Err(PyValueError::new_err("offsets: must cut input_ids into its rows"));
        }
        let TokenLists { logit_bias, bad_words, breakers, eos } = lists;
        let breakers = Breakers::new(breakers);
        let lists =
            Lists::new(vocabulary, &logit_bias, bad_words, breakers, &eos).map_err(to_py)?;
        let penalties = per_row(params, rows)?;
        Ok(Self { input_ids, offsets, prompt_lengths, penalties, lists })
    }

    fn rows(&self) -> usize {
        self.prompt_lengths.len()
    }

    fn history(&self, row: usize) -> &[i64] {
        &self.input_ids[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    fn prompt(&self, row: usize) -> usize {
        self.prompt_lengths[row].max(0) as usize
    }
}

/// The penalties of each row, from numbers and arrays by name.
fn per_row(params: &HashMap<String, Bound<'_, PyAny>>, rows: usize) -> PyResult<Vec<Penalties>> {
    let mut penalties = vec![Penalties::default(); rows];
    for (name, value) in params {
        let set: fn(&mut Penalties, f64) = match name.as_str() {
            "repetition_penalty" => |p, v| p.repetition = v,
            "frequency_penalty" => |p, v| p.frequency = v,
            "presence_penalty" => |p, v| p.presence = v,
            "penalty_last_n" => |p, v| p.last_n = v as usize,
            "dry_multiplier" => |p, v| p.dry.multiplier = v,
            "dry_base" => |p, v| p.dry.base = v,
            "dry_allowed_length" => |p, v| p.dry.allowed_length = v as usize,
            "dry_penalty_last_n" => |p, v| p.dry.last_n = v as usize,
            "no_repeat_ngram_size" => |p, v| p.no_repeat_ngram_size = v as usize,
            "min_new_tokens" => |p, v| p.min_new_tokens = v as usize,
            _ => return Err(PyTypeError::new_err(format!("params: no penalty is named {name}"))),
        };
        if let Ok(values) = value.extract::<PyReadonlyArray1<'_, f64>>() {
            let values = values.as_slice()?;
            if values.len() != rows {
                let message = format!("{name}: expected {rows} values, got {}", values.len());
                return Err(PyValueError::new_err(message));
            }
            penalties.iter_mut().zip(values).for_each(|(p, &v)| set(p, v));
        } else {
            let v = value.extract::<f64>()?;
            for p in &mut penalties {
                set(p, v);
            }
        }
    }
    Ok(penalties)
}

/// The rows of a matrix, each behind a lock of its own, so that any thread may take any row.
fn lockable<'a, T>(
    matrix: &'a mut ArrayViewMut2<'_, T>,
    name: &'static str,
) -> PyResult<Vec<Mutex<&'a mut [T]>>> {
    let rows: Option<Vec<_>> =
        matrix.outer_iter_mut().map(|row| row.into_slice().map(Mutex::new)).collect();
    rows.ok_or_else(|| to_py(Error::argument(name, "rows must be contiguous")))
}

/// Takes what no other task asks for.
fn take<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The borrow of an array to write to.
fn writable<'py, T: Element>(
    array: &Bound<'py, PyArray2<T>>,
    name: &'static str,
) -> PyResult<PyReadwriteArray2<'py, T>> {
    array.try_readwrite().map_err(|error| to_py(Error::argument(name, error.to_string())))
}

/// Threads for work on so many elements.
fn threads_for(elements: usize, num_threads: Option<i64>) -> PyResult<Threads<'static>> {
    let threads = pool::threads_old(num_threads)?;
    Ok(if elements < PARALLEL_FROM { Threads::SERIAL } else { threads })
}

fn penalize_rows<T: Precision>(
    py: Python<'_>,
    x: Option<&RowsView<T>>,
    out: &Bound<'_, PyArray2<T::Stored>>,
    batch: &Batch<'_>,
    num_threads: Option<i64>,
) -> PyResult<()> {
    let shape = [batch.rows(), out.dims()[1]];
    if *out.shape() != shape || x.is_some_and(|x| [x.rows(), x.cols()] != shape) {
        return Err(PyValueError::new_err(format!("out: expected shape {shape:?}")));
    }
    let threads = threads_for(out.len(), num_threads)?;
    let mut out = writable(out, "out")?;
    let mut matrix = out.as_array_mut();
    let rows = lockable(&mut matrix, "out")?;
    detached(py, || {
        threads.for_each(rows.len(), |r| {
            let mut row = take(&rows[r]);
            if let Some(x) = x {
                row.iter_mut().zip(x.row(r)).for_each(|(to, from)| *to = from.stored());
            }
            let (history, prompt) = (batch.history(r), batch.prompt(r));
            let (penalties, lists) = (&batch.penalties[r], &batch.lists);
            Scratch::with(|scratch| {
                let mut row = InPlace::<T>(&mut row);
                kernels::penalize(&mut row, history, prompt, penalties, lists, scratch);
            });
        });
        Ok(())
    })
}

/// Writes the penalized rows of `x` to `out`; without `x`, penalizes `out` in place.
#[pyfunction]
#[pyo3(signature = (x, out, history, params, lists, /, *, bf16, num_threads=None))]
#[allow(clippy::too_many_arguments)]
fn penalize(
    py: Python<'_>,
    x: Option<&Bound<'_, PyAny>>,
    out: &Bound<'_, PyAny>,
    history: History<'_>,
    params: HashMap<String, Bound<'_, PyAny>>,
    lists: TokenLists,
    bf16: bool,
    num_threads: Option<i64>,
) -> PyResult<()> {
    let target = Logits::extract(out, bf16, "out")?;
    let x = x.map(|x| Logits::extract(x, bf16, "logits")).transpose()?;
    let batch = Batch::new(&history, &params, lists, target.cols())?;
    match target {
        Logits::F32(_) => penalize_as::<f32>(py, x, out, &batch, num_threads),
        Logits::F64(_) => penalize_as::<f64>(py, x, out, &batch, num_threads),
        Logits::F16(_) => penalize_as::<f16>(py, x, out, &batch, num_threads),
        Logits::Bf16(_) => penalize_as::<half::bf16>(py, x, out, &batch, num_threads),
    }
}

fn penalize_as<T: Precision>(
    py: Python<'_>,
    x: Option<Logits>,
    out: &Bound<'_, PyAny>,
    batch: &Batch<'_>,
    num_threads: Option<i64>,
) -> PyResult<()> {
    let other = || PyTypeError::new_err("out: must have the dtype of logits");
    let x = x.map(|x| T::rows_of(x).ok_or_else(other)).transpose()?;
    penalize_rows::<T>(py, x.as_ref(), out.cast()?, batch, num_threads)
}

/// Rows, tokens, and what to subtract from their logits.
type Subtractions<'py> =
    (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>);

/// What DRY subtracts and (infinite) what is banned: rows, tokens, amounts, in order of rows.
#[pyfunction]
#[pyo3(signature = (vocabulary, history, params, lists, /))]
fn subtractions<'py>(
    py: Python<'py>,
    vocabulary: usize,
    history: History<'py>,
    params: HashMap<String, Bound<'py, PyAny>>,
    lists: TokenLists,
) -> PyResult<Subtractions<'py>> {
    let batch = Batch::new(&history, &params, lists, vocabulary)?;
    let (rows, tokens, amounts) = detached(py, || {
        let (mut rows, mut tokens, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
        for r in 0..batch.rows() {
            let (history, prompt) = (batch.history(r), batch.prompt(r));
            let (penalties, lists) = (&batch.penalties[r], &batch.lists);
            let record = |token: usize, amount| {
                rows.push(r.cast_signed() as i64);
                tokens.push(token.cast_signed() as i64);
                amounts.push(amount);
            };
            Scratch::with(|scratch| {
                kernels::subtractions(
                    history, prompt, vocabulary, penalties, lists, scratch, record,
                );
            });
        }
        Ok((rows, tokens, amounts))
    })?;
    Ok((
        PyArray1::from_vec(py, rows),
        PyArray1::from_vec(py, tokens),
        PyArray1::from_vec(py, amounts),
    ))
}

/// Replaces each row of `x` by its adaptive-p logits for that row's target; returns `ln sum exp l`
/// of the rows as they were.
#[pyfunction]
#[pyo3(signature = (x, targets, /, *, num_threads=None))]
fn adaptive_p<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyArray2<f32>>,
    targets: PyReadonlyArray1<'_, f64>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let targets = targets.as_slice()?;
    if targets.len() != x.dims()[0] {
        let message = format!("targets: expected {} values, got {}", x.dims()[0], targets.len());
        return Err(PyValueError::new_err(message));
    }
    let threads = threads_for(x.len(), num_threads)?;
    let mut x = writable(x, "x")?;
    let mut matrix = x.as_array_mut();
    let rows = lockable(&mut matrix, "x")?;
    let normalisers = detached(py, || {
        let done: Vec<Mutex<Result<f64>>> = rows.iter().map(|_| Mutex::new(Ok(0.0))).collect();
        threads.for_each(rows.len(), |r| {
            *take(&done[r]) = adapt(&mut take(&rows[r]), r, targets[r]);
        });
        done.iter().map(|result| take(result).clone()).collect::<Result<Vec<f64>>>()
    })?;
    Ok(PyArray1::from_vec(py, normalisers))
}

/// Penalties from the tokens so far.
#[pymodule(submodule)]
pub(crate) mod penalties {
    #[pymodule_export]
    use super::{adaptive_p, penalize, subtractions};
}
