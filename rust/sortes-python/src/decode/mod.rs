//! The family `decode`: one native module for each of its parts.

mod adaptive_p;
mod basis_aware;
mod penalties;
mod sampling;

use pyo3::prelude::*;

/// What `sequences` takes as well.
pub(crate) use sampling::{Given, Streams};

/// Nanoseconds of one thread for a row, beside those for its logits.
pub(crate) const ROW: f64 = 500.0;

/// Logits to tokens.
#[pymodule(submodule, name = "decode")]
pub(crate) mod native {
    #[pymodule_export]
    use super::{
        adaptive_p::native as adaptive_p, basis_aware::basis_aware, penalties::penalties,
        sampling::sampling,
    };
}
