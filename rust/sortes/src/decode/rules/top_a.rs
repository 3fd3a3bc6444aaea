//! Top-a.

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::Result;
use sortes_core::rng::elementary::ln;

/// Keeps `p >= a * (max p)^2`; `max p` is `1 / z`.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    let ln_z = ln(survivors.plain_law().z);
    survivors.keep_likely(ln_or_all(params.top_a) - 2.0 * ln_z, params.min_tokens());
}

/// Kept iff `a <= p / (max p)^2`.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    _: &Options,
    out: &mut [f64],
) -> Result<()> {
    let z = survivors.plain_law().z;
    survivors.write_of_p(out, |p| p * z * z)
}
