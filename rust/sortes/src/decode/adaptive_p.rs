//! Adaptive-p: a terminal sampler that prefers tokens whose probability is near a target.
//!
//! The target moves from step to step so that the drawn probabilities average what the user asked
//! for; that state lives with the caller.

use sortes_core::{Error, Result, simd};

/// The logit of a token exactly on target.
const PEAK: f32 = 5.0;
/// How steeply the logit falls with the distance from the target.
const SHARPNESS: f32 = 10.0;
/// The distance, in probability, that counts as one.
const WIDTH: f32 = 0.3;

/// Replaces the logits of a row by `5 - 10 d^2 / (1 + d)`, where `d = |p - target| / 0.3` and `p`
/// is the softmax of the row; a logit of minus infinity stays. Returns the normaliser
/// `ln sum exp l`, which turns a logit `l` of the row as it was into `ln p = l - normaliser`.
/// A negative target leaves the logits as they are.
///
/// A row without a finite logit is left alone; its normaliser is minus infinity. Three passes.
///
/// # Errors
/// [`Error::Row`] if the row contains NaN or plus infinity.
pub fn adaptive_p(row: &mut [f32], index: usize, target: f64) -> Result<f64> {
    let mut maxima = vec![0.0; row.len().div_ceil(simd::BLOCK)];
    let nan = simd::block_max(row, &mut maxima);
    let max = maxima.into_iter().fold(f32::NEG_INFINITY, f32::max);
    if nan || max == f32::INFINITY {
        return Err(Error::row("logits", index, "contains NaN or +inf"));
    }
    if max == f32::NEG_INFINITY {
        return Ok(f64::NEG_INFINITY);
    }
    let everything = (f32::NEG_INFINITY, f32::INFINITY);
    let z = simd::exp_sums(row, max, 1.0, everything, simd::Wanted::default()).z;
    let normaliser = f64::from(max) + z.ln();
    if target < 0.0 {
        return Ok(normaliser);
    }
    let (target, per_weight) = (target as f32, (1.0 / z) as f32);
    let mut weights = [0.0; simd::BLOCK];
    for block in row.chunks_mut(simd::BLOCK) {
        simd::exp_into(block, max, 1.0, &mut weights);
        for (l, weight) in block.iter_mut().zip(weights) {
            let d = (weight * per_weight - target).abs() / WIDTH;
            let bent = PEAK - SHARPNESS * d * d / (1.0 + d);
            *l = if *l == f32::NEG_INFINITY { *l } else { bent };
        }
    }
    Ok(normaliser)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_formula() {
        let logits: Vec<f32> = (0..700).map(|i| ((i * 37 % 101) as f32 - 90.0) / 3.0).collect();
        let mut row = logits.clone();
        row[5] = f32::NEG_INFINITY;
        let z: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
        let before = row.clone();
        let normaliser = adaptive_p(&mut row, 0, 0.4).unwrap();
        assert!((normaliser - z.ln()).abs() < 1e-6);
        for (i, (&l, &got)) in before.iter().zip(&row).enumerate() {
            let d = (f64::from(l).exp() / z - 0.4).abs() / 0.3;
            let want = 5.0 - 10.0 * d * d / (1.0 + d);
            if i == 5 {
                assert_eq!(got, f32::NEG_INFINITY);
            } else {
                assert!((f64::from(got) - want).abs() < 2e-5, "{i}: {got} {want}");
            }
        }
    }

    #[test]
    fn a_negative_target_is_off() {
        let mut row = [0.0, 1.0, -2.0];
        adaptive_p(&mut row, 0, -1.0).unwrap();
        assert_eq!(row, [0.0, 1.0, -2.0]);
    }

    #[test]
    fn bad_rows() {
        for bad in [f32::NAN, f32::INFINITY] {
            let error = adaptive_p(&mut [0.0, bad], 3, 0.5).unwrap_err();
            assert_eq!(error.to_string(), "logits: row 3: contains NaN or +inf");
        }
        let mut empty = [f32::NEG_INFINITY; 3];
        assert_eq!(adaptive_p(&mut empty, 0, 0.5).unwrap(), f64::NEG_INFINITY);
        assert_eq!(empty, [f32::NEG_INFINITY; 3]);
        assert_eq!(adaptive_p(&mut [], 0, 0.5).unwrap(), f64::NEG_INFINITY);
    }
}
