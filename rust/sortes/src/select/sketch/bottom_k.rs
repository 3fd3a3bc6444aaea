//! Bottom-k samples with exponential ranks.

use sortes_core::bytes::Kind;
use sortes_core::rng::elementary;
use sortes_core::vectorised;

use super::ranked::{Rank, Ranked};

/// Weighted sampling without replacement (PPSWOR), as a sketch that merges.
///
/// The key of an item is `E / w`, where `E` is the exponential of its id (or of its index in
/// the shard); the sample is the `k` items of least key, in that order. That is the law of
/// drawing one item after the other in proportion to the weights that are left. Given the
/// threshold `t`, the `(k + 1)`-st key, an item is in the sample with probability
/// `p = 1 - exp(-w t)`, and the adjusted weights `w / p` are unbiased and uncorrelated (Cohen and
/// Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
///
/// ```
/// use sortes::select::sketch::{Batch, BottomK, Weights};
/// use sortes_core::{Run, rng::Stream};
///
/// let run = Run::alone();
/// let update = |sketch: &mut BottomK, ids: &[i64], weights: &[f64]| {
///     sketch.update(&Batch::new(ids, Weights::F64(weights), None, run)?, run)
/// };
/// let mut whole = BottomK::coordinated(2, Stream::new(7))?;
/// let (mut left, mut right) = (whole.for_shard(0)?, whole.for_shard(1)?);
/// update(&mut whole, &[1, 2, 3, 4], &[1.0, 2.0, 3.0, 4.0])?;
/// update(&mut left, &[4, 3], &[4.0, 3.0])?;
/// update(&mut right, &[1, 2], &[1.0, 2.0])?;
/// left.merge(&right, run)?;
/// assert_eq!(left.to_bytes(run)?, whole.to_bytes(run)?);
/// # Ok::<(), sortes_core::Error>(())
/// ```
pub type BottomK = Ranked<Exponential>;

vectorised! {
    /// Turns uniforms into exponentials.
    fn exponentials(u: &mut [f64]) {
        for u in u {
            *u = elementary::exponential(*u);
        }
    }
}

/// Ranks `-ln(1 - u)`.
#[derive(Clone, Copy, Debug)]
pub enum Exponential {}

impl Rank for Exponential {
    const KIND: Kind = Kind::BottomK;

    #[inline]
    fn rank(u: f64) -> f64 {
        -elementary::ln_1m(u)
    }

    fn ranks(u: &mut [f64]) {
        exponentials(u);
    }

    fn inclusion(rate: f64, threshold: f64) -> f64 {
        // No draw depends on it, so that the platform's own function will do.
        -(-rate * threshold).exp_m1()
    }

    fn threshold(key: f64) -> f64 {
        key
    }
}
