//! Room for results whose size a caller chooses: an error where there is none, not an abort.

use crate::{Error, Result};

/// An empty vector with room for `len` elements, which are `what`.
///
/// ```
/// use sortes_core::{Error, memory::with_room};
///
/// let draws: Vec<u64> = with_room(3, "draws").unwrap();
/// assert!(draws.is_empty() && draws.capacity() >= 3);
/// let error = with_room::<u64>(u64::MAX, "draws").unwrap_err();
/// assert!(matches!(error, Error::Resource { bytes: u64::MAX, .. }));
/// ```
///
/// # Errors
/// If there is no room for them.
pub fn with_room<T>(len: u64, what: &str) -> Result<Vec<T>> {
    let mut out = Vec::new();
    let room = usize::try_from(len).ok().and_then(|len| out.try_reserve_exact(len).ok());
    match room {
        Some(()) => Ok(out),
        None => Err(Error::Resource {
            what: format!("{len} {what}"),
            bytes: len.saturating_mul(size_of::<T>() as u64),
        }),
    }
}
