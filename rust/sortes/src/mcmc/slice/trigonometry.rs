//! Sines and cosines that are the same on every platform.

use std::f64::consts::FRAC_2_PI;

/// Half of pi: the upper bits, so that small multiples are exact, and the rest.
const HIGH: f64 = 1.570_796_326_734_125_614_17;
const LOW: f64 = 6.077_100_506_506_192_249_32e-11;

/// The sine and the cosine of an angle of a few turns, to about 2e-16.
#[inline]
pub(super) fn sin_cos(x: f64) -> (f64, f64) {
    let quarter = (x * FRAC_2_PI).round_ties_even();
    let r = (x - quarter * HIGH) - quarter * LOW;
    // Taylor's series within an eighth of a turn: the terms left out are below 1e-17.
    let z = r * r;
    let (mut sine, mut cosine) = (1.0, 1.0);
    for n in (1..=8).rev() {
        let n = f64::from(n);
        sine = 1.0 - z / (2.0 * n * (2.0 * n + 1.0)) * sine;
        cosine = 1.0 - z / ((2.0 * n - 1.0) * 2.0 * n) * cosine;
    }
    sine *= r;
    match quarter as i64 & 3 {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_agree_with_the_system() {
        for i in -20_000..20_000 {
            let x = f64::from(i) * 3.141_7e-4;
            let (s, c) = super::sin_cos(x);
            assert!((s - x.sin()).abs() < 4e-16 && (c - x.cos()).abs() < 4e-16, "{x}");
        }
        assert_eq!(super::sin_cos(0.0), (0.0, 1.0));
    }
}
