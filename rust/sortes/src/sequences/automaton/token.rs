//! An automaton over tokens: which may follow, and where they lead.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::bytes::{ByteAutomaton, DEAD, START};
use super::made::Made;
use super::steps::{NEVER, Steps, steps};
use super::vocabulary::{Vocabulary, mark};
use super::walk::Walker;
use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

/// What the masks that are kept may take, in bytes.
const KEPT: usize = 1 << 26;

/// An automaton over tokens that accepts the texts of a regular expression, token by token.
///
/// Its states are those of the automaton over bytes, and [`end`](Self::end) behind the token that ends a
/// text. What may follow a state is found when it is asked for, and kept.
#[derive(Debug)]
pub struct TokenAutomaton {
    walker: Walker,
    /// The tokens that may follow each state, one bit for each.
    masks: Vec<Made<Vec<u32>>>,
    /// How many bytes of masks are kept.
    kept: AtomicUsize,
    /// How many tokens it takes to finish from each state, if anybody has asked.
    steps: Made<Steps>,
    /// No state takes more tokens, as far as that is known without `steps`.
    bound: u32,
}

impl TokenAutomaton {
    /// The automaton of a regular expression over the tokens of a vocabulary.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the `pattern` if no sequence of tokens matches it; if there is no
    /// memory, or the work is cancelled.
    pub fn new(bytes: ByteAutomaton, vocabulary: Arc<Vocabulary>, run: Run<'_>) -> Result<Self> {
        // Bytes that are tokens themselves mostly finish everything. Where they do not, the others are
        // looked at.
        let by_bytes = bytes.distances(|byte| vocabulary.has_byte(byte), run)?;
        let bound = by_bytes[START as usize..].iter().copied().fold(0, u32::max);
        let mut masks = with_capacity(bytes.len() + 1, "states of an automaton")?;
        masks.resize_with(bytes.len() + 1, Made::default);
        let automaton = Self {
            walker: Walker::new(bytes, vocabulary)?,
            masks,
            kept: AtomicUsize::new(0),
            steps: Made::default(),
            bound: bound.saturating_add(1),
        };
        if bound == NEVER && automaton.steps(run)?.counts[START as usize] == NEVER {
            let reason = "must match a text of the vocabulary's tokens, of which none do";
            return Err(Error::argument("pattern", reason));
        }
        Ok(automaton)
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.walker.vocabulary
    }

    /// How many states there are, with the one behind the end.
    pub fn len(&self) -> usize {
        self.masks.len() - 1
    }

    /// Whether there are none: never so.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where every text begins.
    pub fn start(&self) -> u32 {
        START
    }

    /// Behind the token that ends a text: only such tokens follow.
    pub fn end(&self) -> u32 {
        self.len() as u32
    }

    /// Whether a number is that of a state.
    pub fn is_state(&self, state: u32) -> bool {
        state != DEAD && state <= self.end()
    }

    /// Whether a text may end here.
    pub fn is_accepting(&self, state: u32) -> bool {
        state == self.end() || self.walker.bytes.is_accepting(state)
    }

    /// The state behind a token; `None` if the token may not follow.
    pub fn advance(&self, state: u32, token: u32) -> Option<u32> {
        let vocabulary = self.vocabulary();
        if token as usize >= vocabulary.len() {
            return None;
        }
        if vocabulary.is_end(token) {
            return self.is_accepting(state).then_some(self.end());
        }
        let text = vocabulary.token(token);
        if text.is_empty() || state == self.end() {
            return None;
        }
        let target = self.walker.bytes.steps(state, text);
        (target != DEAD && self.finishes(target)).then_some(target)
    }

    /// Whether tokens lead from a state of the bytes to where a text may end.
    fn finishes(&self, state: u32) -> bool {
        self.bound < NEVER
            || self.steps.get().is_none_or(|steps| steps.counts[state as usize] != NEVER)
    }

    /// How many tokens it takes at least to finish, with the one that ends the text.
    ///
    /// # Errors
    /// If there is no memory to find out, or the work is cancelled.
    pub fn shortest(&self, state: u32, run: Run<'_>) -> Result<u32> {
        if state == self.end() {
            return Ok(0);
        }
        if self.is_accepting(state) {
            return Ok(1);
        }
        Ok(self.steps(run)?.counts[state as usize])
    }

    /// Whether a text can be finished with so many tokens.
    ///
    /// # Errors
    /// As [`shortest`](Self::shortest).
    pub fn finishes_within(&self, state: u32, tokens: u32, run: Run<'_>) -> Result<bool> {
        Ok(self.most() <= tokens || self.shortest(state, run)? <= tokens)
    }

    /// No state takes more tokens, as far as that is known.
    fn most(&self) -> u32 {
        self.steps.get().map_or(self.bound, |steps| steps.most)
    }

    fn steps(&self, run: Run<'_>) -> Result<&Steps> {
        match self.steps.get() {
            Some(steps) => Ok(steps),
            None => self.steps.offer(steps(&self.walker, run)?, "steps of an automaton"),
        }
    }

    /// Whether the mask of a state is kept.
    pub fn has_mask(&self, state: u32) -> bool {
        self.masks[state as usize].get().is_some()
    }

    /// The tokens that may follow a state, one bit for each, the lowest first; of these, only tokens
    /// after which the text can be finished with `left` tokens in all.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn mask(&self, state: u32, left: u32, run: Run<'_>) -> Result<Cow<'_, [u32]>> {
        if left != u32::MAX && left <= self.most() {
            let counts = &self.steps(run)?.counts;
            return self.found(state, run, |target| counts[target as usize] < left).map(Cow::Owned);
        }
        let kept = &self.masks[state as usize];
        if let Some(mask) = kept.get() {
            return Ok(Cow::Borrowed(mask));
        }
        let mask = self.found(state, run, |target| self.finishes(target))?;
        let size = 4 * mask.len();
        if self.kept.fetch_add(size, Ordering::Relaxed) + size > KEPT {
            self.kept.fetch_sub(size, Ordering::Relaxed);
            return Ok(Cow::Owned(mask));
        }
        Ok(Cow::Borrowed(kept.offer(mask, "tokens of a mask")?))
    }

    /// The tokens that lead to states that fit, and those that end a text if it may end.
    fn found(&self, state: u32, run: Run<'_>, fits: impl Fn(u32) -> bool) -> Result<Vec<u32>> {
        let vocabulary = self.vocabulary();
        let mut mask = zeroed(vocabulary.words(), "tokens of a mask")?;
        if state != self.end() {
            let (known, most) = self.walker.common_path(state, &fits)?;
            if known != 0 {
                vocabulary.mark_of_kinds(known, most, &mut mask);
            }
            let order = &vocabulary.trie().order;
            self.walker.walk(state, known, run, |target, places| {
                if fits(target) {
                    order[places].iter().for_each(|&token| mark(&mut mask, token));
                }
                true
            })?;
        }
        if self.is_accepting(state) {
            vocabulary.ends_of_text().iter().for_each(|&token| mark(&mut mask, token));
        }
        Ok(mask)
    }
}
