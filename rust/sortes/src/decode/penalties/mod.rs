//! Penalties: what the tokens so far do to the logits of the next one.
//!
//! | file | idea |
//! |---|---|
//! | [`bias`] | additive biases on single tokens |
//! | [`repetition`] | scale what occurred |
//! | [`frequency_presence`] | subtract by count and by presence |
//! | [`dry`] | subtract exponentially in the length of the repetition a token would extend |
//! | [`ngram`] | ban what would complete an n-gram for the second time |
//! | [`bad_words`] | ban what would complete a word |
//!
//! All of them look at the history and touch only tokens named there or in a list, so that a row
//! costs time linear in its history and none in the vocabulary. [`penalize`] applies them in this
//! order. Ids of the history outside the vocabulary are ignored.

pub mod bad_words;
pub mod bias;
pub mod dry;
pub mod frequency_presence;
pub mod ngram;
pub mod repetition;
pub mod suffix;
pub mod token_map;

use std::cell::RefCell;

use sortes_core::{Error, Result};

pub use dry::{Breakers, Dry};
pub use token_map::TokenMap;

/// A row of logits that is changed one token at a time.
///
/// Changes are computed in `f64` and rounded once to the type of the row.
pub trait Row {
    /// The number of tokens.
    fn vocabulary(&self) -> usize;
    /// Replaces the logit `l` of `token` by `change(l)`.
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64);
}

impl Row for [f32] {
    fn vocabulary(&self) -> usize {
        self.len()
    }
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64) {
        self[token] = change(f64::from(self[token])) as f32;
    }
}

impl Row for [f64] {
    fn vocabulary(&self) -> usize {
        self.len()
    }
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64) {
        self[token] = change(self[token]);
    }
}

/// The penalties of one row; the default is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// Repetition penalty, positive; 1 is off.
    pub repetition: f64,
    /// Frequency penalty; 0 is off.
    pub frequency: f64,
    /// Presence penalty; 0 is off.
    pub presence: f64,
    /// The three above look at the last so many tokens; 0 means all.
    pub last_n: usize,
    /// DRY.
    pub dry: Dry,
    /// Size of the n-grams that may not occur twice; 0 is off.
    pub no_repeat_ngram_size: usize,
    /// The end-of-sequence tokens are banned until so many tokens were generated.
    pub min_new_tokens: usize,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            repetition: 1.0,
            frequency: 0.0,
            presence: 0.0,
            last_n: 0,
            dry: Dry::default(),
            no_repeat_ngram_size: 0,
            min_new_tokens: 0,
        }
    }
}

/// The token lists that all rows of a call share.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    bias: Vec<(usize, f64)>,
    bad_words: Vec<Vec<i64>>,
    breakers: Breakers,
    eos: Vec<usize>,
}

impl Lists {
    /// Checks that every id that would be biased or banned lies in the vocabulary.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the list and the id that is outside.
    pub fn new(
        vocabulary: usize,
        bias: &[(i64, f64)],
        bad_words: Vec<Vec<i64>>,
        breakers: Breakers,
        eos: &[i64],
    ) -> Result<Self> {
        let inside = |name, id| {
            token_map::in_vocabulary(id, vocabulary).ok_or_else(|| {
                Error::argument(name, format!("token id {id} is outside [0, {vocabulary})"))
            })
        };
        for &id in bad_words.iter().flatten() {
            inside("bad_words_ids", id)?;
        }
        Ok(Self {
            bias: bias
                .iter()
                .map(|&(id, value)| Ok((inside("logit_bias", id)?, value)))
                .collect::<Result<_>>()?,
            bad_words,
            breakers,
            eos: eos.iter().map(|&id| inside("eos_token_id", id)).collect::<Result<_>>()?,
        })
    }
}

/// Buffers that one thread keeps from row to row.
#[derive(Debug, Default)]
pub struct Scratch {
    tokens: TokenMap,
    lengths: Vec<usize>,
}

impl Scratch {
    /// Calls `f` with the buffers of this thread.
    pub fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        SCRATCH.with_borrow_mut(f)
    }
}

/// Applies all penalties to one row.
///
/// The first `prompt` tokens of `history` are the prompt: frequency, presence and
/// `min_new_tokens` count what follows it, all else looks at the whole.
///
/// # Examples
/// ```
/// use sortes::decode::penalties::{Lists, Penalties, Scratch, penalize};
/// let mut row = [1.0_f32, 2.0, 3.0];
/// let penalties = Penalties { repetition: 2.0, presence: 0.5, ..Penalties::default() };
/// penalize(&mut row[..], &[0, 2], 1, &penalties, &Lists::default(), &mut Scratch::default());
/// assert_eq!(row, [0.5, 2.0, 1.0]);
/// ```
pub fn penalize(
    row: &mut (impl Row + ?Sized),
    history: &[i64],
    prompt: usize,
    penalties: &Penalties,
    lists: &Lists,
    scratch: &mut Scratch,
) {
    let p = penalties;
    bias::bias(row, &lists.bias);
    repetition::repetition(row, last(history, p.last_n), p.repetition, &mut scratch.tokens);
    frequency_presence::frequency_presence(
        row,
        last(&history[prompt.min(history.len())..], p.last_n),
        p.frequency,
        p.presence,
        &mut scratch.tokens,
    );
    subtractions(history, prompt, row.vocabulary(), p, lists, scratch, |token, amount| {
        row.update(token, |l| l - amount);
    });
}

/// Calls `subtract(token, amount)` for what DRY takes away and, with an infinite amount, for each
/// ban: the part of [`penalize`] that follows the order of the tokens, not their counts alone.
///
/// It needs no logits, so that logits which live on another device need not move.
pub fn subtractions(
    history: &[i64],
    prompt: usize,
    vocabulary: usize,
    penalties: &Penalties,
    lists: &Lists,
    scratch: &mut Scratch,
    mut subtract: impl FnMut(usize, f64),
) {
    let Scratch { tokens, lengths } = scratch;
    dry::dry(history, vocabulary, &penalties.dry, &lists.breakers, lengths, tokens, &mut subtract);
    let mut ban = |token| subtract(token, f64::INFINITY);
    ngram::no_repeat_ngram(history, vocabulary, penalties.no_repeat_ngram_size, lengths, &mut ban);
    bad_words::bad_words(history, &lists.bad_words, |id| ban(id as usize));
    if history.len().saturating_sub(prompt) < penalties.min_new_tokens {
        lists.eos.iter().copied().for_each(ban);
    }
}

/// The last `n` tokens of `history`; all of them where `n` is 0.
fn last(history: &[i64], n: usize) -> &[i64] {
    if n == 0 { history } else { &history[history.len().saturating_sub(n)..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: f32 = f32::NEG_INFINITY;

    fn run(history: &[i64], prompt: usize, penalties: &Penalties, lists: &Lists) -> Vec<f32> {
        let mut row = vec![1.0_f32, 2.0, -3.0, 4.0];
        penalize(&mut row[..], history, prompt, penalties, lists, &mut Scratch::default());
        row
    }

    #[test]
    fn none_changes_nothing() {
        let row = run(&[0, 1, 2, 3, 9], 2, &Penalties::default(), &Lists::default());
        assert_eq!(row, [1.0, 2.0, -3.0, 4.0]);
    }

    #[test]
    fn the_order_is_bias_repetition_then_frequency_and_presence() {
        let lists = Lists::new(4, &[(1, 2.0)], vec![], Breakers::default(), &[]).unwrap();
        let p =
            Penalties { repetition: 2.0, frequency: 0.5, presence: 0.25, ..Penalties::default() };
        // Token 1: (2 + 2) / 2 - 0.5 * 2 - 0.25; token 0 occurs in the prompt alone.
        assert_eq!(run(&[0, 1, 1], 1, &p, &lists), [0.5, 0.75, -3.0, 4.0]);
        // The window reaches past the prompt, but the prompt is not counted.
        let windowed = Penalties { last_n: 1, ..p };
        assert_eq!(run(&[0, 1, 1], 1, &windowed, &lists), [1.0, 1.25, -3.0, 4.0]);
    }

    #[test]
    fn bans() {
        let lists = Lists::new(4, &[], vec![vec![1, 3]], Breakers::default(), &[0]).unwrap();
        let p = Penalties { min_new_tokens: 2, no_repeat_ngram_size: 2, ..Penalties::default() };
        assert_eq!(run(&[1, 2, 1], 2, &p, &lists), [FLOOR, 2.0, FLOOR, FLOOR]);
        assert_eq!(run(&[1, 2, 1], 1, &p, &lists), [1.0, 2.0, FLOOR, FLOOR]);
        assert_eq!(run(&[2, 1], 9, &p, &lists), [FLOOR, 2.0, -3.0, FLOOR]);
    }

    #[test]
    fn ids_that_would_be_changed_must_exist() {
        let message = |result: Result<Lists>| result.unwrap_err().to_string();
        let none = Breakers::default;
        assert_eq!(
            message(Lists::new(4, &[(4, 1.0)], vec![], none(), &[])),
            "logit_bias: token id 4 is outside [0, 4)"
        );
        assert_eq!(
            message(Lists::new(4, &[], vec![vec![1], vec![2, -1]], none(), &[])),
            "bad_words_ids: token id -1 is outside [0, 4)"
        );
        assert_eq!(
            message(Lists::new(4, &[], vec![], none(), &[9])),
            "eos_token_id: token id 9 is outside [0, 4)"
        );
    }
}
