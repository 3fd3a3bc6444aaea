//! Top-k: Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", ACL 2018,
//! arXiv:1805.04833.

use super::{Options, Params, Survivors};
use crate::decode::exact::Cut;
use sortes_core::Result;

/// Keeps `l >=` the `k`-th largest logit, ties included.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    if let Some(least) = least(survivors, params) {
        keep(survivors, least);
    }
}

/// The least logit that top-k keeps.
pub(super) fn least(survivors: &mut Survivors<'_>, params: &Params) -> Option<f32> {
    let k = (params.top_k as usize).max(params.min_tokens());
    (params.top_k > 0.0).then(|| survivors.kth_largest(k))
}

pub(super) fn keep(survivors: &mut Survivors<'_>, least: f32) {
    survivors.keep_from(Cut::exact(f64::from(least)), 1);
}

/// Kept iff `k >=` the rank, which equals share.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    options: &Options,
    out: &mut [f64],
) -> Result<()> {
    survivors.write_of_groups(options.ties, out, |first, _, _| (first + 1) as f64)
}
