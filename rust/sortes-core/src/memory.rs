//! Memory whose size a caller chooses: an error where there is none, not an abort.

use crate::{Error, Result};

/// An empty vector with capacity for `len` elements, which are `what`.
///
/// ```
/// use sortes_core::{Error, memory::with_capacity};
///
/// let draws: Vec<u64> = with_capacity(3, "draws").unwrap();
/// assert!(draws.is_empty() && draws.capacity() >= 3);
/// let error = with_capacity::<u64>(usize::MAX, "draws").unwrap_err();
/// assert!(matches!(error, Error::Resource { bytes: u64::MAX, .. }));
/// ```
///
/// # Errors
/// If they cannot be allocated.
pub fn with_capacity<T>(len: usize, what: &str) -> Result<Vec<T>> {
    let mut out = Vec::new();
    reserve(&mut out, len, what)?;
    Ok(out)
}

/// Gives a vector capacity for `len` elements in all: pushing that many cannot fail.
///
/// # Errors
/// If they cannot be allocated.
pub fn reserve<T>(buffer: &mut Vec<T>, len: usize, what: &str) -> Result<()> {
    let more = len.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| out_of_memory::<T>(len, what))
}

/// A vector of `len` elements, all of them `value`.
///
/// # Errors
/// If they cannot be allocated.
pub fn filled<T: Clone>(len: usize, value: T, what: &str) -> Result<Vec<T>> {
    let mut out = with_capacity(len, what)?;
    out.resize(len, value);
    Ok(out)
}

fn out_of_memory<T>(len: usize, what: &str) -> Error {
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    Error::Resource { what: format!("{len} {what}"), bytes }
}
