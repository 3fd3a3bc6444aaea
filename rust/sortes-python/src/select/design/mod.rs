//! `_core.select.design`: subsets with given inclusion probabilities, strata.

mod conditional_poisson;
mod inclusion;
mod masks;
mod pivotal;
mod strata;

use pyo3::prelude::*;

/// Subsets with given inclusion probabilities, strata.
#[pymodule(submodule, name = "design")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        conditional_poisson::conditional_poisson, inclusion::inclusion, masks::masks,
        pivotal::pivotal, strata::strata,
    };
}
