//! The one error type of the workspace.
//!
//! Every variant names the argument at fault and the offending value, because the Python layer
//! turns it into the message that a user reads.

use std::fmt::Display;

/// What went wrong in a call, named after the argument that caused it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value outside its domain (`ValueError` in Python).
    #[error("{name}: {reason}")]
    Argument {
        /// Name of the argument as the user writes it.
        name: &'static str,
        /// What was expected and what was given.
        reason: String,
    },
    /// An array has the wrong shape (`ValueError` in Python).
    #[error("{name}: must have shape {expected}, got {got}")]
    Shape {
        /// Name of the argument.
        name: &'static str,
        /// The shape that was expected.
        expected: String,
        /// The shape that was given.
        got: String,
    },
    /// An array has the wrong element type (`TypeError` in Python).
    #[error("{name}: dtype must be {expected}, got {got}")]
    Dtype {
        /// Name of the argument.
        name: &'static str,
        /// The element types that are accepted.
        expected: String,
        /// The element type that was given.
        got: String,
    },
    /// The data of one row (chain, walker, item) is unusable (`ValueError` in Python).
    #[error("{name}: row {row}: {reason}")]
    Row {
        /// Name of the argument.
        name: &'static str,
        /// Index of the row at fault.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller asked the work to stop (`KeyboardInterrupt` in Python).
    #[error("cancelled")]
    Cancelled,
    /// The result would not fit in memory (`MemoryError` in Python).
    ///
    /// It is made where there is no memory, and takes none.
    #[error("{len} {what}: needs {bytes} bytes, which cannot be allocated")]
    Resource {
        /// What was to be allocated.
        what: &'static str,
        /// How many.
        len: u64,
        /// The size of all.
        bytes: u64,
    },
}

impl Error {
    /// An argument outside its domain: `name: reason`.
    pub fn argument(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument { name, reason: reason.into() }
    }

    /// An item outside its domain: `name: item i must be in domain, got value`.
    pub fn item(name: &'static str, item: usize, domain: &str, value: impl Display) -> Self {
        Self::argument(name, format!("item {item} must be in {domain}, got {value}"))
    }

    /// An unusable row: `name: row r: reason`.
    pub fn row(name: &'static str, row: usize, reason: impl Into<String>) -> Self {
        Self::Row { name, row, reason: reason.into() }
    }
}

/// A number as messages show it: as Python writes it.
///
/// ```
/// use sortes_core::error::shown;
///
/// assert_eq!([1.0, -0.5, f64::NAN].map(shown), ["1.0", "-0.5", "nan"]);
/// ```
pub fn shown(x: f64) -> String {
    if x.is_nan() { "nan".into() } else { format!("{x:?}") }
}

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
