//! Penalties: what the tokens so far do to the logits of the next one.
//!
//! | file | idea |
//! |---|---|
//! | [`Penalties`] | the parameters |
//! | [`Batch`] | rows with their histories |
//! | `bias` | additive biases on single tokens |
//! | `repetition` | scale what occurred |
//! | `frequency_presence` | subtract by count and by presence |
//! | `dry` | subtract exponentially in the length of the repetition a token would extend |
//! | `ngram` | ban what would complete an n-gram for the second time |
//! | `bad_words` | ban what would complete a word |
//!
//! All of them look at the history and touch only tokens named there or in a list, so that a row
//! costs time linear in its history and none in the vocabulary. [`penalize`] applies them in this
//! order. Ids of the history outside the vocabulary are ignored.

mod bad_words;
mod batch;
mod bias;
mod dry;
mod frequency_presence;
mod ngram;
mod params;
mod repetition;
mod suffix;
mod token_map;

use std::cell::RefCell;

use sortes_core::{Error, Result, Run};

pub use batch::{Batch, Histories, Subtractions, Value};
pub use dry::Breakers;
pub use params::Penalties;

use self::dry::Dry;
use self::token_map::TokenMap;
use super::Element;

/// Tokens of a history between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// A row of logits that is changed one token at a time.
///
/// Changes are computed in `f64` and rounded once to the type of the row.
pub trait Row {
    /// The number of tokens.
    fn vocabulary(&self) -> usize;
    /// Replaces the logit `l` of `token` by `change(l)`.
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64);
}

impl<T: Element + Into<f64>> Row for [T] {
    fn vocabulary(&self) -> usize {
        self.len()
    }
    fn update(&mut self, token: usize, change: impl FnOnce(f64) -> f64) {
        self[token] = T::from_f64(change(self[token].into()));
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
struct Scratch {
    tokens: TokenMap,
    lengths: Vec<usize>,
}

impl Scratch {
    /// Calls `f` with the buffers of this thread.
    fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        SCRATCH.with_borrow_mut(f)
    }
}

/// Applies all penalties to one row.
///
/// The first `prompt` tokens of `history` are the prompt: frequency, presence and
/// `min_new_tokens` count what follows it, all else looks at the whole.
///
/// ```
/// use sortes::decode::penalties::{Lists, Penalties, penalize};
/// use sortes_core::Run;
///
/// let mut row = [1.0_f32, 2.0, 3.0];
/// let penalties =
///     Penalties { repetition_penalty: 2.0, presence_penalty: 0.5, ..Penalties::default() };
/// penalize(&mut row[..], &[0, 2], 1, &penalties, &Lists::default(), Run::alone()).unwrap();
/// assert_eq!(row, [0.5, 2.0, 1.0]);
/// ```
///
/// # Errors
/// [`Error::Resource`] and [`Error::Cancelled`]; the row may then be half changed.
pub fn penalize(
    row: &mut (impl Row + ?Sized),
    history: &[i64],
    prompt: usize,
    penalties: &Penalties,
    lists: &Lists,
    run: Run<'_>,
) -> Result<()> {
    let p = penalties;
    bias::bias(row, &lists.bias);
    Scratch::with(|Scratch { tokens, .. }| {
        let recent = last(history, p.penalty_last_n);
        repetition::repetition(row, recent, p.repetition_penalty, tokens, run)?;
        let generated = last(&history[prompt.min(history.len())..], p.penalty_last_n);
        let (frequency, presence) = (p.frequency_penalty, p.presence_penalty);
        frequency_presence::frequency_presence(row, generated, frequency, presence, tokens, run)
    })?;
    subtractions(history, prompt, row.vocabulary(), p, lists, run, |token, amount| {
        row.update(token, |l| l - amount);
    })
}

/// Calls `subtract(token, amount)` for what DRY takes away and, with an infinite amount, for each
/// ban: the part of [`penalize`] that follows the order of the tokens, not their counts alone.
///
/// It needs no logits, so that logits which live on another device need not move.
fn subtractions(
    history: &[i64],
    prompt: usize,
    vocabulary: usize,
    penalties: &Penalties,
    lists: &Lists,
    run: Run<'_>,
    mut subtract: impl FnMut(usize, f64),
) -> Result<()> {
    Scratch::with(|Scratch { tokens, lengths }| {
        let rule = Dry::of(penalties);
        dry::dry(history, vocabulary, &rule, &lists.breakers, lengths, tokens, run, &mut subtract)?;
        let mut ban = |token| subtract(token, f64::INFINITY);
        let size = penalties.no_repeat_ngram_size;
        ngram::no_repeat_ngram(history, vocabulary, size, lengths, run, &mut ban)?;
        bad_words::bad_words(history, &lists.bad_words, |id| ban(id as usize));
        if history.len().saturating_sub(prompt) < penalties.min_new_tokens {
            lists.eos.iter().copied().for_each(ban);
        }
        Ok(())
    })
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
        penalize(&mut row[..], history, prompt, penalties, lists, Run::alone()).unwrap();
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
        let p = Penalties {
            repetition_penalty: 2.0,
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..Penalties::default()
        };
        // Token 1: (2 + 2) / 2 - 0.5 * 2 - 0.25; token 0 occurs in the prompt alone.
        assert_eq!(run(&[0, 1, 1], 1, &p, &lists), [0.5, 0.75, -3.0, 4.0]);
        // The window reaches past the prompt, but the prompt is not counted.
        let windowed = Penalties { penalty_last_n: 1, ..p };
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
