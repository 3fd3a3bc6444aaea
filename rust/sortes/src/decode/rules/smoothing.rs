//! Quadratic and cubic smoothing.

use super::Params;

/// Rewrites the row: with `d = l - max`, `k = (3 - curve) / 2` and `s = (curve - 1) / 2`,
/// `l' = max - k f d^2 + s f d^3`, of which the differences from `max` are written.
///
/// The only transform that is not a division: it flattens the head and steepens the tail. With
/// neither `k` nor `s` negative, tokens stay in their order.
pub(in crate::decode) fn apply(row: &mut [f32], max: f32, params: &Params) {
    let (factor, curve) = (params.smoothing_factor, params.smoothing_curve);
    let (k, s) = ((3.0 - curve) / 2.0 * factor, (curve - 1.0) / 2.0 * factor);
    for l in row.iter_mut().filter(|l| **l > f32::NEG_INFINITY) {
        let d = f64::from(*l) - f64::from(max);
        *l = (s * d * d * d - k * d * d) as f32;
    }
}
