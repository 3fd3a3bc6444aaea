//! The family `diffusion`: one native module for each of its parts.

mod fitting;
mod mixture;
mod noise;
mod plans;
mod steps;

use pyo3::prelude::*;

/// Noise to data, by a denoiser.
#[pymodule(submodule, name = "diffusion")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        fitting::native as fitting, mixture::mixture, noise::noise, plans::native as plans,
        steps::steps,
    };
}
