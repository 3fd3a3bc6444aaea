//! Eta sampling (Hewitt, Manning, Liang 2022, arXiv 2210.15191).

use super::ln_or_all;
use crate::decode::params::Params;
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::Wanted;

/// Keeps `p >= eta` with `eta = min(epsilon, sqrt(epsilon) * exp(-H))` and `H` in nats.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.eta_cutoff > 0.0 {
        let law = survivors.law(Wanted { entropy: true, square: false });
        let ln_epsilon = ln_or_all(params.eta_cutoff);
        let ln_eta = ln_epsilon.min(0.5 * ln_epsilon - law.entropy);
        let cut = f64::from(law.max) + survivors.temperature() * (ln(law.z) + ln_eta);
        survivors.keep_from(cut, params.min_tokens());
    }
}
