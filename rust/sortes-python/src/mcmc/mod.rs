//! The family `mcmc`: one native module for each of its parts.

mod diagnostics;
mod engine;
mod polya_gamma;
mod resampling;
mod spins;
mod targets;

use pyo3::prelude::*;

/// Draws from a density that is known up to a factor.
#[pymodule(submodule, name = "mcmc")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        diagnostics::diagnostics, engine::engine, polya_gamma::native as polya_gamma,
        resampling::resampling, spins::native as spins, targets::targets,
    };
}
