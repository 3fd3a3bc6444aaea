//! P-less (arXiv 2509.23234).

use super::ln_or_all;
use crate::decode::params::{Options, Params};
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::Wanted;

/// Keeps `p >= sum p^2`, the probability that two draws collide; the normalised, laxer form takes
/// `(n * sum p^2 - 1) / (n - 1)` over `n` tokens.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    if params.p_less == 0.0 {
        return;
    }
    let law = survivors.law(Wanted { entropy: true, square: true });
    let mut threshold = law.collision;
    if options.p_less_normalized {
        let n = survivors.count() as f64;
        threshold = if n > 1.0 { (n * threshold - 1.0) / (n - 1.0) } else { 0.0 };
    }
    let cut = f64::from(law.max) + survivors.temperature() * (ln(law.z) + ln_or_all(threshold));
    survivors.keep_from(cut, params.min_tokens());
}
