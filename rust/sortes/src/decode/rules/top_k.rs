//! Top-k: Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", ACL 2018,
//! arXiv:1805.04833.

use super::{Options, Params, Survivors};
use crate::decode::exact::Cut;
use sortes_core::Result;

/// Keeps `l >=` the `k`-th largest logit, ties included.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    if params.top_k > 0.0 {
        let k = (params.top_k as usize).max(params.min_tokens());
        let cut = survivors.kth_largest(k);
        survivors.keep_from(Cut::exact(f64::from(cut)), 1);
    }
}

/// Kept iff `k >=` the rank, which equals share.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    options: &Options,
    out: &mut [f64],
) -> Result<()> {
    survivors.write_of_groups(options.ties, out, |first, _, _| (first + 1) as f64)
}
