//! The family `sequences`: one native module for each of its parts.

mod arithmetic;
mod automaton;
mod gumbel;
mod power;
mod tree;
mod weights;

use pyo3::prelude::*;

/// Whole texts.
#[pymodule(submodule, name = "sequences")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        arithmetic::arithmetic, automaton::automaton, gumbel::gumbel, power::power, tree::tree,
        weights::weights,
    };
}
