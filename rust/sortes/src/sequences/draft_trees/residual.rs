//! What is left of the law of the model when a drafted token is refused.
//!
//! A state stands at a node: the law `p` of the model, the law `q` of the next child, and the weight
//! `w` of the node, which is the probability that it is taken if no child is. A child with the token
//! `x` has the weight `min(1, w p(x) / q(x))`. If it is refused, the law becomes
//! `p' ~ max(w p - q, 0)` and the weight `s / (s + 1 - w)` with the sum `s` of that; of siblings that
//! are drawn without replacement, `q` loses `x`.
//!
//! With weights that are set to one at each node this is recursive rejection; without, and from the
//! leaves to the root, it is the traversal of trees, which on a chain is block verification.

use sortes_core::memory::{filled, zeroed};
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run};

/// Tokens between two polls.
const BLOCK: usize = 1 << 16;

/// The state at a node.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The law of the model, or what is left of it.
    pub(super) p: Vec<f64>,
    /// The law of the next child, up to a factor; empty if there is none.
    pub(super) q: Vec<f64>,
    /// The sum of `q`.
    pub(super) mass: f64,
    /// The probability that the node is taken if no child is.
    pub(super) weight: f64,
}

impl State {
    /// Memory for laws over a vocabulary, of which that of the draft may not be needed.
    pub(super) fn new(vocabulary: usize, weight: f64, is_leaf: bool) -> Result<Self> {
        let what = "probabilities of tokens";
        let p = zeroed(vocabulary, what)?;
        let q = if is_leaf { Vec::new() } else { filled(vocabulary, 0.0, what)? };
        Ok(Self { p, q, mass: 1.0, weight })
    }

    /// The probability that the next child, which has this token, is taken; `None` if the draft can
    /// not have drawn it.
    pub(super) fn chance(&self, token: usize) -> Option<f64> {
        let q = self.q[token];
        (q > 0.0).then(|| (self.weight * self.p[token] * self.mass / q).min(1.0))
    }

    /// Goes on without the next child, which has this token. `is_replaced` says whether its siblings
    /// may have it again.
    pub(super) fn refuse(&mut self, token: usize, is_replaced: bool, run: Run<'_>) -> Result<()> {
        let (w, factor) = (self.weight, 1.0 / self.mass);
        let mut left = 0.0;
        for range in run.blocks(self.p.len(), BLOCK) {
            let range = range?;
            for (p, q) in self.p[range.clone()].iter_mut().zip(&self.q[range]) {
                // One rounding more than a subtraction would be too much where both are equal.
                *p = (w * *p - *q * factor).max(0.0);
                left += *p;
            }
        }
        let lost = 1.0 - w;
        if left > 0.0 {
            let factor = 1.0 / left;
            self.p.iter_mut().for_each(|p| *p *= factor);
            self.weight = left / (left + lost);
        } else {
            // Nothing of the law is left: nobody comes here but by rounding, if the weight was one.
            self.weight = if lost > 0.0 { 0.0 } else { 1.0 };
            self.p.copy_from_slice(&self.q);
        }
        if !is_replaced {
            self.q[token] = 0.0;
            self.mass = self.q.iter().sum();
        }
        Ok(())
    }

    /// The token that follows the node, by a uniform number.
    pub(super) fn draw(&self, uniform: f64) -> Option<usize> {
        let total: f64 = self.p.iter().sum();
        first_beyond(self.p.iter().copied(), 0.0, uniform * total).map(|(token, _)| token)
    }
}
