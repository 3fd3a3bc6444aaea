//! What a quick look in single precision says of distances: bounds of the rounding.

use sortes_core::vectorised;

use super::blocks::{BLOCK, Held};

/// What rounding to single precision may take from a number, relative to it; a little more.
pub(super) const ROUNDING: f64 = 6.1e-8;
/// By how much a squared distance in single precision may be wrong, and what it is compared with (in
/// single precision as well, perhaps): some 70 roundings each, and what underflows.
const SCREENED: (f64, f64) = (2e-5, 1e-38);

vectorised! {
    /// The bits of the points whose squared distance may be less than that to their centre: these
    /// are `reach` away from it at most, and as far as `moved` of the candidate does not show.
    pub(super) fn within(screened: &[f64], reach: &[f64; BLOCK], moved: f64) -> u64 {
        let (mut bits, mut lane) = (0, 1u64);
        for (&screened, reach) in screened.iter().zip(reach) {
            let reach = reach + moved;
            let limit = reach * reach * (1.0 + SCREENED.0) + SCREENED.1;
            bits |= if screened <= limit { lane } else { 0 };
            lane = lane.wrapping_shl(1);
        }
        bits
    }

    /// Bounds of what a candidate gains, from screened distances. Points and candidates may have
    /// moved.
    pub(super) fn bounds(
        screened: &[f64],
        points: Held<'_>,
        moved: &[f64; BLOCK],
        by: f64,
    ) -> [f64; 2] {
        let (mut low, mut high) = ([0.0; 8], [0.0; 8]);
        let Some(screened) = screened.first_chunk::<BLOCK>() else { return [0.0; 2] };
        for from in 0..BLOCK / 8 {
            for i in 0..8 {
                let at = 8 * from + i;
                let (nearest, share) = (points.nearest[at], points.shares[at]);
                let (screened, moved) = (screened[at], moved[at] + by);
                // A distance r may have changed by `moved`, and its square by 2 r moved + moved^2,
                // of which the first is at most moved (r^2 / h + h) for any h.
                let h = nearest.sqrt() + moved + 1e-19;
                let relative = SCREENED.0 + 1.001 * moved / h;
                let wrong = screened * relative + moved * (h + moved) + SCREENED.1;
                let (least, most) = (screened - wrong, screened + wrong);
                let (least, most) = (nearest - most, nearest - least);
                low[i] += share * if least > 0.0 { least } else { 0.0 };
                high[i] += share * if nearest > 0.0 && most > 0.0 { most } else { 0.0 };
            }
        }
        [low.iter().sum(), high.iter().sum()]
    }
}
