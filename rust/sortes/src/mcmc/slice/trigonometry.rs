//! Sines and cosines that are the same on every platform.

use std::f64::consts::FRAC_2_PI;

/// Half of pi: the upper bits, so that small multiples are exact, and the rest.
const HIGH: f64 = 1.570_796_326_734_125_6;
const LOW: f64 = 6.077_100_506_506_192e-11;

/// Taylor's series of the sine over its argument, and of the cosine, in squares: within an eighth of a turn
/// the terms left out are below 1e-17.
const SINE: [f64; 10] = terms(1);
const COSINE: [f64; 10] = terms(0);

/// `(-1)^n / (2n + first)!`.
const fn terms(first: u32) -> [f64; 10] {
    let mut terms = [1.0; 10];
    let (mut n, mut k) = (1, first);
    while n < terms.len() {
        k += 2;
        terms[n] = -terms[n - 1] / (k * (k - 1)) as f64;
        n += 1;
    }
    terms
}

/// A polynomial, as two in the square: half as many steps wait for each other.
#[inline(always)]
fn series(terms: &[f64; 10], z: f64) -> f64 {
    let (square, mut even, mut odd) = (z * z, 0.0, 0.0);
    let mut n = terms.len();
    while n > 0 {
        n -= 2;
        even = even * square + terms[n];
        odd = odd * square + terms[n + 1];
    }
    even + z * odd
}

/// The sine and the cosine of an angle of a few turns, to about 2e-16.
#[inline]
pub(super) fn sin_cos(x: f64) -> (f64, f64) {
    let quarter = (x * FRAC_2_PI).round_ties_even();
    let r = (x - quarter * HIGH) - quarter * LOW;
    let z = r * r;
    let (sine, cosine) = (r * series(&SINE, z), series(&COSINE, z));
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
