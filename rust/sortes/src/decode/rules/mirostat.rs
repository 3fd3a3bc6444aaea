//! The truncation of mirostat v2 (Basu et al. 2020, arXiv 2007.14966).

use crate::decode::params::Params;
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;

/// Keeps tokens whose surprise `-log2 p` is at most `mu` bits, and always the most likely one.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.mirostat_mu < f64::INFINITY {
        let law = survivors.plain_law();
        let ln_p = -params.mirostat_mu * std::f64::consts::LN_2;
        let cut = f64::from(law.max) + survivors.temperature() * (ln(law.z) + ln_p);
        survivors.keep_from(cut, params.min_tokens());
    }
}
