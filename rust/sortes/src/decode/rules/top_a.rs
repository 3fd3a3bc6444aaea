//! Top-a.

use super::ln_or_all;
use crate::decode::params::Params;
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;

/// Keeps `p >= a * (max p)^2`. With `max p = 1 / z`: `l >= max + T (ln a - ln z)`.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.top_a > 0.0 {
        let law = survivors.plain_law();
        let below = ln_or_all(params.top_a) - ln(law.z);
        let cut = f64::from(law.max) + survivors.temperature() * below;
        survivors.keep_from(cut, params.min_tokens());
    }
}
