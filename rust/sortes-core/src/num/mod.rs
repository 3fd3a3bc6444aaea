//! Numbers: thresholds that decide as `f64` does, sums whose rounding does not grow.

pub mod special;
mod sum;

pub use sum::{Sum, as_integer, sum};

/// The smallest `f32` whose value is at least `x`: `l >= x` in `f64` is `l >= ceil_f32(x)`.
pub fn ceil_f32(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

/// The largest `f32` whose value is at most `x`: `l <= x` in `f64` is `l <= floor_f32(x)`.
pub fn floor_f32(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}
