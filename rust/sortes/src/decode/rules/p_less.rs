//! P-less sampling: Tan, Wu and Howard, "p-less Sampling: A Robust Hyperparameter-Free Approach for
//! LLM Decoding", ICLR 2026, arXiv:2509.23234.

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::simd::Wanted;

/// Keeps `p >= sum p^2`, the probability that two draws collide; the normalised, laxer form takes
/// `(n * sum p^2 - 1) / (n - 1)` over `n` tokens.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let collision = survivors.law(Wanted { entropy: true, square: true }).collision;
    let (mut threshold, mut magnified) = (collision, 1.0);
    if options.p_less_normalized {
        let n = survivors.count() as f64;
        let above = n * collision - 1.0;
        threshold = if n > 1.0 { above / (n - 1.0) } else { 0.0 };
        magnified = n * collision / above; // by the difference
    }
    // Squares are off by twice as much as the normaliser.
    let error = 3.0 * survivors.rounding().sum * magnified;
    let cut = survivors.cut_at(ln_or_all(threshold), error);
    survivors.keep_from(cut, params.min_tokens());
}
