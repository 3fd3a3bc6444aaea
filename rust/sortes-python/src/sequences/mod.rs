//! The family `sequences`: one native module for each of its parts.

mod arithmetic;
mod automaton;
mod draft_trees;
mod gumbel;
mod power;
mod suffix;
mod tree;
mod verify;
mod weights;

use pyo3::prelude::*;

/// Whole texts.
#[pymodule(submodule, name = "sequences")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        arithmetic::arithmetic, automaton::automaton, draft_trees::draft_trees, gumbel::gumbel,
        power::power, suffix::suffix, tree::tree, verify::verify, weights::weights,
    };
}
