//! The family `diffusion`: one native module for each of its parts.

mod noise;
mod plans;

use pyo3::prelude::*;

/// Noise to data, by a denoiser.
#[pymodule(submodule, name = "diffusion")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{noise::noise, plans::native as plans};
}
