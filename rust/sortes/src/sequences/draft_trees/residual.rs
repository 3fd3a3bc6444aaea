//! What is left of the law of the target when a drafted token is refused.
//!
//! A state stands at a node: the law `p` of the target, the law `q` of the next child, and the weight
//! `w` of the node, which is the probability that it is taken if no child is. A child with the token
//! `x` has the weight `min(1, w p(x) / q(x))`. If it is refused, the law becomes
//! `p' ~ max(w p - q, 0)` and the weight `s / (s + 1 - w)` with the sum `s` of that; of siblings that
//! are drawn without replacement, `q` loses `x`.
//!
//! With weights that are set to one at each node this is recursive rejection; without, and from the
//! leaves to the root, it is the traversal of trees, which on a chain is block verification.

use sortes_core::memory::reserve;
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run};

use crate::decode::Kept;

/// Tokens between two polls.
const BLOCK: usize = 1 << 16;

/// The state at a node.
#[derive(Debug, Default, Clone)]
pub(super) struct State {
    /// The tokens in the order of their ids; all of them if this is empty.
    ids: Vec<u32>,
    /// The law of the target, or what is left of it.
    pub(super) p: Vec<f64>,
    /// The law of the next child, up to a factor; empty if there is none.
    pub(super) q: Vec<f64>,
    /// The sum of `q`.
    pub(super) mass: f64,
    /// The probability that the node is taken if no child is.
    pub(super) weight: f64,
}

impl State {
    /// Stands at a node with what the rules keep of the target's law there and, unless the node is a
    /// leaf, of the draft's.
    pub(super) fn new(
        target: &mut Kept<'_, '_>,
        draft: Option<&mut Kept<'_, '_>>,
        weight: f64,
    ) -> Result<Self> {
        let mut state = Self { weight, ..Self::default() };
        let (all, mut weights) = (target.cols(), Vec::new());
        match draft {
            None => {
                state.list(target.list(), Some(&[]), all)?;
                state.p = state.law_of(target, &mut weights)?;
            }
            Some(draft) => {
                state.list(target.list(), draft.list(), all)?;
                state.p = state.law_of(target, &mut weights)?;
                state.q = state.law_of(draft, &mut weights)?;
                state.mass = state.q.iter().sum();
            }
        }
        Ok(state)
    }

    /// Remembers the tokens of two lists, if both are there and they are not all tokens anyway.
    fn list(&mut self, first: Option<&[u32]>, second: Option<&[u32]>, all: usize) -> Result<()> {
        let (Some(mut first), Some(mut second)) = (first, second) else { return Ok(()) };
        if first.len() == all || second.len() == all {
            return Ok(());
        }
        reserve(&mut self.ids, first.len() + second.len(), "tokens of a law")?;
        while let (Some(&a), Some(&b)) = (first.first(), second.first()) {
            self.ids.push(a.min(b));
            first = &first[usize::from(a <= b)..];
            second = &second[usize::from(b <= a)..];
        }
        self.ids.extend_from_slice(first);
        self.ids.extend_from_slice(second);
        Ok(())
    }

    fn law_of(&self, kept: &mut Kept<'_, '_>, weights: &mut Vec<f32>) -> Result<Vec<f64>> {
        let ids = (!self.ids.is_empty()).then_some(&self.ids[..]);
        let len = ids.map_or(kept.cols(), <[u32]>::len);
        let what = "tokens of a law";
        weights.clear();
        reserve(weights, len, what)?;
        weights.resize(len, 0.0);
        kept.weigh(ids, weights);
        let mut law = Vec::new();
        reserve(&mut law, len, what)?;
        law.extend(weights.iter().map(|&w| f64::from(w)));
        let factor = 1.0 / law.iter().sum::<f64>();
        for p in &mut law {
            *p *= factor;
        }
        Ok(law)
    }

    /// The place of a token in the laws; none if neither of them has it.
    pub(super) fn place(&self, token: u32) -> Option<usize> {
        if self.ids.is_empty() { Some(token as usize) } else { self.ids.binary_search(&token).ok() }
    }

    /// The probability that the next child is taken, whose token is at this place.
    pub(super) fn chance(&self, at: usize) -> f64 {
        (self.weight * self.p[at] * self.mass / self.q[at]).min(1.0)
    }

    /// Goes on without the next child, whose token is at this place; `is_replaced` says whether its
    /// siblings may have it again.
    pub(super) fn refuse(&mut self, at: usize, is_replaced: bool, run: Run<'_>) -> Result<()> {
        let (w, factor) = (self.weight, 1.0 / self.mass);
        let mut left = 0.0;
        for range in run.blocks(self.p.len(), BLOCK) {
            let range = range?;
            for (p, q) in self.p[range.clone()].iter_mut().zip(&self.q[range]) {
                *p = (w * *p - *q * factor).max(0.0);
                left += *p;
            }
        }
        let lost = 1.0 - w;
        if left > 0.0 {
            let factor = 1.0 / left;
            for p in &mut self.p {
                *p *= factor;
            }
            self.weight = left / (left + lost);
        } else {
            // Nothing of the law is left. If the weight was one, the laws are equal, and only rounding
            // leads here; otherwise the node is not taken.
            self.weight = if lost > 0.0 { 0.0 } else { 1.0 };
            self.p.copy_from_slice(&self.q);
        }
        if !is_replaced {
            self.q[at] = 0.0;
            self.mass = self.q.iter().sum();
        }
        Ok(())
    }

    /// The token that follows the node, by a uniform number.
    pub(super) fn draw(&self, uniform: f64) -> Option<u32> {
        let total: f64 = self.p.iter().sum();
        let (at, _) = first_beyond(self.p.iter().copied(), 0.0, uniform * total)?;
        Some(if self.ids.is_empty() { at as u32 } else { self.ids[at] })
    }
}
