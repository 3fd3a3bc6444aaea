//! `_core.sketch`: samples that merge.

use pyo3::prelude::*;

#[pymodule(submodule)]
pub(crate) mod sketch {}
