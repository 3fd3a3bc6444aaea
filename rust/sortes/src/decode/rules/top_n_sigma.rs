//! Top-n-sigma (Tang et al. 2024, arXiv 2411.07641).

use crate::decode::params::{Options, Params};
use crate::decode::survivors::Survivors;

/// Keeps `l >= max - n * sigma`, with `sigma` the standard deviation of the surviving logits.
///
/// Nothing happens with fewer than two of them. The kept set does not depend on the temperature.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    if params.top_n_sigma <= 0.0 {
        return;
    }
    let moments = survivors.moments();
    if moments.count < 2 {
        return;
    }
    let n = moments.count as f64;
    let deviations = (moments.squares - moments.sum * moments.sum / n).max(0.0);
    let sigma = (deviations / (n - f64::from(options.sigma_ddof))).sqrt();
    let cut = f64::from(survivors.max()) - params.top_n_sigma * sigma;
    survivors.keep_from(cut, params.min_tokens());
}
