//! Picks the instruction set, once, and sends each call to its copy of the kernel.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Error, Result};

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
/// The best one that the processor has, or the one that `SORTES_SIMD` names (see [`asked_level`]):
/// one that the processor lacks falls back to the best below it.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        1 => Level::Portable,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => detect(),
    }
}

/// The instruction set that the variable `SORTES_SIMD` names, if there is one.
///
/// # Errors
/// [`Error::Argument`] for an unknown name, which [`level`] takes for none.
pub fn asked_level() -> Result<Option<Level>> {
    let Some(name) = std::env::var_os("SORTES_SIMD") else { return Ok(None) };
    match name.to_str() {
        Some("portable" | "neon") => Ok(Some(Level::Portable)),
        Some("avx2") => Ok(Some(Level::Avx2)),
        Some("avx512") => Ok(Some(Level::Avx512)),
        _ => {
            let got = name.to_string_lossy();
            let reason = format!("must be 'portable', 'neon', 'avx2' or 'avx512', got '{got}'");
            Err(Error::argument("SORTES_SIMD", reason))
        }
    }
}

#[cold]
fn detect() -> Level {
    let cap = asked_level().ok().flatten().unwrap_or(Level::Avx512);
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

/// Functions that are compiled once for each instruction set, and choose among their copies.
///
/// Plain loops the compiler turns into vectors by itself. What they call has to be
/// `#[inline(always)]` to be compiled with them. Integer and IEEE operations give the same bits in
/// every copy.
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
///
/// Within this crate `fn name[L](...)` has a body over the lanes `L` of the instruction set (see
/// `lanes.rs`), whose operations are unsafe: each copy has the features that its lanes use.
#[macro_export]
macro_rules! vectorised {
    () => {};
    // Over lanes.
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident[$lanes:ident]($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
            $body:block
        $($others:tt)*
    ) => {
        $crate::vectorised! {
            @copies [$(#[$meta])* $vis] $name [] [$($arg: $ty),*] [$(-> $ret)?] [$($arg),*]
            {{ type $lanes = $crate::simd::portable::Portable; $body }}
            {{ type $lanes = $crate::simd::avx2::Avx2; $body }}
            {{ type $lanes = $crate::simd::avx512::Avx512; $body }}
        }
        $crate::vectorised! { $($others)* }
    };
    // Plain loops.
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$generic:ident: $bound:path>)? ($($arg:ident: $ty:ty),* $(,)?)
            $(-> $ret:ty)? $body:block
        $($others:tt)*
    ) => {
        $crate::vectorised! {
            @copies [$(#[$meta])* $vis] $name [$(<$generic: $bound>)?] [$($arg: $ty),*]
            [$(-> $ret)?] [$($arg),*] {$body} {$body} {$body}
        }
        $crate::vectorised! { $($others)* }
    };
    (
        @copies [$($head:tt)*] $name:ident [$($generics:tt)*] [$($parameters:tt)*] [$($returns:tt)*]
        [$($args:tt)*] {$portable:expr} {$avx2:expr} {$avx512:expr}
    ) => {
        $($head)* fn $name $($generics)* ($($parameters)*) $($returns)* {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt")]
                fn avx2 $($generics)* ($($parameters)*) $($returns)* { $avx2 }
                #[target_feature(
                    enable = "avx512f,avx512dq,avx2,fma,f16c,popcnt,bmi1,bmi2,lzcnt"
                )]
                fn avx512 $($generics)* ($($parameters)*) $($returns)* { $avx512 }
                match $crate::simd::level() {
                    // SAFETY: `level` returns only instruction sets that the processor has.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($args)*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($args)*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            $portable
        }
    };
}
