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
    use super::{
        acquisition::acquisition, design::native as design, kmeans::kmeans, rs2::rs2,
        sketch::sketch, weighted::weighted,
    };
}
