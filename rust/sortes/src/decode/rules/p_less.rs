//! P-less sampling: Tan, Wu and Howard, "p-less Sampling: A Robust Hyperparameter-Free Approach for
//! LLM Decoding", ICLR 2026, arXiv:2509.23234.

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::simd::Wanted;

/// Keeps `p >= sum p^2`, the probability that two draws collide; the normalised, laxer form takes
/// `(n * sum p^2 - 1) / (n - 1)` over `n` tokens.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let mut threshold = survivors.law(Wanted { entropy: true, square: true }).collision;
    if options.p_less_normalized {
        let n = survivors.count() as f64;
        threshold = if n > 1.0 { (n * threshold - 1.0) / (n - 1.0) } else { 0.0 };
    }
    survivors.keep_likely(ln_or_all(threshold), params.min_tokens());
}
