//! `_core.seeding`: the k-means++ family.

use pyo3::prelude::*;

#[pymodule(submodule)]
pub(crate) mod seeding {}
