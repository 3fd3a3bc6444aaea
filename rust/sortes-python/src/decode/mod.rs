//! The family `decode`: one native module for each of its parts.

mod adaptive_p;
mod basis_aware;
mod penalties;
mod sampling;

use pyo3::prelude::*;
use sortes::decode::AnyRows;

use crate::arrays::Logits;

/// What `sequences` takes as well.
pub(crate) use sampling::{Given, Streams};

/// Rows of logits for kernels that are compiled once for all precisions.
pub(crate) fn any_rows(logits: &Logits) -> AnyRows<'_> {
    match logits {
        Logits::F32(rows) => AnyRows::F32(rows),
        Logits::F16(rows) => AnyRows::F16(rows),
        Logits::Bf16(rows) => AnyRows::Bf16(rows),
        Logits::F64(rows) => AnyRows::F64(rows),
    }
}

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
