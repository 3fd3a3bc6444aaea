//! Top-n-sigma: Tang, Liu, Xu and Huang, "Top-nσ: Eliminating Noise in Logit Space for Robust Token
//! Sampling of LLM", ACL 2025, arXiv:2411.07641.

use super::{Options, Params, Survivors};

/// Keeps `l >= max - n * sigma`, with `sigma` the standard deviation of the surviving logits.
///
/// Nothing happens with fewer than two of them. The kept set does not depend on the temperature.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let moments = survivors.moments();
    if moments.count > 1 {
        let sigma = moments.deviation(options.sigma_ddof);
        let cut = f64::from(survivors.max()) - params.top_n_sigma * sigma;
        survivors.keep_from(cut, params.min_tokens());
    }
}

/// Kept iff `n >= (max - l) / sigma`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    options: &Options,
    out: &mut [f64],
) {
    let sigma = survivors.moments().deviation(options.sigma_ddof);
    let max = f64::from(survivors.max());
    survivors.write_of_logits(out, |l| (max - f64::from(l)) / sigma);
}
