//! Top-h (arXiv 2509.02510).

use crate::decode::crossing::{Goal, Rank, Reach};
use crate::decode::params::{Options, Params};
use crate::decode::survivors::Survivors;
use sortes_core::rng::elementary::ln;

/// The rule looks at this many of the largest logits.
const HEAD: usize = 100;

/// Renormalises the hundred most likely tokens to `q`, and keeps, from the top, the prefix whose
/// sum of `-q ln q` stays within `top_h` times their entropy; always the first token.
///
/// The partial sums are not renormalised, as in the authors' code. `top_h = 1` keeps the hundred.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    if !params.top_h.is_finite() {
        return;
    }
    let head = survivors.head(HEAD);
    let z: f64 = head.iter().map(|(_, w)| *w).sum();
    let term = |w: f64| {
        let q = w / z;
        if q > f64::MIN_POSITIVE { -q * ln(q) } else { 0.0 }
    };
    let budget = params.top_h * head.iter().map(|(_, w)| term(*w)).sum::<f64>();
    let mut spent = 0.0;
    let mut keep = head.len();
    if params.top_h < 1.0 {
        keep = head
            .iter()
            .take_while(|(_, w)| {
                spent += term(*w);
                spent <= budget
            })
            .count();
    }
    keep_first(survivors, keep.max(1), options);
}

/// Keeps the `n` largest, ties broken by id.
pub(super) fn keep_first(survivors: &mut Survivors<'_>, n: usize, options: &Options) {
    let crossing = survivors.crossing(Rank::Logit, Goal::Count(n), Reach::AtLeast);
    let take = n.saturating_sub(crossing.before as usize);
    survivors.keep_prefix(&crossing, take, options.ties);
}
