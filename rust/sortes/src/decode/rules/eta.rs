//! Eta sampling: Hewitt, Manning and Liang, "Truncation Sampling as Language Model Desmoothing",
//! Findings of EMNLP 2022, arXiv:2210.15191.

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::Result;
use sortes_core::simd::Wanted;

/// Keeps `p >= min(epsilon, sqrt(epsilon) * exp(-H))`, with `H` in nats.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    let entropy = survivors.law(Wanted::ENTROPY).entropy;
    let ln_epsilon = ln_or_all(params.eta_cutoff);
    let ln_eta = ln_epsilon.min(0.5 * ln_epsilon - entropy);
    let error = survivors.rounding().entropy;
    let cut = survivors.cut_at(ln_eta, error);
    survivors.keep_from(cut, params.min_tokens());
}

/// Kept iff `epsilon <= max(p, (p * exp(H))^2)`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    _: &Options,
    out: &mut [f64],
) -> Result<()> {
    let perplexity = survivors.law(Wanted::ENTROPY).entropy.exp();
    survivors.write_of_p(out, |p| p.max((p * perplexity).powi(2)))
}
