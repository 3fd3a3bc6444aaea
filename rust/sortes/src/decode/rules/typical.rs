//! Locally typical sampling: Meister et al., "Locally Typical Sampling", TACL 2023,
//! arXiv:2202.00666.

use super::{Options, Params, Survivors};
use crate::decode::crossing::{Goal, Rank, Reach};
use sortes_core::simd::Wanted;

/// Ranks tokens by `|-ln p - H|` and keeps the smallest prefix whose mass reaches `typical_p`,
/// ties included. The most likely token may go.
///
/// `-ln p - H` is a distance between logits, `(c - l) / T` with `c` the logit of a token with
/// `ln p = -H`, so that the kept set is a window around `c`.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    let centre = centre(survivors);
    let rank = Rank::Distance(centre);
    let mut crossing = survivors.crossing(rank, Goal::Share(params.typical_p), Reach::AtLeast).rank;
    if params.min_tokens() > 1 {
        let goal = Goal::Count(params.min_tokens());
        crossing = crossing.max(survivors.crossing(rank, goal, Reach::AtLeast).rank);
    }
    survivors.keep_within(centre, crossing);
}

/// Whether the typical set holds tokens of this logit.
pub(in crate::decode) fn keeps(
    survivors: &mut Survivors<'_>,
    params: &Params,
    logit: f32,
) -> Option<bool> {
    let rank = Rank::Distance(centre(survivors));
    let error = survivors.temperature() * survivors.rounding().entropy;
    survivors.is_within(rank, error, params.typical_p, logit)
}

/// The logit of a token with `-ln p = H`.
fn centre(survivors: &mut Survivors<'_>) -> f64 {
    let entropy = survivors.law(Wanted::ENTROPY).entropy;
    survivors.logit_of(-entropy)
}
