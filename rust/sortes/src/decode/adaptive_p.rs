//! Adaptive-p: a terminal sampler that prefers tokens whose probability is near a target.
//!
//! The target moves from step to step so that the drawn probabilities average what the user asked
//! for; that state lives with the caller.

use sortes_core::memory::{filled, with_capacity};
use sortes_core::{Error, Result, Run, simd};

use super::{Element, Rows};

/// The logit of a token exactly on target.
const PEAK: f32 = 5.0;
/// How steeply the logit falls with the distance from the target.
const SHARPNESS: f32 = 10.0;
/// The distance, in probability, that counts as one.
const WIDTH: f32 = 0.3;

/// Writes the logits `5 - 10 d^2 / (1 + d)` in place of each row of `x`, where
/// `d = |p - target| / 0.3` with the softmax `p` of the row and its own target; a logit of minus
/// infinity stays. Returns the normalisers `ln sum exp l`, which turn a logit `l` of a row as it was
/// into `ln p = l - normaliser`.
///
/// A negative target leaves a row as it is; so does a row without a finite logit, whose normaliser is
/// minus infinity. Three passes.
///
/// # Errors
/// [`Error::Row`] if a row contains NaN or plus infinity, [`Error::Argument`] and [`Error::Shape`] if
/// `targets` and `out` do not fit `x`, [`Error::Resource`] and [`Error::Cancelled`]; `out` is then
/// written in part.
pub fn adaptive_p<T: Element>(
    x: &impl Rows<T>,
    targets: &[f64],
    out: &mut [f32],
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let (rows, cols) = (x.rows(), x.cols());
    if targets.len() != rows {
        let reason = format!("has {} values for {rows} rows of logits", targets.len());
        return Err(Error::argument("targets", reason));
    }
    if out.len() != rows * cols {
        let (expected, got) = (format!("({rows}, {cols})"), format!("{} numbers", out.len()));
        return Err(Error::Shape { name: "out", expected, got });
    }
    let mut normalisers = filled(rows, f64::NEG_INFINITY, "normalisers")?;
    let mut each: Vec<_> = with_capacity(rows, "rows")?;
    each.extend(out.chunks_mut(cols.max(1)).zip(&mut normalisers));
    run.try_fill_chunks(&mut each, 1, |r, slot| {
        let (out, normaliser) = &mut slot[0];
        T::write_f32(x.row(r), out);
        **normaliser = reshape(out, r, targets[r])?;
        run.advance(1);
        Ok(())
    })?;
    Ok(normalisers)
}

/// Reshapes one row; returns its normaliser.
fn reshape(row: &mut [f32], index: usize, target: f64) -> Result<f64> {
    let mut max = f32::NEG_INFINITY;
    let mut nan = false;
    let mut maxima = [0.0; 16];
    for part in row.chunks(maxima.len() * simd::BLOCK) {
        let maxima = &mut maxima[..part.len().div_ceil(simd::BLOCK)];
        nan |= simd::block_max(part, maxima);
        max = maxima.iter().copied().fold(max, f32::max);
    }
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
            let reshaped = PEAK - SHARPNESS * d * d / (1.0 + d);
            *l = if *l == f32::NEG_INFINITY { *l } else { reshaped };
        }
    }
    Ok(normaliser)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of three logits.
    struct Matrix<'a>(&'a [[f32; 3]]);

    impl Rows<f32> for Matrix<'_> {
        fn rows(&self) -> usize {
            self.0.len()
        }
        fn cols(&self) -> usize {
            3
        }
        fn row(&self, row: usize) -> &[f32] {
            &self.0[row]
        }
    }

    const INF: f32 = f32::INFINITY;

    #[test]
    fn agrees_with_the_formula() {
        let logits: Vec<f32> = (0..9000).map(|i| ((i * 37 % 101) as f32 - 90.0) / 3.0).collect();
        let mut row = logits.clone();
        row[5] = -INF;
        let z: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
        let before = row.clone();
        let normaliser = reshape(&mut row, 0, 0.4).unwrap();
        assert!((normaliser - z.ln()).abs() < 1e-6);
        for (i, (&l, &got)) in before.iter().zip(&row).enumerate() {
            let d = (f64::from(l).exp() / z - 0.4).abs() / 0.3;
            let want = 5.0 - 10.0 * d * d / (1.0 + d);
            if i == 5 {
                assert_eq!(got, -INF);
            } else {
                assert!((f64::from(got) - want).abs() < 2e-5, "{i}: {got} {want}");
            }
        }
    }

    #[test]
    fn rows_have_targets_of_their_own() {
        let x = Matrix(&[[0.0, 1.0, -2.0], [-INF; 3], [0.0, 0.0, -INF]]);
        let mut out = [0.0; 9];
        let normalisers = adaptive_p(&x, &[-1.0, 0.5, 0.5], &mut out, Run::alone()).unwrap();
        assert_eq!(out[..3], [0.0, 1.0, -2.0]); // a negative target is off
        assert_eq!(out[3..6], [-INF; 3]);
        assert_eq!(out[6..], [5.0, 5.0, -INF]); // on target, both of them
        assert_eq!(normalisers[1], f64::NEG_INFINITY);
        assert!((normalisers[2] - 2_f64.ln()).abs() < 1e-6);
        assert_eq!(reshape(&mut [], 0, 0.5).unwrap(), f64::NEG_INFINITY);
    }

    #[test]
    fn bad_input() {
        let run = |rows: &[[f32; 3]], targets: &[f64], len| {
            adaptive_p(&Matrix(rows), targets, &mut vec![0.0; len], Run::alone())
                .unwrap_err()
                .to_string()
        };
        for bad in [f32::NAN, INF] {
            let rows = [[0.0; 3], [0.0, bad, 1.0], [bad; 3]];
            assert_eq!(run(&rows, &[0.5; 3], 9), "logits: row 1: contains NaN or +inf");
        }
        assert_eq!(run(&[[0.0; 3]], &[0.5; 2], 3), "targets: has 2 values for 1 rows of logits");
        assert!(run(&[[0.0; 3]], &[0.5], 4).starts_with("out: must have shape (1, 3)"));
    }
}
