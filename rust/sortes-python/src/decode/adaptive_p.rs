//! `_core.decode.adaptive_p`: the transform of adaptive-p.

use sortes::decode::adaptive_p as kernel;

use crate::prelude::*;

/// Nanoseconds to read a logit, weigh it and reshape it.
const LOGIT: f64 = 1.0;

/// Writes the adaptive-p logits of each row, for that row's target, to `out`; returns
/// `ln sum exp l` of the rows as they are.
#[pyfunction]
fn adaptive_p(
    logits: Logits,
    targets: Vector<'_, f64>,
    mut out: OutMatrix<'_, f32>,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let (out, size) = (&mut *out, Size::new(logits.rows(), LOGIT * logits.cols() as f64));
    job.array(size, |run| with_rows!(&logits, |rows| kernel::adaptive_p(rows, &targets, out, run)))
}

/// The transform of adaptive-p.
#[pymodule(submodule, name = "adaptive_p")]
pub(crate) mod native {
    #[pymodule_export]
    use super::adaptive_p;
}
