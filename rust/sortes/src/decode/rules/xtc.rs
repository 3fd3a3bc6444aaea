//! XTC, "exclude top choices".

use super::{Coin, ln_or_all};
use crate::decode::params::{Options, Params};
use crate::decode::survivors::Survivors;
use sortes_core::num::ceil_f32;
use sortes_core::rng::elementary::ln;

/// With probability `xtc_probability`, removes every token with `p >= threshold` but the least
/// likely of them (the highest id among equals). Nothing happens if fewer than two are that
/// likely, or if a protected token would go.
pub(super) fn apply(
    survivors: &mut Survivors<'_>,
    params: &Params,
    options: &Options,
    coin: Coin<'_>,
) {
    if params.xtc_probability <= 0.0 || coin() >= params.xtc_probability {
        return;
    }
    let law = survivors.plain_law();
    let ln_p = ln_or_all(params.xtc_threshold);
    let cut = f64::from(law.max) + survivors.temperature() * (ln(law.z) + ln_p);
    let cut = ceil_f32(cut);
    if cut > law.max {
        return;
    }
    let Some((least, id)) = survivors.least_from(cut) else { return };
    let mut left = survivors.window;
    left.lower(least, (id, u32::MAX));
    let goes = |id: u32| {
        let l = survivors.row.x.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        survivors.window.contains(l, id) && !left.contains(l, id)
    };
    if !options.protected.iter().any(|id| goes(*id)) {
        survivors.lower(least, (id, u32::MAX));
    }
}
