//! Texts that must match a regular expression.

use std::borrow::Cow;
use std::sync::Arc;

use super::children::Listed;
use crate::sequences::automaton::TokenAutomaton;
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run};

/// What the texts of a search must match.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Which tokens may follow.
    pub automaton: Arc<TokenAutomaton>,
    /// Whether every text must be finished within the limit, and not cut by it.
    pub completes: bool,
}

impl Constraint {
    /// Checks that some text has so few tokens.
    ///
    /// # Errors
    /// If none is; if there is no memory to find out, or the work is cancelled.
    pub(in crate::sequences) fn check(&self, tokens: u32, run: Run<'_>) -> Result<()> {
        let automaton = &self.automaton;
        if !self.completes || automaton.finishes_within(automaton.start(), tokens, run)? {
            return Ok(());
        }
        let least = automaton.shortest(automaton.start(), run)?;
        let reason = format!(
            "must be at least {least}, as the shortest text of the automaton takes, got {tokens}"
        );
        Err(Error::argument("max_new_tokens", reason))
    }

    /// The tokens that may follow a state where so many are left at most, one bit for each.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub(in crate::sequences) fn mask(
        &self,
        state: u32,
        left: u32,
        run: Run<'_>,
    ) -> Result<Cow<'_, [u32]>> {
        self.automaton.mask(state, if self.completes { left } else { u32::MAX }, run)
    }

    /// Checks that the vocabulary fits rows of logits.
    ///
    /// # Errors
    /// If it does not.
    pub(in crate::sequences) fn check_width(&self, cols: usize) -> Result<()> {
        let len = self.automaton.vocabulary().len();
        if len <= cols {
            return Ok(());
        }
        let reason = format!("has a vocabulary of {len} tokens, but the rows have {cols} logits");
        Err(Error::argument("automaton", reason))
    }
}

/// What a mask leaves of a list, and the logarithm of its share.
pub(super) fn masked(
    Listed(tokens, ln_p): Listed<'_>,
    mask: &[u32],
) -> Result<(Vec<i64>, Vec<f64>, f64)> {
    let is_legal = |token: &i64| {
        let word = mask.get(*token as usize / 32);
        word.is_some_and(|word| word >> (*token % 32) & 1 == 1)
    };
    let mut legal = with_capacity(tokens.len(), "tokens of a node")?;
    let mut shares = with_capacity(tokens.len(), "tokens of a node")?;
    for (token, ln_p) in tokens.iter().zip(ln_p).filter(|(token, _)| is_legal(token)) {
        legal.push(*token);
        shares.push(*ln_p);
    }
    let ln_share = shares.iter().map(|l| l.exp()).sum::<f64>().ln();
    for l in &mut shares {
        *l -= ln_share;
    }
    Ok((legal, shares, ln_share))
}
