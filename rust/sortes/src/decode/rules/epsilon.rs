//! Epsilon sampling (Hewitt, Manning, Liang 2022, arXiv 2210.15191).

use super::ln_or_all;
use crate::decode::params::Params;
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;

/// Keeps `p >= epsilon`, that is `l >= max + T (ln z + ln epsilon)`.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.epsilon_cutoff > 0.0 {
        let law = survivors.plain_law();
        let ln_p = ln_or_all(params.epsilon_cutoff);
        let cut = f64::from(law.max) + survivors.temperature() * (ln(law.z) + ln_p);
        survivors.keep_from(cut, params.min_tokens());
    }
}
