//! Min-p (Nguyen et al. 2024, arXiv 2407.01082).

use super::ln_or_all;
use crate::decode::params::Params;
use crate::decode::survivors::Survivors;

/// Keeps `p >= min_p * max p`, that is `l >= max + T ln(min_p)`: no normaliser is needed.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.min_p > 0.0 {
        let cut = f64::from(survivors.max()) + survivors.temperature() * ln_or_all(params.min_p);
        survivors.keep_from(cut, params.min_tokens());
    }
}
