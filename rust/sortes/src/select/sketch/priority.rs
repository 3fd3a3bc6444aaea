//! Priority samples.

use super::ranked::{Rank, Ranked};
use sortes_core::bytes::Kind;

/// Priority sampling: nearly the least variance of all weighted samples, and it merges.
///
/// The priority of an item is `w / u`, where `u` is the uniform of its id (or of its index in the
/// shard); the sample is the `k` items of greatest priority. Given the threshold `tau`, the
/// `(k + 1)`-st priority, an item is in the sample with probability `min(1, w / tau)`, and the
/// adjusted weights `max(w, tau)` are unbiased and uncorrelated (Duffield, Lund and Thorup,
/// "Priority sampling for estimation of arbitrary subset sums", J. ACM 54, 2007). Keys are
/// `u / w`, so that smaller is better as in a bottom-k sample.
pub type PrioritySample = Ranked<Uniform>;

/// Ranks `u`.
#[derive(Clone, Copy, Debug)]
pub enum Uniform {}

impl Rank for Uniform {
    const KIND: Kind = Kind::PrioritySample;

    #[inline]
    fn rank(u: f64) -> f64 {
        u
    }

    fn ranks(_: &mut [f64]) {}

    fn inclusion(rate: f64, threshold: f64) -> f64 {
        (rate * threshold).min(1.0)
    }

    fn threshold(key: f64) -> f64 {
        1.0 / key
    }
}
