//! `_core.sequences.automaton`: which tokens may follow, so that a text matches a regular expression.

use std::sync::Arc;

use sortes::sequences::automaton::{self as kernels, ByteAutomaton};
use sortes_core::memory::{copied, with_capacity};

use crate::prelude::*;

/// Nanoseconds of a state for which all tokens are looked at.
pub(super) const STATE: f64 = 100e3;
/// Of a small automaton over bytes.
const SMALL: f64 = 10e6;
/// Of a token that is put into a vocabulary.
const TOKEN: f64 = 1000.0;
/// Of one that a text goes on with.
const STEP: f64 = 50.0;
/// Of a word of a mask that is copied.
const WORD: f64 = 0.5;

/// The tokens of a model as bytes.
#[pyclass(frozen, module = "sortes._core.sequences.automaton")]
pub(crate) struct Vocabulary(Arc<kernels::Vocabulary>);

#[pymethods]
impl Vocabulary {
    /// Tokens one behind the other, of these lengths.
    #[new]
    fn new(
        py: Python<'_>,
        bytes: Vector<'_, u8>,
        lengths: Vector<'_, u32>,
        ends_of_text: Vec<u32>,
    ) -> PyResult<Self> {
        let made = Job::plain(py).run(Size::new(lengths.len(), TOKEN).serial(), |run| {
            let bytes = copied(&bytes, "bytes of a vocabulary", run)?;
            kernels::Vocabulary::new(bytes, &lengths, ends_of_text, run)
        });
        made.map(|vocabulary| Self(Arc::new(vocabulary)))
    }

    /// The bytes of all tokens, one behind the other, and their lengths.
    fn parts(&self, py: Python<'_>) -> PyResult<(Bytes, Array<u32>)> {
        let size = Size::new(self.0.len(), TOKEN).serial();
        let parts = Job::plain(py).run(size, |run| {
            let bytes = copied(self.0.bytes(), "bytes of a vocabulary", run)?;
            let mut lengths = with_capacity(self.0.len(), "tokens of a vocabulary")?;
            lengths.extend((0..self.0.len() as u32).map(|id| self.0.token(id).len() as u32));
            Ok((bytes, lengths))
        })?;
        Ok((Bytes(parts.0), Array(parts.1)))
    }

    /// The bytes of a token.
    fn token(&self, id: u32) -> Option<&[u8]> {
        ((id as usize) < self.0.len()).then(|| self.0.token(id))
    }

    #[getter]
    fn ends_of_text(&self) -> Vec<u32> {
        self.0.ends_of_text().to_vec()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// An automaton over tokens.
#[pyclass(frozen, module = "sortes._core.sequences.automaton")]
pub(crate) struct TokenAutomaton(pub(super) Arc<kernels::TokenAutomaton>);

#[pymethods]
impl TokenAutomaton {
    #[new]
    fn new(py: Python<'_>, pattern: &str, vocabulary: &Vocabulary) -> PyResult<Self> {
        let vocabulary = Arc::clone(&vocabulary.0);
        let job = Job::plain(py);
        let small = job.run(Size::new(1, SMALL).serial(), |run| ByteAutomaton::small(pattern, run));
        let bytes = match small? {
            Some(bytes) => bytes,
            // How much work it is the expression does not say.
            None => job.run(Size::new(1, f64::INFINITY).serial(), |run| {
                ByteAutomaton::large(pattern, run)
            })?,
        };
        let size = Size::new(bytes.len(), STATE).serial();
        let made = job.run(size, |run| kernels::TokenAutomaton::new(bytes, vocabulary, run));
        made.map(|automaton| Self(Arc::new(automaton)))
    }

    #[getter]
    fn start(&self) -> u32 {
        self.0.start()
    }

    #[getter]
    fn end(&self) -> u32 {
        self.0.end()
    }

    fn is_state(&self, state: u32) -> bool {
        self.0.is_state(state)
    }

    fn is_accepting(&self, state: u32) -> bool {
        self.0.is_accepting(state)
    }

    /// How many tokens it takes at least to finish.
    fn shortest(&self, py: Python<'_>, state: u32) -> PyResult<u32> {
        let size = Size::new(self.0.len(), STATE).serial();
        Job::plain(py).run(size, |run| self.0.shortest(state, run))
    }

    /// The state behind tokens, and how many of them may follow one another.
    fn advance(
        &self,
        py: Python<'_>,
        state: u32,
        tokens: Vector<'_, i64>,
    ) -> PyResult<(u32, usize)> {
        Job::plain(py).run(Size::new(tokens.len(), STEP).serial(), |run| {
            let mut state = state;
            for range in run.blocks(tokens.len(), 1 << 16) {
                for i in range? {
                    let next = u32::try_from(tokens[i]).ok();
                    let next = next.and_then(|token| self.0.advance(state, token));
                    let Some(next) = next else { return Ok((state, i)) };
                    state = next;
                }
            }
            Ok((state, tokens.len()))
        })
    }

    /// The state behind a token; none if it may not follow, or if there is no such state.
    fn step(&self, state: u32, token: u32) -> Option<u32> {
        if self.0.is_state(state) { self.0.advance(state, token) } else { None }
    }

    /// The tokens that may follow a state, in order.
    fn allowed(&self, py: Python<'_>, state: u32) -> PyResult<Array<i64>> {
        Job::plain(py).array(Size::new(1, STATE).serial(), |run| {
            let mask = self.0.mask(state, u32::MAX, run)?;
            let count = mask.iter().map(|word| word.count_ones() as usize).sum();
            let mut ids = with_capacity(count, "tokens of a state")?;
            for (word, bits) in mask.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    ids.push((32 * word) as i64 + i64::from(bits.trailing_zeros()));
                    bits &= bits - 1;
                }
            }
            Ok(ids)
        })
    }

    /// The mask of a state, or None if there is no such state.
    fn mask_of(&self, py: Python<'_>, state: u32) -> PyResult<Option<Array<u32>>> {
        if !self.0.is_state(state) {
            return Ok(None);
        }
        let mask = Job::plain(py).run(Size::new(1, STATE).serial(), |run| {
            copied(&self.0.mask(state, u32::MAX, run)?, "tokens of a mask", run)
        })?;
        Ok(Some(Array(mask)))
    }

    /// Writes the masks of states, a row of words for each: zero behind those of the vocabulary. Only
    /// tokens after which the text can be finished with `left` tokens in all may follow.
    fn mask(
        &self,
        states: Vector<'_, u32>,
        left: u32,
        mut out: OutMatrix<'_, u32>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let (width, out) = (out.len() / states.len().max(1), &mut *out);
        let is_new = |state: &&u32| left < u32::MAX || !self.0.has_mask(**state);
        let new = states.iter().filter(is_new).count();
        let each = STATE * new as f64 / states.len().max(1) as f64 + WORD * width as f64;
        let size = Size::new(states.len(), each);
        let size = if states.len() == 1 { size.serial() } else { size };
        job.run(size, |run| {
            run.try_fill_chunks(out, width.max(1), |i, row| {
                let mask = self.0.mask(states[i], left, run.serial())?;
                let (own, behind) = row.split_at_mut(mask.len());
                own.copy_from_slice(&mask);
                behind.fill(0);
                run.advance(1);
                Ok(())
            })
        })
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// Regular expressions for whole texts.
#[pymodule(submodule)]
pub(crate) mod automaton {
    #[pymodule_export]
    use super::{TokenAutomaton, Vocabulary};
}
