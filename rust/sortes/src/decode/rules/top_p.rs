//! Top-p, the nucleus: Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020,
//! arXiv:1904.09751.

use super::{Options, Params, Survivors, top_k};
use crate::decode::crossing::{Crossing, Goal, Rank, Reach};
use crate::decode::pipeline::{Boundary, Ties};
use sortes_core::Result;

/// Keeps a token if the mass of those ahead of it (larger logits, then the tie rule) is `< p`: the
/// smallest prefix whose mass reaches `p`. [`Boundary`] names the variants.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
    if let Some((crossing, take)) = nucleus(survivors, params, options) {
        survivors.keep_prefix(&crossing, take, ties(options));
    }
}

/// Whether the nucleus holds all tokens of this logit, or none, whatever its boundary.
pub(in crate::decode) fn keeps(
    survivors: &mut Survivors<'_>,
    params: &Params,
    logit: f32,
) -> Option<bool> {
    survivors.is_within(Rank::Logit, 0.0, params.top_p, logit)
}

/// Top-k and top-p, both judged on the same law (the joint order of SGLang and FlashInfer).
pub(in crate::decode) fn apply_with_top_k(
    survivors: &mut Survivors<'_>,
    params: &Params,
    options: &Options,
) {
    let least = top_k::least(survivors, params);
    // The nucleus does not matter if it holds all that top-k keeps.
    let moot =
        params.top_p < 1.0 && least.is_some_and(|l| keeps(survivors, params, l) == Some(true));
    let nucleus = if moot { None } else { nucleus(survivors, params, options) };
    if let Some(least) = least {
        top_k::keep(survivors, least);
    }
    if let Some((crossing, take)) = nucleus {
        survivors.keep_prefix(&crossing, take, ties(options));
    }
}

/// Kept iff `p >` the mass ahead: of strictly likelier tokens, and of equals by the tie rule.
pub(in crate::decode) fn critical(
    survivors: &mut Survivors<'_>,
    options: &Options,
    out: &mut [f64],
) -> Result<()> {
    let of_group = options.ties == Ties::All;
    survivors.write_of_groups(
        options.ties,
        out,
        |_, likelier, ahead| {
            if of_group { likelier } else { ahead }
        },
    )
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
    // The first group of ties that does not fit whole: a token is kept while `before < p`, or
    // `<= p`, or `before + its own mass <= p`.
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
    // How many of the group fit. Monotone in `i`: a bisection, since a row of half-precision logits
    // can have many ties.
    let mut take = {
        let (mut kept, mut cut) = (0, ties);
        while kept < cut {
            let middle = usize::midpoint(kept, cut);
            if keeps(middle) { kept = middle + 1 } else { cut = middle }
        }
        kept
    };
    // At least `min_tokens`, and never nothing.
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
