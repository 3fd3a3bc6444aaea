//! `_core.design`: subsets with given inclusion probabilities, strata.

use pyo3::prelude::*;

#[pymodule(submodule)]
pub(crate) mod design {}
