//! Min-p: Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM
//! Outputs", ICLR 2025, arXiv:2407.01082.

use super::{Options, Params, Survivors, ln_or_all};
use crate::decode::exact::Cut;
use sortes_core::Result;

/// Keeps `p >= min_p * max p`, that is `l >= max + T ln(min_p)`: no normaliser is needed.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    let cut = f64::from(survivors.max()) + survivors.temperature() * ln_or_all(params.min_p);
    survivors.keep_from(Cut::exact(cut), params.min_tokens());
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
