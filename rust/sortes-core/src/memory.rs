//! Memory whose size a caller chooses: an error where there is none, not an abort.

use std::alloc::{Layout, alloc_zeroed};
use std::hint::black_box;

use crate::{Error, Result, Run};

/// Elements that are copied between two looks at the stop request.
const BLOCK: usize = 1 << 16;

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
pub fn with_capacity<T>(len: usize, what: &'static str) -> Result<Vec<T>> {
    let mut out = Vec::new();
    match out.try_reserve_exact(len) {
        Ok(()) => {
            in_large_pages(out.as_mut_ptr(), len);
            Ok(out)
        }
        Err(_) => Err(refused::<T>(len, what)),
    }
}

/// Asks the system for large pages under `len` elements, if they are many: a first touch then costs a
/// tenth, and reads from anywhere in them rarely wait for the address. What the memory holds, and how
/// much of it there is, stays the same.
fn in_large_pages<T>(start: *mut T, len: usize) {
    #[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
    {
        use std::ffi::{c_int, c_void};
        /// The advice by its number in `linux/mman.h`.
        const HUGEPAGE: c_int = 14;
        const PAGE: usize = 4096;
        /// The least number of bytes: two large pages.
        const LEAST: usize = 4 << 20;
        unsafe extern "C" {
            fn madvise(start: *mut c_void, bytes: usize, advice: c_int) -> c_int;
        }
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes < LEAST {
            return;
        }
        let before = start.addr() % PAGE;
        let first = if before == 0 { 0 } else { PAGE - before };
        let whole = (bytes - first) & !(PAGE - 1);
        // SAFETY: the pages lie inside an allocation of the caller's, and the advice changes nothing that
        // a program can see. Where it is not followed, nothing is lost: the answer does not matter.
        unsafe { madvise(start.cast::<u8>().wrapping_add(first).cast(), whole, HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(miri))))]
    let _ = (start, len);
}

/// Asks for memory for `len` elements, which are `what`, and gives it back: before somebody takes as
/// much who takes it for granted.
///
/// ```
/// use sortes_core::memory::ask;
///
/// assert!(ask::<u64>(3, "draws").is_ok());
/// assert!(ask::<u64>(usize::MAX, "draws").is_err());
/// ```
///
/// # Errors
/// If they cannot be allocated.
pub fn ask<T>(len: usize, what: &'static str) -> Result<()> {
    // The compiler may leave out what is never looked at.
    drop(black_box(with_capacity::<T>(len, what)?));
    Ok(())
}

/// A vector of `len` elements, all of them `value`.
///
/// # Errors
/// If they cannot be allocated.
pub fn filled<T: Clone>(len: usize, value: T, what: &'static str) -> Result<Vec<T>> {
    let mut out = with_capacity(len, what)?;
    out.resize(len, value);
    Ok(out)
}

/// A vector of `len` zeros. The system hands out large ones as they are touched, so that even the
/// largest are there at once.
///
/// ```
/// use sortes_core::memory::zeroed;
///
/// assert_eq!(zeroed::<f64>(3, "sums").unwrap(), [0.0; 3]);
/// assert!(zeroed::<f64>(usize::MAX, "sums").is_err());
/// ```
///
/// # Errors
/// If they cannot be allocated.
pub fn zeroed<T: Zero>(len: usize, what: &'static str) -> Result<Vec<T>> {
    if len == 0 {
        return Ok(Vec::new());
    }
    let layout = Layout::array::<T>(len).map_err(|_| refused::<T>(len, what))?;
    // SAFETY: the size is not zero, since neither `len` nor the size of any `Zero` is.
    let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if start.is_null() {
        return Err(refused::<T>(len, what));
    }
    in_large_pages(start, len);
    // SAFETY: the global allocator made the memory with the layout of `len` elements, and zeroed
    // bytes are a value of any `Zero`.
    let zeros = unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, len)) };
    Ok(zeros.into_vec())
}

/// Makes room for `more` elements at the end of a vector, which holds `what`.
///
/// # Errors
/// If they cannot be allocated; the vector is as it was.
pub fn reserve<T>(out: &mut Vec<T>, more: usize, what: &'static str) -> Result<()> {
    let len = out.len().saturating_add(more);
    out.try_reserve(more).map_err(|_| refused::<T>(len, what))
}

/// A copy of `items`, which are `what`.
///
/// # Errors
/// If it cannot be allocated, or the work is cancelled.
pub fn copied<T: Copy>(items: &[T], what: &'static str, run: Run<'_>) -> Result<Vec<T>> {
    let mut out = with_capacity(items.len(), what)?;
    for range in run.blocks(items.len(), BLOCK) {
        out.extend_from_slice(&items[range?]);
    }
    Ok(out)
}

/// The error of `len` elements that cannot be allocated; they are `what`.
pub fn refused<T>(len: usize, what: &'static str) -> Error {
    Error::Resource {
        what,
        len: len as u64,
        bytes: (len as u64).saturating_mul(size_of::<T>() as u64),
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type with a size, of which zeroed bytes are a value.
pub trait Zero: sealed::Sealed {}

macro_rules! zero {
    ($($type:ty),*) => {
        $(impl sealed::Sealed for $type {}
        impl Zero for $type {})*
    };
}
zero!(bool, u8, u32, u64, usize, i32, i64, f32, f64);

impl<T: Zero> sealed::Sealed for [T; 2] {}
impl<T: Zero> Zero for [T; 2] {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancel;
    use crate::par::Threads;

    #[test]
    fn zeros_of_any_type_grow_and_go_as_other_vectors() {
        fn check<T: Zero + Clone + Default + PartialEq + std::fmt::Debug>() {
            for len in [0, 1, 7, 100_000] {
                let mut zeros = zeroed::<T>(len, "zeros").unwrap();
                assert_eq!(zeros, vec![T::default(); len]);
                zeros.push(T::default());
                zeros.shrink_to_fit();
                assert_eq!(zeros.len(), len + 1);
            }
            assert!(zeroed::<T>(usize::MAX, "zeros").is_err());
        }
        check::<bool>();
        check::<u8>();
        check::<u32>();
        check::<u64>();
        check::<usize>();
        check::<i32>();
        check::<i64>();
        check::<f32>();
        check::<f64>();
        check::<[u64; 2]>();
    }

    #[test]
    fn what_cannot_be_allocated_changes_nothing() {
        let mut items = vec![1, 2];
        let error = reserve(&mut items, usize::MAX / 2, "items").unwrap_err();
        assert!(matches!(error, Error::Resource { .. }));
        assert_eq!(items, [1, 2]);
        reserve(&mut items, 1000, "items").unwrap();
        assert!(items.capacity() >= 1002);
    }

    #[test]
    fn copies_are_whole_or_cancelled() {
        let items: Vec<u32> = (0..200_000).collect();
        assert_eq!(copied(&items, "items", Run::alone()).unwrap(), items);
        let cancel = Cancel::default();
        cancel.cancel();
        let stopped = Run::new(Threads::SERIAL, &cancel);
        assert_eq!(copied(&items, "items", stopped), Err(Error::Cancelled));
    }
}
