//! Picks the instruction set, once, and sends each call to its copy of the kernel.

use super::{ExpSums, Key, Moments, Wanted, kernels, portable::Portable};
use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// What the target guarantees: SSE2 on x86-64, NEON on 64-bit Arm.
    Portable = 1,
    /// AVX2, FMA and F16C.
    Avx2 = 2,
    /// AVX-512 F and DQ.
    Avx512 = 3,
}

impl Level {
    /// The name that `SORTES_SIMD` takes.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable if cfg!(target_arch = "aarch64") => "neon",
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }
}

static LEVEL: AtomicU8 = AtomicU8::new(0);

/// The instruction sets of this processor, plainest first.
pub fn available_levels() -> Vec<Level> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    let mut levels = vec![Level::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        if avx2 {
            levels.push(Level::Avx2);
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                levels.push(Level::Avx512);
            }
        }
    }
    levels
}

/// The instruction set in use.
///
/// The best one that the processor has, or the one that `SORTES_SIMD` names: a name that is
/// unknown, or that the processor lacks, falls back to the best below it.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => detect(),
    }
}

#[cold]
fn detect() -> Level {
    let cap = match std::env::var("SORTES_SIMD").as_deref() {
        Ok("portable" | "neon") => Level::Portable,
        Ok("avx2") => Level::Avx2,
        _ => Level::Avx512,
    };
    let best = available_levels().into_iter().filter(|l| *l <= cap).max();
    let level = best.unwrap_or(Level::Portable);
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

/// Runs `f` with another instruction set, for tests that compare them.
///
/// The choice is global to the process; results do not depend on it, so that nothing else notices.
///
/// # Panics
/// Where the processor lacks `level`.
pub fn with_level<T>(level: Level, f: impl FnOnce() -> T) -> T {
    assert!(available_levels().contains(&level), "this processor has no {}", level.name());
    let before = self::level();
    LEVEL.store(level as u8, Ordering::Relaxed);
    let out = f();
    LEVEL.store(before as u8, Ordering::Relaxed);
    out
}

/// Functions that are compiled once for each instruction set, and choose among their copies: for
/// plain loops that the compiler turns into vectors by itself.
///
/// What they call has to be `#[inline(always)]` to be compiled with them. Integer and IEEE
/// operations give the same bits in every copy.
///
/// ```
/// sortes_core::vectorised! {
///     /// Adds a constant.
///     pub fn shift(x: &mut [f64], by: f64) {
///         x.iter_mut().for_each(|x| *x += by);
///     }
/// }
///
/// let mut x = [1.0, 2.0];
/// shift(&mut x, 0.5);
/// assert_eq!(x, [1.5, 2.5]);
/// ```
#[macro_export]
macro_rules! vectorised {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$generic:ident: $bound:path>)? ($($arg:ident: $ty:ty),* $(,)?)
            $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$meta])*
        $vis fn $name $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt")]
                fn avx2 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? $body
                #[target_feature(
                    enable = "avx512f,avx512dq,avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt"
                )]
                fn avx512 $(<$generic: $bound>)? ($($arg: $ty),*) $(-> $ret)? $body
                match $crate::simd::level() {
                    // SAFETY: `level` returns only instruction sets that the processor has.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            $body
        }
    )*};
}

/// One entry point for each instruction set, and the function that chooses among them.
macro_rules! entry {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = |$l:ident| $body:expr;)*) => {$(
        pub(super) fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt")]
                unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                    type $l = super::avx2::Avx2;
                    // SAFETY: this function has the features that its lanes use.
                    unsafe { $body }
                }
                #[target_feature(
                    enable = "avx512f,avx512dq,avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt"
                )]
                unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                    type $l = super::avx512::Avx512;
                    // SAFETY: this function has the features that its lanes use.
                    unsafe { $body }
                }
                match level() {
                    // SAFETY: `level` returns only instruction sets that the processor has.
                    Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    Level::Avx2 => return unsafe { avx2($($arg),*) },
                    Level::Portable => {}
                }
            }
            {
                type $l = Portable;
                // SAFETY: plain arrays need no instruction set.
                unsafe { $body }
            }
        }
    )*};
}

entry! {
    fn block_max(x: &[f32], out: &mut [f32]) -> bool = |L| kernels::block_max::<L>(x, out);
    fn exp_sums(x: &[f32], max: f32, scale: f32, window: (f32, f32), wanted: Wanted) -> ExpSums
        = |L| {
            let windowed = window != (f32::NEG_INFINITY, f32::INFINITY);
            // Every other case shares one copy: the sums that nobody asked for are dropped.
            match (wanted.entropy, wanted.square, windowed) {
                (false, false, false) =>
                    kernels::exp_sums::<L, false, false, false>(x, max, scale, window),
                (true, false, false) =>
                    kernels::exp_sums::<L, true, false, false>(x, max, scale, window),
                (false, false, true) =>
                    kernels::exp_sums::<L, false, false, true>(x, max, scale, window),
                _ => kernels::exp_sums::<L, true, true, true>(x, max, scale, window),
            }
        };
    fn exp_into(x: &[f32], max: f32, scale: f32, out: &mut [f32])
        = |L| kernels::exp_into::<L>(x, max, scale, out);
    fn moments(x: &[f32], origin: f32, window: (f32, f32)) -> Moments
        = |L| kernels::moments::<L>(x, origin, window);
    fn count_at_least(x: &[f32], value: f32) -> usize = |L| kernels::count_at_least::<L>(x, value);
    fn key_histogram(
        x: &[f32], max: f32, scale: f32, window: (f32, f32), key: &Key, bins: &mut [f64]
    ) = |L| kernels::key_histogram::<L>(x, max, scale, window, key, bins);
    fn gather_keys(x: &[f32], window: (f32, f32), key: &Key, range: (f32, f32), out: &mut Vec<f32>)
        = |L| kernels::gather_keys::<L>(x, window, key, range, out);
    fn gather_window(
        x: &[f32], first_id: u32, window: (f32, f32), values: &mut Vec<f32>, ids: &mut Vec<u32>
    ) = |L| kernels::gather_window::<L>(x, first_id, window, values, ids);
    fn mask_window(x: &[f32], window: (f32, f32), fill: f32, out: &mut [f32])
        = |L| kernels::mask_window::<L>(x, window, fill, out);
    fn widen_f16(x: &[u16], out: &mut [f32]) = |L| kernels::widen_f16::<L>(x, out);
    fn widen_bf16(x: &[u16], out: &mut [f32]) = |L| kernels::widen_bf16::<L>(x, out);
}
