//! The truncation rules, one file each, as their papers state them.
//!
//! A rule asks the survivors for what it needs (the law, an order statistic, a crossing) and keeps
//! part of them. Each acts on the survivors *renormalised*. Beside `apply` stands `critical`, where
//! each token has a parameter at which it leaves the kept set. The table in `params` says with
//! which parameters a rule is on.

pub(super) mod epsilon;
pub(super) mod eta;
pub(super) mod min_p;
pub(super) mod mirostat;
pub(super) mod p_less;
pub(super) mod smoothing;
pub(super) mod temperature;
pub(super) mod tfs;
pub(super) mod top_a;
pub(super) mod top_h;
pub(super) mod top_k;
pub(super) mod top_n_sigma;
pub(super) mod top_p;
pub(super) mod typical;
pub(super) mod xtc;

use super::params::{Params, Rule};
use super::pipeline::Options;
use super::survivors::Survivors;
use sortes_core::Result;
use sortes_core::rng::elementary::ln;

/// What a rule does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Keeps part of the survivors.
    Narrow(fn(&mut Survivors<'_>, &Params, &Options)),
    /// Rewrites the logits of a row whose largest is given, as differences from that one; it acts
    /// before all that narrow.
    Rewrite(fn(&mut [f32], f32, &Params)),
}

impl Rule {
    /// Lets a rule act that narrows.
    pub(super) fn narrow(&self, survivors: &mut Survivors<'_>, params: &Params, options: &Options) {
        if let Act::Narrow(narrow) = self.act {
            narrow(survivors, params, options);
        }
    }
}

/// Writes the critical parameter of each token of a row that no rule has narrowed.
pub(super) type Critical = fn(&mut Survivors<'_>, &Options, &mut [f64]) -> Result<()>;

/// The logarithm of a parameter, minus infinity at zero.
fn ln_or_all(x: f64) -> f64 {
    if x > f64::MIN_POSITIVE { ln(x) } else { f64::NEG_INFINITY }
}
