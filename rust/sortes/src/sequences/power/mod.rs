//! A power of the law of whole texts: `p(text)^alpha`, normalised, and the law of the texts that match a
//! regular expression, and both at once.
//!
//! `p` is the law that the rules leave of each row. A text ends by a token that ends texts, or is cut at
//! the largest length: the law is over both kinds, unless a constraint asks for texts that are complete.
//! Tokens are proposed in proportion to `p^power` over the legal ones, whose mass is what weighs a text.
//! Who does asks which beginnings are open, and answers with logits.
//!
//! | file | holds |
//! |---|---|
//! | `target` | which texts there are, and the draws of one step |
//! | `texts` | beginnings that share their tokens |
//! | [`Particles`] | sequential Monte Carlo: weights, resampling, the normaliser |
//! | [`Chains`] | Metropolis-Hastings by whole tails |
//! | [`Listing`] | the texts that have all but nothing of the mass, by best-first search |

mod chains;
mod listing;
mod particles;
mod target;
#[cfg(test)]
mod tests;
mod texts;

pub use chains::{Chains, Schedule};
pub use listing::{Listing, TOLERANCE};
pub use particles::{Particles, Resampling};
pub use target::{Target, Text};

use sortes_core::Result;
use sortes_core::memory::with_capacity;
use sortes_core::num::Sum;
use sortes_core::rng::elementary::exp_negative;
use sortes_core::rng::{Purpose, Stream};
use sortes_core::weights::first_beyond;

/// The last round, which no token has: texts are shorter.
const LAST: u32 = u32::MAX;

/// Draws `n` indices in proportion to weights, given by their logarithms; none if all are zero.
/// `again` says whether they are themselves draws of this stream.
///
/// # Errors
/// If there is no memory for them.
pub fn pick(ln_w: &[f64], n: usize, stream: Stream, again: bool) -> Result<Vec<i64>> {
    let top = ln_w.iter().fold(f64::NEG_INFINITY, |top, l| if *l > top { *l } else { top });
    if top == f64::NEG_INFINITY {
        return Ok(Vec::new());
    }
    let mut weights = with_capacity(ln_w.len(), "weights")?;
    weights.extend(ln_w.iter().map(|l| exp_negative(l - top)));
    let mut total = Sum::default();
    for w in &weights {
        total.add(*w);
    }
    let rounds = stream.rounds();
    let mut out = with_capacity(n, "indices")?;
    for i in 0..n {
        let mut draws = rounds.draws(Purpose::Power, i as u64, LAST - u32::from(again));
        // Sums that round otherwise may end before the target.
        let target = draws.uniform() * total.value();
        let found = first_beyond(weights.iter().copied(), 0.0, target).map(|(i, _)| i);
        let last = || weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
        out.push(found.unwrap_or_else(last) as i64);
    }
    Ok(out)
}
