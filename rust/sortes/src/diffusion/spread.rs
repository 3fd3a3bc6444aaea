//! Noise with the variance that a network has learned.

use sortes_core::num::special::{exp, exp_f32};
use sortes_core::{Result, Run, vectorised};

/// How many elements one task takes.
const TASK: usize = 1 << 14;

/// A type of states.
pub trait Spread: Copy + Send + Sync {
    /// Writes what [`spread`] says.
    fn spread(said: &[Self], noise: &[Self], shift: Self, slope: Self, out: &mut [Self]);
}

macro_rules! number {
    ($type:ty, $name:ident, $exp:expr) => {
        vectorised! {
            fn $name(said: &[$type], noise: &[$type], shift: $type, slope: $type, out: &mut [$type]) {
                for ((out, said), noise) in out.iter_mut().zip(said).zip(noise) {
                    *out = $exp(shift + slope * said) * noise;
                }
            }
        }

        impl Spread for $type {
            fn spread(said: &[Self], noise: &[Self], shift: Self, slope: Self, out: &mut [Self]) {
                $name(said, noise, shift, slope, out);
            }
        }
    };
}
number!(f32, spread_f32, exp_f32);
number!(f64, spread_f64, exp_f64);

/// `exp(x)` of any number.
#[inline(always)]
fn exp_f64(x: f64) -> f64 {
    if x.abs() <= 700.0 { exp(x) } else { x.exp() }
}

/// Writes `exp(shift + slope * said) * noise` to `out`, element by element.
///
/// # Errors
/// If the work has been asked to stop.
///
/// # Panics
/// If the lengths differ.
pub fn spread<T: Spread>(
    said: &[T],
    noise: &[T],
    shift: T,
    slope: T,
    out: &mut [T],
    run: Run<'_>,
) -> Result<()> {
    assert!(said.len() == out.len() && noise.len() == out.len(), "states of one length");
    run.fill_chunks(out, TASK, |task, out| {
        let part = task * TASK..task * TASK + out.len();
        T::spread(&said[part.clone()], &noise[part], shift, slope, out);
        run.advance(out.len() as u64);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::simd::{available_levels, with_level};

    #[test]
    fn deviations_are_exponentials_on_every_level() {
        let n = TASK + 77;
        let said: Vec<f32> = (0..n).map(|i| (i as f32 / n as f32 - 0.5) * 170.0).collect();
        let noise: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0).collect();
        let mut plain: Vec<u32> = Vec::new();
        for level in available_levels() {
            let mut out = vec![9.0; n];
            let run = Run::alone();
            with_level(level, || spread(&said, &noise, 0.25, 0.5, &mut out, run)).unwrap();
            for i in 0..n {
                let exact = f64::from(0.25 + 0.5 * said[i]).exp() * f64::from(noise[i]);
                assert!((f64::from(out[i]) - exact).abs() <= 4e-7 * exact.abs(), "{level:?} {i}");
            }
            let bits: Vec<u32> = out.iter().map(|x| x.to_bits()).collect();
            assert!(plain.is_empty() || plain == bits, "{level:?}");
            plain = bits;
        }
    }

    #[test]
    fn ends_and_what_is_no_number_stay_what_they_are() {
        let said = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 100.0, -100.0, 0.0];
        let mut out = [9.0; 6];
        spread(&said, &[1.0; 6], 0.0, 1.0, &mut out, Run::alone()).unwrap();
        assert!(out[0].is_nan());
        assert_eq!(out[1..], [f32::INFINITY, 0.0, f32::INFINITY, 0.0, 1.0]);
        let said = said.map(f64::from);
        let mut out = [9.0; 6];
        spread(&said, &[1.0; 6], 0.0, 10.0, &mut out, Run::alone()).unwrap();
        assert!(out[0].is_nan());
        assert_eq!(out[1..], [f64::INFINITY, 0.0, f64::INFINITY, 0.0, 1.0]);
    }
}
