//! A global allocator that keeps something back for the small things that cannot be refused.
//!
//! What a caller chose the size of is asked for through [`memory`](crate::memory), and refused with an
//! error. Between two such requests a program allocates small things that have no way to fail: the
//! state of a lock, a thread's own data, the text of the error itself. Where a large request has taken
//! the last of the memory, these would abort the process. They come from the reserve instead.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the reserve; the system backs them when they are first used.
const SIZE: usize = 1 << 20;
/// The largest allocation that it serves.
const LARGEST: usize = 1 << 14;
/// One allocation of the state: its upper half counts them, its lower half is where free bytes begin.
const ONE: u64 = 1 << 32;

#[repr(C, align(4096))]
struct Bytes(UnsafeCell<[u8; SIZE]>);

/// The allocator of the system, or of `S`, with a reserve for small allocations that it refuses.
///
/// The reserve is handed out from its start to its end, and is whole again once all of its allocations
/// were given back.
pub struct Reserve<S = System> {
    source: S,
    state: AtomicU64,
    bytes: Bytes,
}

// SAFETY: the bytes are only ever lent as allocations, which `take` makes disjoint.
unsafe impl<S: Sync> Sync for Reserve<S> {}

impl Reserve {
    /// The allocator of the system with a whole reserve.
    #[must_use]
    pub const fn new() -> Self {
        Self::of(System)
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Reserve<S> {
    #[allow(clippy::large_stack_arrays)] // for values that are static
    const fn of(source: S) -> Self {
        Self { source, state: AtomicU64::new(0), bytes: Bytes(UnsafeCell::new([0; SIZE])) }
    }

    fn start(&self) -> *mut u8 {
        self.bytes.0.get().cast()
    }

    /// Whether an allocation is of the reserve.
    #[inline]
    fn holds(&self, at: *mut u8) -> bool {
        at.addr().wrapping_sub(self.start().addr()) < SIZE
    }

    /// Memory of the reserve, or null if it is too large or the reserve too far used.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST || layout.align() > align_of::<Bytes>() {
            return null_mut();
        }
        let taken = self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
            let start = from(state).next_multiple_of(layout.align());
            let end = start + layout.size();
            (end <= SIZE).then(|| (state - from(state) as u64 + ONE) + end as u64)
        });
        match taken {
            Ok(state) => {
                let start = from(state).next_multiple_of(layout.align());
                self.start().wrapping_add(start)
            }
            Err(_) => null_mut(),
        }
    }

    /// Gives an allocation of the reserve back.
    #[cold]
    fn give_back(&self) {
        let given = self.state.fetch_update(Ordering::Release, Ordering::Relaxed, |state| {
            let left = state - ONE;
            Some(if left < ONE { 0 } else { left })
        });
        debug_assert!(given.is_ok());
    }
}

/// Where the free bytes of a state begin.
fn from(state: u64) -> usize {
    (state % ONE) as usize
}

// SAFETY: an allocation is the source's own, or memory of the reserve: aligned and large enough, apart
// from all others until it is given back, and told from the source's by its address.
unsafe impl<S: GlobalAlloc> GlobalAlloc for Reserve<S> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let at = unsafe { self.source.alloc(layout) };
        if at.is_null() { self.take(layout) } else { at }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let at = unsafe { self.source.alloc_zeroed(layout) };
        if !at.is_null() {
            return at;
        }
        let at = self.take(layout);
        if !at.is_null() {
            // SAFETY: these are the bytes that were just taken.
            unsafe { at.write_bytes(0, layout.size()) };
        }
        at
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if self.holds(at) {
            self.give_back();
        } else {
            // SAFETY: what is not of the reserve is of the source.
            unsafe { self.source.dealloc(at, layout) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size, rounded up to the alignment, is no overflow.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let new = if self.holds(at) {
            // SAFETY: as the caller promises.
            unsafe { self.alloc(wanted) }
        } else {
            // SAFETY: what is not of the reserve is of the source.
            let new = unsafe { self.source.realloc(at, layout, size) };
            if !new.is_null() {
                return new;
            }
            self.take(wanted)
        };
        if !new.is_null() {
            // SAFETY: both are at least this long, and they are apart; the old one is not used again.
            unsafe {
                at.copy_to_nonoverlapping(new, layout.size().min(size));
                self.dealloc(at, layout);
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source without any memory.
    struct Nothing;

    // SAFETY: it never allocates.
    unsafe impl GlobalAlloc for Nothing {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
            panic!("this was of the reserve");
        }
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn small_allocations_are_apart_aligned_and_zeroed_where_asked() {
        static RESERVE: Reserve<Nothing> = Reserve::of(Nothing);
        let all = &RESERVE;
        // SAFETY: every allocation is used within its size and given back once.
        unsafe {
            let sizes = [(1, 1), (8, 8), (3, 1), (64, 64), (5000, 4096), (LARGEST, 16)];
            let taken = sizes.map(|(size, align)| {
                let at = all.alloc(layout(size, align));
                assert!(all.holds(at) && at.addr().is_multiple_of(align));
                at.write_bytes(size as u8, size);
                at
            });
            for (at, (size, align)) in taken.into_iter().zip(sizes) {
                let bytes = std::slice::from_raw_parts(at, size);
                assert!(bytes.iter().all(|&byte| byte == size as u8));
                all.dealloc(at, layout(size, align));
            }
            let again = all.alloc_zeroed(layout(100, 1));
            assert_eq!(again, taken[0], "the reserve is whole again");
            assert!(std::slice::from_raw_parts(again, 100).iter().all(|&byte| byte == 0));
            again.write_bytes(7, 100);
            let longer = all.realloc(again, layout(100, 1), 1000);
            assert!(std::slice::from_raw_parts(longer, 100).iter().all(|&byte| byte == 7));
            all.dealloc(longer, layout(1000, 1));
            assert_eq!(all.state.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn large_ones_and_those_beyond_the_end_are_refused() {
        static RESERVE: Reserve<Nothing> = Reserve::of(Nothing);
        let all = &RESERVE;
        // SAFETY: nothing is read or written.
        unsafe {
            assert!(all.alloc(layout(LARGEST + 1, 1)).is_null());
            assert!(all.alloc(layout(1, 1 << 13)).is_null());
            for _ in 0..SIZE / LARGEST {
                assert!(!all.alloc(layout(LARGEST, 1)).is_null());
            }
            assert!(all.alloc(layout(1, 1)).is_null());
            assert!(all.alloc_zeroed(layout(1, 1)).is_null());
        }
    }

    #[test]
    fn threads_share_it() {
        static RESERVE: Reserve<Nothing> = Reserve::of(Nothing);
        std::thread::scope(|scope| {
            for mark in 0..4_u8 {
                scope.spawn(move || {
                    for round in 1..2000_usize {
                        let layout = layout(1 + round % 100, 8);
                        // SAFETY: used within its size, given back once.
                        unsafe {
                            let at = RESERVE.alloc(layout);
                            // All four may hold it at once for so long that it is used up.
                            if at.is_null() {
                                continue;
                            }
                            at.write_bytes(mark, layout.size());
                            std::thread::yield_now();
                            let bytes = std::slice::from_raw_parts(at, layout.size());
                            assert!(bytes.iter().all(|&byte| byte == mark));
                            RESERVE.dealloc(at, layout);
                        }
                    }
                });
            }
        });
        assert_eq!(RESERVE.state.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn with_memory_the_reserve_is_not_touched() {
        static RESERVE: Reserve = Reserve::new();
        let all = &RESERVE;
        // SAFETY: given back once.
        unsafe {
            let at = all.alloc(layout(8, 8));
            assert!(!all.holds(at));
            let longer = all.realloc(at, layout(8, 8), 16);
            assert!(!all.holds(longer));
            all.dealloc(longer, layout(16, 8));
        }
        assert_eq!(all.state.load(Ordering::Relaxed), 0);
    }
}
