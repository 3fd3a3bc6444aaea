//! Values that are made once.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use sortes_core::Result;
use sortes_core::memory::with_capacity;

/// A value that is made by whoever needs it first. Nobody waits for anybody, as in a process that was
/// forked while another thread was making it: what comes too late is dropped.
pub(super) struct Made<T>(AtomicPtr<T>);

// SAFETY: it owns a value that any thread may read and the last one drops, as a `Box` does.
unsafe impl<T: Send + Sync> Send for Made<T> {}
// SAFETY: as above; the value is never changed.
unsafe impl<T: Send + Sync> Sync for Made<T> {}

impl<T> Made<T> {
    /// The value, if it has been made.
    pub(super) fn get(&self) -> Option<&T> {
        // SAFETY: the pointer is null or came from `offer`; it stays until `drop`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// Takes a value, which is `what`, unless there is one; returns the one that there is.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn offer(&self, value: T, what: &'static str) -> Result<&T> {
        let mut one = with_capacity(1, what)?;
        one.push(value);
        // One element has the layout of a value, so that a `Box` of it can take it back.
        let new = Box::into_raw(one.into_boxed_slice()).cast::<T>();
        let (order, failure) = (Ordering::AcqRel, Ordering::Acquire);
        match self.0.compare_exchange(ptr::null_mut(), new, order, failure) {
            // SAFETY: just published, and it stays until `drop`.
            Ok(_) => Ok(unsafe { &*new }),
            Err(old) => {
                // SAFETY: it was not published, so that it is still ours.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: not null, and it stays until `drop`.
                Ok(unsafe { &*old })
            }
        }
    }
}

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self(AtomicPtr::default())
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        let value = *self.0.get_mut();
        if !value.is_null() {
            // SAFETY: it came from `offer`, and nobody else can reach it any more.
            drop(unsafe { Box::from_raw(value) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Made<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Made").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_stays() {
        let made = Made::default();
        assert_eq!(made.get(), None);
        std::thread::scope(|scope| {
            for i in 0..4 {
                let made = &made;
                scope.spawn(move || made.offer(vec![i; 10], "values").unwrap());
            }
        });
        let value = made.get().cloned().unwrap();
        assert_eq!(made.offer(Vec::new(), "values"), Ok(&value));
        assert!(format!("{made:?}").starts_with("Made(Some(["));
    }
}
