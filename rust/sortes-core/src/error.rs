//! The one error type of the workspace.
//!
//! Every variant names the argument at fault and the offending value, because the Python layer
//! turns it into the message that a user reads.

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
    #[error("{name}: expected shape {expected}, got {got}")]
    Shape {
        /// Name of the argument.
        name: &'static str,
        /// The shape that was expected.
        expected: String,
        /// The shape that was given.
        got: String,
    },
    /// An array has the wrong element type (`TypeError` in Python).
    #[error("{name}: expected dtype {expected}, got {got}")]
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
    #[error("{what}: needs {bytes} bytes, which could not be had")]
    Resource {
        /// What was to be allocated.
        what: String,
        /// Its size.
        bytes: u64,
    },
}

impl Error {
    /// An argument outside its domain: `name: reason`.
    pub fn argument(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument { name, reason: reason.into() }
    }

    /// An unusable row: `name: row r: reason`.
    pub fn row(name: &'static str, row: usize, reason: impl Into<String>) -> Self {
        Self::Row { name, row, reason: reason.into() }
    }
}

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
