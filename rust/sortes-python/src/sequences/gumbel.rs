//! `_core.sequences.gumbel`: perturbed log weights.

use numpy::PyUntypedArray;
use sortes::sequences::gumbel::{self as kernels, RowNoise, TopK};
use sortes_core::Result;
use sortes_core::memory::with_capacity;
use sortes_core::races::Noise;

use crate::decode::Streams;
use crate::prelude::*;

/// Nanoseconds of an item that is perturbed.
const ITEM: f64 = 25.0;
/// Of an elementary function.
const FUNCTION: f64 = 60.0;

/// Where the noise of rows comes from.
enum Source<'py> {
    /// A single row.
    Stream(Bound<'py, Stream>),
    Given(Matrix<'py, f64>),
    Rows(Streams),
}

impl<'py> FromPyObject<'_, 'py> for Source<'py> {
    type Error = PyErr;

    /// By the type, for what is wrong with one of them may be a lack of memory.
    fn extract(x: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(stream) = x.cast::<Stream>() {
            Ok(Self::Stream(stream.to_owned()))
        } else if x.is_instance_of::<PyUntypedArray>() {
            x.extract().map(Self::Given)
        } else {
            x.extract().map(Self::Rows)
        }
    }
}

impl Source<'_> {
    fn noise(&self) -> RowNoise<'_> {
        match self {
            Self::Stream(stream) => RowNoise::One(Noise::Stream(stream.get().0)),
            Self::Given(noise) => RowNoise::Given(noise),
            Self::Rows(streams) => RowNoise::Streams(streams.as_slice()),
        }
    }
}

/// Indices and perturbed log weights, row after row, with -1 and minus infinity where there is none;
/// the largest that is left of each row; how many there are.
type Columns = (Array<i64>, Array<f64>, Array<f64>, Array<i64>);

/// The `k` largest perturbed log weights of each row.
#[pyfunction]
fn gumbel_topk(logits: Logits, k: usize, noise: Source<'_>, job: Job<'_>) -> PyResult<Columns> {
    let noise = noise.noise();
    let size = Size::new(logits.rows().saturating_mul(logits.cols()), ITEM);
    let rows =
        job.run(size, |run| with_rows!(&logits, |rows| kernels::gumbel_topk(rows, k, noise, run)))?;
    let indices = padded(&rows, k, -1, |item| item.0 as i64).map_err(to_py)?;
    let values = padded(&rows, k, f64::NEG_INFINITY, |item| item.1).map_err(to_py)?;
    Ok((
        Array(indices),
        Array(values),
        column(&rows, |row| row.kappa)?,
        column(&rows, |row| row.items.len() as i64)?,
    ))
}

fn padded<T: Copy>(
    rows: &[TopK],
    k: usize,
    pad: T,
    read: impl Fn(&(usize, f64)) -> T,
) -> Result<Vec<T>> {
    let mut out = with_capacity(rows.len().saturating_mul(k), "items of samples")?;
    for (row, found) in rows.iter().enumerate() {
        out.extend(found.items.iter().map(&read));
        out.resize((row + 1) * k, pad);
    }
    Ok(out)
}

/// Perturbed log weights of each row, given the largest.
#[pyfunction]
fn conditional_gumbel(
    logprobs: Matrix<'_, f64>,
    maximum: Vector<'_, f64>,
    noise: Source<'_>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let noise = noise.noise();
    let size = Size::new(logprobs.rows(), logprobs.cols() as f64 * (ITEM + 2.0 * FUNCTION));
    job.array(size, |run| {
        kernels::conditional_gumbel((&logprobs, logprobs.rows()), &maximum, noise, run)
    })
}

/// `ln(1 - exp(-exp(-x)))` of each number.
#[pyfunction]
fn log_survival(x: Vector<'_, f64>, job: Job<'_>) -> PyResult<Array<f64>> {
    job.array(Size::new(x.len(), FUNCTION), |run| kernels::log_survivals(&x, run))
}

/// Perturbed log weights.
#[pymodule(submodule)]
pub(crate) mod gumbel {
    #[pymodule_export]
    use super::{conditional_gumbel, gumbel_topk, log_survival};
}
