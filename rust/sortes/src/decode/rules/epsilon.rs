//! Epsilon sampling: Hewitt, Manning and Liang, "Truncation Sampling as Language Model
//! Desmoothing", Findings of EMNLP 2022, arXiv:2210.15191.

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::Result;

/// Keeps `p >= epsilon`.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    survivors.keep_likely(ln_or_all(params.epsilon_cutoff), params.min_tokens());
}

/// Kept iff `epsilon <= p`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    _: &Options,
    out: &mut [f64],
) -> Result<()> {
    survivors.write_of_p(out, |p| p)
}
