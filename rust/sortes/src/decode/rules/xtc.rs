//! XTC, "exclude top choices".

use super::{Options, Params, Survivors, ln_or_all};
use sortes_core::num::ceil_f32;

/// Removes every token with `p >= threshold` but the least likely of them (the highest id among
/// equals). Nothing happens if fewer than two are that likely, or if a protected token would go.
///
/// The rule acts with the probability `xtc_probability`: the caller has decided that it does.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let error = survivors.rounding().sum;
    let cut = survivors.cut_at(ln_or_all(params.xtc_threshold), error);
    survivors.doubt_cut(cut, f32::INFINITY);
    let cut = ceil_f32(cut.at);
    if cut > survivors.max() {
        return;
    }
    let Some((least, last)) = survivors.least_from(cut) else { return };
    let goes =
        |id: &u32| survivors.logit(*id).is_some_and(|l| l > least || (l == least && *id < last));
    if !options.protected.iter().any(goes) {
        survivors.lower(least, (last, u32::MAX));
    }
}
