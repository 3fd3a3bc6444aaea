//! What the bindings of all families import.

pub(crate) use pyo3::prelude::*;

pub(crate) use crate::args::{
    Choice, Floats, Matrix, Named, OutMatrix, OutVector, Vector, with_floats,
};
pub(crate) use crate::arrays::{Array, Bytes, Logits, column, with_rows};
pub(crate) use crate::boundary::to_py;
pub(crate) use crate::job::{Job, Size};
pub(crate) use crate::locked::{Locked, stateful};
pub(crate) use crate::stream::Stream;
