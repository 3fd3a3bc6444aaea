//! `_core.decode.adaptive_p`: the transform of adaptive-p.

use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use sortes::decode::adaptive_p as kernel;

use crate::args::Vector;
use crate::arrays::{Logits, elements_mut, with_rows, writable};
use crate::boundary::{Size, run};

/// Nanoseconds to read a logit, weigh it and reshape it.
const LOGIT: f64 = 1.0;

/// Writes the adaptive-p logits of each row of `x`, for that row's target, to `out`; returns
/// `ln sum exp l` of the rows as they are.
#[pyfunction]
#[pyo3(signature = (x, targets, out, /, *, bf16, num_threads=None, progress=None))]
#[allow(clippy::too_many_arguments)]
fn adaptive_p<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    targets: Vector<'py, f64>,
    out: &Bound<'py, PyArray2<f32>>,
    bf16: bool,
    num_threads: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let logits = Logits::extract(x, bf16, "logits")?;
    let mut out = writable(out, "out")?;
    let out = elements_mut(&mut out, "out")?;
    let targets: &[f64] = &targets;
    let size = Size::new(logits.rows(), LOGIT * logits.cols() as f64);
    let normalisers = run(py, size, num_threads, progress, |run| {
        with_rows!(&logits, |rows| kernel::adaptive_p(rows, targets, out, run))
    })?;
    Ok(normalisers.into_pyarray(py))
}

/// The transform of adaptive-p.
#[pymodule(submodule, name = "adaptive_p")]
pub(crate) mod native {
    #[pymodule_export]
    use super::adaptive_p;
}
