//! `_core.weighted`: draws in proportion to weights.

use pyo3::prelude::*;

#[pymodule(submodule)]
pub(crate) mod weighted {}
