//! The family `graph`: one native module for each of its parts.

mod features;
mod graphlets;
mod pagerank;
mod structure;
mod walks;

use pyo3::prelude::*;

/// Graphs, and walks on them.
#[pymodule(submodule, name = "graph")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        features::features, graphlets::graphlets, pagerank::pagerank, structure::structure,
        walks::walks,
    };
}
