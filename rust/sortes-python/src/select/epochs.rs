//! `_core.epochs`: what each epoch of a training run sees.

use pyo3::prelude::*;

#[pymodule(submodule)]
pub(crate) mod epochs {}
