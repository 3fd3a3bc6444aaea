//! Locally typical sampling (Meister et al. 2022, arXiv 2202.00666).

use crate::decode::crossing::{Goal, Rank, Reach};
use crate::decode::params::Params;
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::Wanted;

/// Ranks tokens by `|-ln p - H|` and keeps the smallest prefix whose mass reaches `typical_p`,
/// ties included. The most likely token may go.
///
/// `-ln p - H` is a distance between logits, `(c - l) / T` with `c = max + T (ln z - H)`, so that
/// the kept set is a window around `c`.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params) {
    if params.typical_p >= 1.0 {
        return;
    }
    let law = survivors.law(Wanted { entropy: true, square: false });
    let centre = f64::from(law.max) + survivors.temperature() * (ln(law.z) - law.entropy);
    let rank = Rank::Distance(centre);
    let mut crossing = survivors.crossing(rank, Goal::Share(params.typical_p), Reach::AtLeast).rank;
    if params.min_tokens() > 1 {
        let goal = Goal::Count(params.min_tokens());
        crossing = crossing.max(survivors.crossing(rank, goal, Reach::AtLeast).rank);
    }
    survivors.keep_within(centre, crossing);
}
