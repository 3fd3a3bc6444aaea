//! `_core.decode.penalties`: what the tokens so far do to logits.

use std::collections::HashMap;

use half::f16;
use numpy::PyArray2;
use pyo3::exceptions::PyTypeError;
use pyo3::types::PyDict;
use sortes::decode::penalties::{
    Batch, Breakers, Histories, Lists, Penalties, Row, Subtractions, Value,
};
use sortes_core::Error;

use crate::args::writable;
use crate::arrays::{Precision, rows_mut};
use crate::prelude::*;

/// Nanoseconds to copy a logit.
const COPY: f64 = 0.3;
/// Nanoseconds for a token of a history, with every penalty on.
const TOKEN: f64 = 20.0;
/// Nanoseconds to compare the end of a history with a bad word.
const WORD: f64 = 3.0;

/// The tokens so far of all rows, end to end.
#[derive(FromPyObject)]
struct History<'py> {
    #[pyo3(item)]
    input_ids: Vector<'py, i64>,
    /// Row `r` holds `input_ids[offsets[r]..offsets[r + 1]]`.
    #[pyo3(item)]
    offsets: Vector<'py, i64>,
    #[pyo3(item)]
    prompt_lengths: Vector<'py, i64>,
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

/// A parameter that is not neutral.
#[derive(FromPyObject)]
enum Parameter<'py> {
    PerRow(Vector<'py, f64>),
    Shared(f64),
}

type Params<'py> = HashMap<String, Parameter<'py>>;

/// The batch that the arguments describe, and how much work its rows are.
fn batch_of<'a>(
    history: &'a History<'_>,
    params: &Params<'_>,
    lists: TokenLists,
    vocabulary: usize,
    per_logit: f64,
) -> Result<(Batch<'a>, Size), Error> {
    let History { input_ids, offsets, prompt_lengths } = history;
    let histories = Histories::new(input_ids, offsets, prompt_lengths)?;
    let TokenLists { logit_bias, bad_words, breakers, eos } = lists;
    let words = bad_words.len() as f64;
    let lists = Lists::new(vocabulary, &logit_bias, bad_words, Breakers::new(breakers), &eos)?;
    let mut batch = Batch::new(histories, lists)?;
    for (name, value) in params {
        batch.set(
            name,
            match value {
                Parameter::PerRow(values) => Value::PerRow(values),
                Parameter::Shared(value) => Value::Shared(*value),
            },
        )?;
    }
    let rows = prompt_lengths.len();
    let tokens = input_ids.len() as f64 / rows.max(1) as f64;
    let ns_each = per_logit * vocabulary as f64 + TOKEN * tokens + WORD * words;
    Ok((batch, Size::new(rows, ns_each)))
}

/// Writes the penalized rows of `x` to `out`; without `x`, penalizes `out` in place.
#[pyfunction]
#[pyo3(signature = (x, out, bf16, history, params, lists, job))]
fn penalize(
    x: Option<&Bound<'_, PyAny>>,
    out: &Bound<'_, PyAny>,
    bf16: bool,
    history: History<'_>,
    params: Params<'_>,
    lists: TokenLists,
    job: Job<'_>,
) -> PyResult<()> {
    let target = Logits::view(out, bf16, "out")?;
    let x = x.map(|x| Logits::view(x, bf16, "logits")).transpose()?;
    let (batch, size) = batch_of(&history, &params, lists, target.cols(), COPY).map_err(to_py)?;
    let kernel = match target {
        Logits::F32(_) => penalize_as::<f32>,
        Logits::F64(_) => penalize_as::<f64>,
        Logits::F16(_) => penalize_as::<f16>,
        Logits::Bf16(_) => penalize_as::<half::bf16>,
    };
    kernel(x.as_ref(), out, &batch, size, &job)
}

fn penalize_as<T: Precision>(
    x: Option<&Logits>,
    out: &Bound<'_, PyAny>,
    batch: &Batch<'_>,
    size: Size,
    job: &Job<'_>,
) -> PyResult<()>
where
    [T]: Row,
{
    let other = || PyTypeError::new_err("out: must have the dtype of logits");
    let x = x.map(|x| T::rows_of(x).ok_or_else(other)).transpose()?;
    let mut out = writable(out.cast::<PyArray2<T::Stored>>()?)?;
    let mut rows = rows_mut::<T>(&mut out)?;
    job.run(size, |run| batch.penalize(x, &mut rows, run))
}

/// Rows, tokens, and what to subtract from their logits.
type Entries = (Array<i64>, Array<i64>, Array<f64>);

/// What DRY subtracts and (infinite) what is banned: rows, tokens, amounts, in order of rows.
#[pyfunction]
fn subtractions(
    vocabulary: usize,
    history: History<'_>,
    params: Params<'_>,
    lists: TokenLists,
    job: Job<'_>,
) -> PyResult<Entries> {
    let (batch, size) = batch_of(&history, &params, lists, vocabulary, 0.0).map_err(to_py)?;
    let Subtractions { rows, tokens, amounts } =
        job.run(size.serial(), |run| batch.subtractions(vocabulary, run))?;
    Ok((Array(rows), Array(tokens), Array(amounts)))
}

/// Penalties from the tokens so far.
#[pymodule(submodule)]
pub(crate) mod penalties {
    use super::{Penalties, PyDict};
    #[pymodule_export]
    use super::{penalize, subtractions};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
        let neutral = PyDict::new(m.py());
        for (name, value) in Penalties::NEUTRAL {
            neutral.set_item(name, value)?;
        }
        m.add("NEUTRAL", neutral)
    }
}
