//! The truncation of mirostat v2: Basu et al., "Mirostat: A Neural Text Decoding Algorithm that
//! Directly Controls Perplexity", ICLR 2021, arXiv:2007.14966.

use super::{Options, Params, Survivors};

/// Keeps tokens whose surprise `-log2 p` is at most `mu` bits, and always the most likely one.
pub(in crate::decode) fn apply(survivors: &mut Survivors<'_>, params: &Params, _: &Options) {
    survivors.keep_likely(-params.mirostat_mu * std::f64::consts::LN_2, params.min_tokens());
}
