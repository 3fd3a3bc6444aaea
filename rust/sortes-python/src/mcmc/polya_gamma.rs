//! `_core.mcmc.polya_gamma`: Polya-Gamma variables.

use sortes::mcmc::polya_gamma as kernels;
use sortes_core::memory::zeroed;

use crate::prelude::*;

/// Nanoseconds of a draw, and of each unit of its shape.
const DRAW: f64 = 150.0;
const UNIT: f64 = 50.0;

/// Independent draws: the shapes and tilts hold one number for all of them, or one for each.
#[pyfunction]
fn polya_gamma(
    b: Vector<'_, f64>,
    c: Vector<'_, f64>,
    n: usize,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Array<f64>> {
    let most = b.iter().copied().fold(1.0, f64::max);
    job.array(Size::new(n, DRAW + UNIT * most), |run| {
        let mut out = zeroed(n, "draws")?;
        kernels::polya_gamma(kernels::PolyaGamma { b: &b, c: &c }, stream.0, &mut out, run)?;
        Ok(out)
    })
}

/// Polya-Gamma variables.
#[pymodule(submodule, name = "polya_gamma")]
pub(crate) mod native {
    #[pymodule_export]
    use super::polya_gamma;
}
