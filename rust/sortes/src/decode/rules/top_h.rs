//! Top-h: Potraghloo, Azizi, Kundu and Pedram, "Top-H Decoding: Adapting the Creativity and
//! Coherence with Bounded Entropy in Text Generation", `NeurIPS` 2025, arXiv:2509.02510.

use super::{Options, Params, Survivors};
use crate::decode::exact::TIE_OF_SUMS;
use sortes_core::rng::elementary::ln;

/// The rule looks at this many of the largest logits.
const HEAD: usize = 100;

/// Renormalises the hundred most likely tokens to `q`, and keeps, from the top, the prefix whose
/// sum of `-q ln q` stays within `top_h` times their entropy; always the first token.
///
/// The partial sums are not renormalised, as in the authors' code. `top_h = 1` keeps the hundred.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let head = survivors.head(HEAD);
    let z: f64 = head.iter().sum();
    let term = |w: f64| {
        let q = w / z;
        if q > f64::MIN_POSITIVE { -q * ln(q) } else { 0.0 }
    };
    let entropy: f64 = head.iter().map(|w| term(*w)).sum();
    let budget = params.top_h * entropy * (1.0 + TIE_OF_SUMS);
    let mut spent = 0.0;
    let mut keep = head.len();
    if params.top_h < 1.0 {
        keep = head
            .iter()
            .take_while(|w| {
                spent += term(**w);
                spent <= budget
            })
            .count();
    }
    survivors.keep_first(keep.max(1), options.ties);
}
