//! Temperature, plain and dynamic.

use super::{Options, Params, Survivors};
use crate::decode::params::GREEDY;
use sortes_core::rng::elementary::ln;
use sortes_core::simd::Wanted;

/// Weighs the survivors by `exp(l / T)` from here on.
///
/// With a range, `T = low + (high - low) * (H / ln n)^exponent`, where `H` is the entropy of the
/// `n` survivors, `low = max(0, T - range)` and `high = T + range`. `T = 0` keeps the largest
/// logit, the lowest id among equals.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    if is_greedy(params) {
        return survivors.keep_argmax();
    }
    let mut temperature = params.temperature;
    if params.dynatemp_range > 0.0 {
        temperature = dynamic(survivors, params);
    }
    if temperature < GREEDY {
        survivors.keep_argmax();
    } else {
        survivors.set_temperature(temperature);
    }
}

/// Whether the largest logit is kept whatever the others are.
pub(in crate::decode) fn is_greedy(params: &Params) -> bool {
    params.temperature < GREEDY && params.dynatemp_range <= 0.0
}

/// The dynamic temperature (entropy-based, as llama.cpp has it).
fn dynamic(survivors: &mut Survivors<'_>, params: &Params) -> f64 {
    let low = (params.temperature - params.dynatemp_range).max(0.0);
    let high = params.temperature + params.dynatemp_range;
    let n = survivors.count();
    if n <= 1 {
        return params.temperature;
    }
    let entropy = survivors.law(Wanted::ENTROPY).entropy;
    let share = (entropy / ln(n as f64)).clamp(0.0, 1.0);
    low + (high - low) * share.powf(params.dynatemp_exponent)
}
