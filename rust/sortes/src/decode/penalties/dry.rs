//! DRY ("don't repeat yourself"): the longer the verbatim repetition that a token would extend, the
//! more it costs, exponentially.

use std::collections::HashMap;

use sortes_core::{Result, Run};

use super::Penalties;
use super::suffix::suffix_matches;
use super::token_map::{TokenMap, in_vocabulary};

/// `ln` of the largest `f32`: the penalty's power stays below it.
const LN_F32_MAX: f64 = 88.722_839;

/// What a repetition costs in one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dry {
    /// Cost of a repetition of `allowed_length` tokens; 0 turns DRY off.
    pub multiplier: f64,
    /// Factor for every further token, at least 1.
    pub base: f64,
    /// Shortest repetition that costs anything, at least 1.
    pub allowed_length: usize,
    /// Only the last tokens are looked at, this many; 0 means all.
    pub last_n: usize,
}

impl Dry {
    /// What `penalties` say of it.
    pub(super) fn of(penalties: &Penalties) -> Self {
        Self {
            multiplier: penalties.dry_multiplier,
            base: penalties.dry_base,
            allowed_length: penalties.dry_allowed_length,
            last_n: penalties.dry_penalty_last_n,
        }
    }

    /// The cost of extending a repetition of `length` tokens: `multiplier * base^(length - allowed)`,
    /// the exponent at most `floor(88.72 / ln base)`.
    pub(super) fn cost(&self, length: usize) -> f64 {
        let cap = (LN_F32_MAX / self.base.ln()).floor();
        let exponent = (length.saturating_sub(self.allowed_length) as f64).min(cap);
        self.multiplier * self.base.powf(exponent)
    }
}

/// Token sequences at which a repetition ends: a match never reaches across one.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    /// The last token of each sequence, with the tokens before it in order.
    heads_by_last: HashMap<i64, Vec<Vec<i64>>>,
}

impl Breakers {
    /// Breakers from their token sequences; empty ones are ignored.
    pub fn new(sequences: impl IntoIterator<Item = Vec<i64>>) -> Self {
        let mut heads_by_last: HashMap<i64, Vec<Vec<i64>>> = HashMap::new();
        for mut sequence in sequences {
            if let Some(last) = sequence.pop() {
                heads_by_last.entry(last).or_default().push(sequence);
            }
        }
        Self { heads_by_last }
    }

    /// Whether `token` alone breaks a sequence.
    fn is_breaker(&self, token: i64) -> bool {
        self.heads_by_last.get(&token).is_some_and(|heads| heads.iter().any(Vec::is_empty))
    }

    /// The number of tokens after the last breaker in `history`.
    fn tokens_since(&self, history: &[i64]) -> usize {
        if self.heads_by_last.is_empty() {
            return history.len();
        }
        let ends_here = |at: usize| {
            let heads = self.heads_by_last.get(&history[at]);
            heads.is_some_and(|heads| heads.iter().any(|head| history[..at].ends_with(head)))
        };
        let last = (0..history.len()).rev().find(|&at| ends_here(at));
        last.map_or(history.len(), |at| history.len() - 1 - at)
    }
}

/// Calls `subtract(token, cost)` once for every token that would extend a repetition.
///
/// For each earlier position of the last `last_n` tokens, `L` is the length of its longest common
/// suffix with the whole, counted back to the nearest breaker; the token that followed there is
/// charged for its largest `L`, if that is at least `allowed_length` and the token is no breaker.
///
/// Cost: linear in the history.
#[allow(clippy::too_many_arguments)] // two of them are buffers
pub(super) fn dry(
    history: &[i64],
    vocabulary: usize,
    rule: &Dry,
    breakers: &Breakers,
    lengths: &mut Vec<usize>,
    longest: &mut TokenMap,
    run: Run<'_>,
    mut subtract: impl FnMut(usize, f64),
) -> Result<()> {
    if rule.multiplier == 0.0 {
        return Ok(());
    }
    let history = super::last(history, rule.last_n);
    let reach = breakers.tokens_since(history);
    if reach < rule.allowed_length {
        return Ok(());
    }
    // How long each earlier token's repetition is, and the longest of each token.
    suffix_matches(history, reach, lengths, run)?;
    longest.clear(vocabulary, history.len())?;
    for (&follower, &length) in history.iter().rev().zip(&lengths[1..]) {
        if length >= rule.allowed_length
            && let Some(token) = in_vocabulary(follower, vocabulary)
            && !breakers.is_breaker(follower)
        {
            let best = longest.entry(token);
            *best = (*best).max(length as u32);
        }
    }
    for &(token, length) in longest.entries() {
        subtract(token, rule.cost(length as usize));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn run(history: &[i64], rule: &Dry, breakers: &Breakers) -> BTreeMap<usize, f64> {
        let mut costs = BTreeMap::new();
        let mut map = TokenMap::default();
        let mut lengths = Vec::new();
        dry(history, 8, rule, breakers, &mut lengths, &mut map, Run::alone(), |token, cost| {
            assert!(costs.insert(token, cost).is_none(), "token {token} charged twice");
        })
        .unwrap();
        costs
    }

    /// Every earlier position, walked back token by token.
    fn brute_force(history: &[i64], rule: &Dry, breaker: Option<i64>) -> BTreeMap<usize, f64> {
        let start = if rule.last_n == 0 { 0 } else { history.len().saturating_sub(rule.last_n) };
        let history = &history[start..];
        let n = history.len();
        let mut longest = BTreeMap::new();
        for follower in 1..n {
            let mut length = 0;
            while length < follower
                && history[follower - 1 - length] == history[n - 1 - length]
                && Some(history[n - 1 - length]) != breaker
            {
                length += 1;
            }
            let token = history[follower];
            if length >= rule.allowed_length && Some(token) != breaker && token < 8 {
                let best = longest.entry(token as usize).or_insert(0);
                *best = length.max(*best);
            }
        }
        longest
            .into_iter()
            .map(|(token, length)| {
                (token, rule.multiplier * rule.base.powf((length - rule.allowed_length) as f64))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn agrees_with_brute_force(
            history in prop::collection::vec(0..4_i64, 0..70),
            allowed_length in 1..4_usize,
            last_n in 0..40_usize,
            breaker in prop::option::of(0..4_i64),
        ) {
            let rule = Dry { multiplier: 0.8, base: 1.5, allowed_length, last_n };
            let breakers = Breakers::new(breaker.map(|id| vec![id]));
            let got = run(&history, &rule, &breakers);
            let want = brute_force(&history, &rule, breaker);
            prop_assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
            for (token, cost) in want {
                prop_assert!((got[&token] - cost).abs() <= 1e-12 * cost);
            }
        }
    }

    #[test]
    fn a_sequence_of_tokens_breaks_only_as_a_whole() {
        let rule = Dry { multiplier: 1.0, base: 2.0, allowed_length: 1, last_n: 0 };
        let history = [5, 6, 1, 2, 3, 5, 6, 1, 2];
        assert_eq!(run(&history, &rule, &Breakers::default()), BTreeMap::from([(3, 8.0)]));
        let broken = Breakers::new([vec![5, 6]]);
        assert_eq!(run(&history, &rule, &broken), BTreeMap::from([(3, 2.0)]));
        let other = Breakers::new([vec![4, 6], vec![]]);
        assert_eq!(run(&history, &rule, &other), BTreeMap::from([(3, 8.0)]));
    }

    #[test]
    fn the_exponent_is_capped_so_that_the_power_fits_a_float() {
        let rule = Dry { multiplier: 1.0, base: 1.75, ..Dry::of(&Penalties::default()) };
        assert_eq!(rule.cost(2 + 158), rule.cost(5000));
        assert!(rule.cost(5000) < f64::from(f32::MAX));
        assert!(rule.cost(2 + 157) < rule.cost(2 + 158));
        assert_eq!(Dry { multiplier: 3.0, base: 1.0, ..rule }.cost(5000), 3.0);
    }

    #[test]
    fn a_history_of_one_repeated_token_takes_linear_time() {
        let history = vec![1; 1 << 17];
        let rule = Dry { multiplier: 1.0, ..Dry::of(&Penalties::default()) };
        assert_eq!(run(&history, &rule, &Breakers::default()).len(), 1);
    }
}
