//! Top-k (Fan et al. 2018, arXiv 1805.04833).

use crate::decode::params::Params;
use crate::decode::survivors::Survivors;

/// Keeps `l >=` the `k`-th largest logit, ties included.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.top_k >= 1.0 {
        let k = (params.top_k as usize).max(params.min_tokens());
        let cut = survivors.kth_largest(k);
        survivors.keep_from(f64::from(cut), 1);
    }
}
