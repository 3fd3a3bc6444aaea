//! Basis-aware truncation (Finlayson et al. 2023, arXiv:2310.01693): which tokens must have
//! positive true probability, given that the output matrix of the model has few columns.
//!
//! A model with output matrix `W` can only match the mean of its rows, `W^T p = W^T p*`, and a
//! smoothed model overestimates no token by more than a factor: `p* <= sigma p`,
//! `sigma = 1 / (1 - tau)`. Token `i` is kept unless some `q` with `W^T q = W^T p`, `sum q = 1`,
//! `0 <= q <= sigma p` has `q_i = 0`.
//!
//! Write `q = (p - d) / (1 - t)`. Then `d` is a part of `p`, `0 <= d <= p`, that holds all of token
//! `i` and has the mean of `p`, and `t` is its mass. So the *critical value*
//!
//! `tau_crit_i = min { t : sum_j d_j a_j = t sum_j p_j a_j, d_i = p_i, 0 <= d <= p }`,
//! `a_j = (W_j, 1)`,
//!
//! is the mass of the smallest such part, and token `i` is kept if and only if `tau_crit_i > tau`.
//! By duality every `y` with `sum_j p_j a_j . y = 1` gives a lower bound
//! `p_i a_i . y + sum_(j != i) p_j min(a_j . y, 0)`, so that either answer has a short proof. The
//! published sampler omits `q >= 0`, that is `d <= p`; then `d_j <= t <= 1` is all that is left.
//!
//! | file | holds |
//! |---|---|
//! | `features` | the columns `a_j`, scaled |
//! | `columns` | their layout for sweeps |
//! | [`law`] | probabilities from logits, the threshold `tau` of a base rule |
//! | `row` | a distribution with what its tokens' programs share |
//! | `simplex` | the dual simplex method on some of the columns |
//! | `search` | the program of a token over all of them |
//! | `interior` | removal of improbable tokens without a program |
//! | `judge` | decisions by the cheapest proof |
//! | [`decision`] | critical values, keep sets, certificates |
//! | [`sampler`] | the draw |

mod columns;
pub mod decision;
mod features;
mod interior;
mod judge;
pub mod law;
mod row;
pub mod sampler;
mod search;
mod simplex;
#[cfg(test)]
mod tests;

use sortes_core::Error;

pub use decision::{Decision, critical, decide, keep};
pub use features::Features;
pub use law::Base;
pub use sampler::{Drawn, Sampler};

/// Vocabularies up to this size are one program.
const DIRECT: usize = 4096;
/// Columns of the restricted programs of larger ones.
const BAND: usize = 1536;

/// Which program is solved, and how much work it may take.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether `q >= 0` is asked for. The published sampler leaves it out, and keeps fewer tokens.
    pub nonneg: bool,
    /// Simplex steps before a program is given up.
    pub max_pivots: usize,
    direct: usize,
    band: usize,
}

impl Settings {
    /// Settings with the usual sizes of restricted programs.
    pub fn new(nonneg: bool, max_pivots: usize) -> Self {
        Self { nonneg, max_pivots, direct: DIRECT, band: BAND }
    }

    /// The most that a token of probability `mass` can give to a part.
    fn cap(self, mass: f64) -> f64 {
        if self.nonneg { mass } else { 1.0 }
    }
}

/// Why a program has no answer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    /// More pivots than [`Settings::max_pivots`].
    Pivots,
    /// A basis without an inverse.
    Singular,
    /// The proofs of the two bounds do not meet.
    Gap { lower: f64, upper: f64 },
    /// The caller asked to stop.
    Stopped,
}

impl Failure {
    fn of(self, row: usize, token: usize, settings: Settings) -> Error {
        let reason = match self {
            Self::Stopped => return Error::Cancelled,
            Self::Pivots => format!("undecided after max_pivots={} steps", settings.max_pivots),
            Self::Singular => "the basis became singular".into(),
            Self::Gap { lower, upper } => {
                format!("rounding left the critical value between {lower} and {upper}")
            }
        };
        Error::row("logits", row, format!("program of token {token}: {reason}"))
    }
}
