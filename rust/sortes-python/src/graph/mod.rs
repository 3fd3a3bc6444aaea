//! The family `graph`: one native module for each of its parts.

mod structure;
mod walks;

use pyo3::prelude::*;

/// Graphs, and walks on them.
#[pymodule(submodule, name = "graph")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{structure::structure, walks::walks};
}
