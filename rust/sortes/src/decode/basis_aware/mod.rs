//! Basis-aware truncation: which tokens must have positive true probability, given that the output
//! matrix of the model has few columns.
//!
//! Finlayson, Hewitt, Koller, Swayamdipta and Sabharwal, "Closing the Curious Case of Neural Text
//! Degeneration", ICLR 2024, arXiv:2310.01693.
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
//! The law `p` of a row is that of the family: bias, mask, smoothing and temperature shape it. The
//! rules then cut it, and `tau` is the probability at their cut. What they keep is kept; what they
//! remove is tested.
//!
//! | file | holds |
//! |---|---|
//! | `law` | the law of a row, what the rules keep of it, `tau` |
//! | `features` | the columns `a_j`, scaled; their state as bytes |
//! | `columns` | their layout for sweeps |
//! | `distribution` | a distribution with what its tokens' programs share |
//! | `simplex` | the dual simplex method on some of the columns |
//! | `search` | the program of a token over all of them |
//! | `leverage` | removal of improbable tokens without a program |
//! | `membership` | whether a token is kept, by the cheapest proof |
//! | `decision` | critical values, keep sets, certificates |
//! | `draw` | the draw |

mod columns;
mod decision;
mod distribution;
mod draw;
mod features;
mod law;
mod leverage;
mod membership;
mod search;
mod simplex;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sortes_core::Error;

pub use decision::Decision;
pub use draw::Drawn;
pub use features::Features;

/// Vocabularies up to this size are one program.
const DIRECT: usize = 4096;
/// Columns of the restricted programs of larger ones.
const BAND: usize = 1536;

/// How the tokens that rules remove are tested.
#[derive(Debug, Clone)]
pub struct BasisAware {
    /// The reduced output matrix.
    pub features: Arc<Features>,
    /// Which program is solved.
    pub settings: Settings,
    /// Programs for one draw; after these, the draw is from what the rules keep.
    pub max_programs: u32,
    /// Whether a program that the solver gives up on is an error. Its token is kept otherwise.
    pub strict: bool,
}

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
#[derive(Debug, Clone, PartialEq)]
enum Failure {
    /// More pivots than [`Settings::max_pivots`].
    Pivots,
    /// A basis without an inverse.
    Singular,
    /// The proofs of the two bounds do not meet.
    Gap { lower: f64, upper: f64 },
    /// No memory, or the caller asked to stop.
    Stopped(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Stopped(error)
    }
}

impl Failure {
    fn of(self, row: usize, token: usize, settings: Settings) -> Error {
        let reason = match self {
            Self::Stopped(error) => return error,
            Self::Pivots => format!("undecided after max_pivots={} steps", settings.max_pivots),
            Self::Singular => "the basis became singular".into(),
            Self::Gap { lower, upper } => {
                format!("rounding left the critical value between {lower} and {upper}")
            }
        };
        Error::row("logits", row, format!("program of token {token}: {reason}"))
    }
}
