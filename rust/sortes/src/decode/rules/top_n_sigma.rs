//! Top-n-sigma: Tang, Liu, Xu and Huang, "Top-nσ: Eliminating Noise in Logit Space for Robust Token
//! Sampling of LLM", ACL 2025, arXiv:2411.07641.

use super::{Options, Params, Survivors};
use crate::decode::exact::{Cut, TIE_OF_SUMS};
use sortes_core::Result;

/// Keeps `l >= max - n * sigma`, with `sigma` the standard deviation of the surviving logits that
/// [count](Survivors::counted_from).
///
/// Nothing happens with fewer than two of them. The kept set does not depend on the temperature.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let counted = survivors.counted_from();
    let moments = survivors.moments(counted);
    if moments.count > 1 {
        let sigma = moments.deviation(options.sigma_ddof);
        let reach = params.top_n_sigma * sigma;
        let at = f64::from(survivors.max()) - reach * (1.0 + TIE_OF_SUMS);
        // Differences in `f32` are off by 2^-24 of themselves; all tokens weigh alike.
        let each = 1.0 / moments.count as f64;
        let spread = moments.squares * each / (sigma * sigma);
        let error = reach * spread / f64::from(1 << 22) * survivors.share_for(each);
        survivors.keep_from(Cut { at, error }, params.min_tokens());
    }
}

/// Kept iff `n >= (max - l) / sigma`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    options: &Options,
    out: &mut [f64],
) -> Result<()> {
    let counted = survivors.counted_from();
    let sigma = survivors.moments(counted).deviation(options.sigma_ddof);
    let max = f64::from(survivors.max());
    survivors.write_of_logits(out, |l| (max - f64::from(l)) / sigma)
}
