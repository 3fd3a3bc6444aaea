//! The truncation rules, one file each, as their papers state them.
//!
//! A rule asks the survivors for what it needs (the law, an order statistic, a crossing) and keeps
//! part of them. Each acts on the survivors *renormalised*.

mod epsilon;
mod eta;
mod min_p;
mod mirostat;
mod p_less;
mod smoothing;
mod temperature;
mod tfs;
mod top_a;
mod top_h;
mod top_k;
mod top_n_sigma;
mod top_p;
mod typical;
mod xtc;

pub(super) use smoothing::smooth;

use super::params::{Options, Params, Step};
use super::survivors::Survivors;
use sortes_core::rng::elementary::ln;

/// Where a coin decides, the coin.
pub(super) type Coin<'c> = &'c mut dyn FnMut() -> f64;

/// Applies one step.
pub(super) fn apply(
    step: Step,
    survivors: &mut Survivors<'_>,
    params: &Params,
    options: &Options,
    coin: Coin<'_>,
) {
    match step {
        Step::Temperature => temperature::apply(survivors, params),
        // Smoothing rewrites the row, so that it acts before the survivors exist.
        Step::Smoothing => {}
        Step::TopNSigma => top_n_sigma::apply(survivors, params, options),
        Step::TopH => top_h::apply(survivors, params, options),
        Step::TopK => top_k::apply(survivors, params),
        Step::TopP => top_p::apply(survivors, params, options),
        Step::TopKTopP => top_p::apply_with_top_k(survivors, params, options),
        Step::MinP => min_p::apply(survivors, params),
        Step::Typical => typical::apply(survivors, params),
        Step::Epsilon => epsilon::apply(survivors, params),
        Step::Eta => eta::apply(survivors, params),
        Step::Tfs => tfs::apply(survivors, params, options),
        Step::TopA => top_a::apply(survivors, params),
        Step::PLess => p_less::apply(survivors, params, options),
        Step::Mirostat => mirostat::apply(survivors, params),
        Step::Xtc => xtc::apply(survivors, params, options, coin),
    }
}

/// The logarithm of a parameter, minus infinity at zero.
fn ln_or_all(x: f64) -> f64 {
    if x > f64::MIN_POSITIVE { ln(x) } else { f64::NEG_INFINITY }
}
