//! `_core.mcmc.resampling`: which particles go on.

use sortes_core::memory::zeroed;
use sortes_core::resample::{Rows, Scheme, ancestors};

use crate::prelude::*;

/// Nanoseconds of a particle.
const PARTICLE: f64 = 15.0;

impl Named for Scheme {
    const NAMES: &[(&str, Self)] = &[
        ("multinomial", Self::Multinomial),
        ("stratified", Self::Stratified),
        ("systematic", Self::Systematic),
        ("residual", Self::Residual),
        ("ssp", Self::Ssp),
    ];
}

/// The ancestors of each row of weights, row by row.
#[pyfunction]
fn resample(
    weights: Matrix<'_, f64>,
    n: usize,
    log: bool,
    method: Choice<Scheme>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<i64>> {
    let rows = Rows { weights: &weights, columns: weights.cols(), log };
    let drawn = weights.rows().saturating_mul(n);
    let each = PARTICLE * (1.0 + drawn as f64 / weights.len().max(1) as f64);
    job.array(Size::new(weights.len(), each), |run| {
        let mut out = zeroed(drawn, "ancestors")?;
        ancestors(rows, n, method.0, stream.0, &mut out, run)?;
        Ok(out)
    })
}

/// Which particles go on.
#[pymodule(submodule)]
pub(crate) mod resampling {
    #[pymodule_export]
    use super::resample;
}
