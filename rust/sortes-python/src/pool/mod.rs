//! The family `pool`: one native module for each of its parts.

mod best;
mod coverage;
mod distinct;
mod passes;
mod votes;

use pyo3::prelude::*;

/// Using many samples of each problem.
#[pymodule(submodule, name = "pool")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{best::best, coverage::coverage, distinct::distinct, passes::passes, votes::votes};
}
