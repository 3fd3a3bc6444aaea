//! The family `graph`: one native module for each of its parts.

mod features;
mod structure;
mod walks;

use pyo3::prelude::*;

/// Graphs, and walks on them.
#[pymodule(submodule, name = "graph")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{features::features, structure::structure, walks::walks};
}
