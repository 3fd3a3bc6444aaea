//! The family `select`: one native module for each of its parts.

mod acquisition;
mod design;
mod kmeans;
mod rs2;
mod sketch;
mod weighted;

use pyo3::prelude::*;

/// Points and subsets from data.
#[pymodule(submodule, name = "select")]
pub(crate) mod native {
    #[pymodule_export]
    use super::acquisition::acquisition;
    #[pymodule_export]
    use super::design::native as design;
    #[pymodule_export]
    use super::kmeans::kmeans;
    #[pymodule_export]
    use super::rs2::rs2;
    #[pymodule_export]
    use super::sketch::sketch;
    #[pymodule_export]
    use super::weighted::weighted;
}
