//! Top-p, the nucleus (Holtzman et al. 2019, arXiv 1904.09751).

use crate::decode::crossing::{Crossing, Goal, Rank, Reach};
use crate::decode::params::{Boundary, Options, Params, Ties};
use crate::decode::survivors::Survivors;

/// Keeps a token if the mass of those ahead of it (larger logits, then the tie rule) is `< p`: the
/// smallest prefix whose mass reaches `p`. [`Boundary`] names the variants.
pub(super) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    if let Some((crossing, take)) = nucleus(survivors, params, options) {
        survivors.keep_prefix(&crossing, take, ties(options));
    }
}

/// Top-k and top-p, both judged on the same law (the joint order of SGLang and FlashInfer).
pub(super) fn apply_with_top_k(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    let nucleus = nucleus(survivors, params, options);
    super::top_k::apply(survivors, params);
    if let Some((crossing, take)) = nucleus {
        survivors.keep_prefix(&crossing, take, ties(options));
    }
}

fn ties(options: &Options) -> Ties {
    if options.boundary == Boundary::TiesAll { Ties::All } else { options.ties }
}

/// The group of ties in which the nucleus ends, and how many of them it takes.
fn nucleus(
    survivors: &mut Survivors<'_>,
    params: &Params,
    options: &Options,
) -> Option<(Crossing, usize)> {
    let p = params.top_p;
    if p >= 1.0 {
        return None;
    }
    // A token is kept while `before < p`, or `<= p`, or `before + its own mass <= p`.
    let reach = match options.boundary {
        Boundary::Smallest | Boundary::TiesAll => Reach::AtLeast,
        Boundary::Lenient | Boundary::Exclude => Reach::Beyond,
    };
    let crossing = survivors.crossing(Rank::Logit, Goal::Share(p), reach);
    let Crossing { before, weight, target, ties, .. } = crossing;
    let keeps = |i: usize| {
        let ahead = before + i as f64 * weight;
        match options.boundary {
            Boundary::Smallest | Boundary::TiesAll => ahead < target,
            Boundary::Lenient => ahead <= target,
            Boundary::Exclude => ahead + weight <= target,
        }
    };
    // Monotone in `i`: a bisection, since a row of half-precision logits can have many ties.
    let mut take = {
        let (mut kept, mut cut) = (0, ties);
        while kept < cut {
            let middle = usize::midpoint(kept, cut);
            if keeps(middle) { kept = middle + 1 } else { cut = middle }
        }
        kept
    };
    let least = params.min_tokens();
    if least > 1 || (take == 0 && before == 0.0) {
        let first = survivors.crossing(Rank::Logit, Goal::Count(least), Reach::AtLeast);
        let needed = least.saturating_sub(first.before as usize).min(first.ties);
        if first.logit < crossing.logit {
            return Some((first, needed));
        }
        if first.logit == crossing.logit {
            take = take.max(needed);
        }
    }
    Some((crossing, take))
}
