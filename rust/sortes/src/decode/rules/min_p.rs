//! Min-p: Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM
//! Outputs", ICLR 2025, arXiv:2407.01082.

use super::{Options, Params, Survivors, ln_or_all};
use crate::decode::exact::Cut;
use sortes_core::Result;
use sortes_core::num::ceil_f32;

/// Keeps `p >= min_p * max p`, that is `l >= max + T ln(min_p)`: no normaliser is needed.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    let cut = cut(survivors, params);
    survivors.keep_from(Cut::exact(cut), params.min_tokens());
}

/// Whether a token of this logit stays, if one does not have to.
pub(in crate::decode) fn keeps(survivors: &mut Survivors<'_>, params: &Params, logit: f32) -> bool {
    logit >= ceil_f32(cut(survivors, params)).min(survivors.max())
}

fn cut(survivors: &mut Survivors<'_>, params: &Params) -> f64 {
    f64::from(survivors.max()) + survivors.temperature() * ln_or_all(params.min_p)
}

/// Kept iff `min_p <= p / max p`; `max p` is `1 / z`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    _: &Options,
    out: &mut [f64],
) -> Result<()> {
    let z = survivors.plain_law().z;
    survivors.write_of_p(out, |p| p * z)
}
