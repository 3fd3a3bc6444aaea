//! Tail-free sampling: Bricken, "Tail Free Sampling", 2019.

use super::{Options, Params, Survivors};
use crate::decode::exact::TIE_OF_SUMS;

/// Sorts the probabilities, takes the absolute second differences, normalises them, and keeps the
/// tokens up to where their cumulative sum exceeds `z`; the first always, the last never.
///
/// Nothing happens with fewer than three tokens or where all second differences vanish.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let n = survivors.count();
    if n < 3 {
        return;
    }
    let ranked = survivors.head(n);
    let curvature = |j: usize| (ranked[j] - 2.0 * ranked[j + 1] + ranked[j + 2]).abs();
    let total: f64 = (0..n - 2).map(curvature).sum();
    if total <= 0.0 {
        return;
    }
    // Token j (1 <= j <= n - 2) stays while the sum up to curvature j - 1 is within z.
    let most = params.tfs * (1.0 + TIE_OF_SUMS);
    let mut sum = 0.0;
    let stay = (0..n - 2)
        .take_while(|&j| {
            sum += curvature(j) / total;
            sum <= most
        })
        .count();
    survivors.keep_first((1 + stay).max(params.min_tokens()).min(n), options.ties);
}
