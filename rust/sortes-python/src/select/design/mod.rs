//! `_core.select.design`: subsets with given inclusion probabilities, strata.

mod conditional_poisson;
mod inclusion;
mod masks;
mod pivotal;
mod strata;

use numpy::PyArray1;
use pyo3::prelude::*;

/// Units as Python receives them.
type Units<'py> = Bound<'py, PyArray1<i64>>;
/// Probabilities, odds and weights as Python receives them.
type Reals<'py> = Bound<'py, PyArray1<f64>>;

/// Subsets with given inclusion probabilities, strata.
#[pymodule(submodule, name = "design")]
pub(crate) mod native {
    #[pymodule_export]
    use super::conditional_poisson::conditional_poisson;
    #[pymodule_export]
    use super::inclusion::inclusion;
    #[pymodule_export]
    use super::masks::masks;
    #[pymodule_export]
    use super::pivotal::pivotal;
    #[pymodule_export]
    use super::strata::strata;
}
