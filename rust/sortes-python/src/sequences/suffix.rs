//! `_core.sequences.suffix`: drafts from text.

use std::sync::Arc;

use sortes::sequences::suffix::{self as kernels, Limits};
use sortes_core::memory::copied;

use crate::prelude::*;

/// Nanoseconds of a token that a text goes on by, of one that is looked up, and of a node of a draft.
const TOKEN: f64 = 400.0;
const STEP: f64 = 50.0;
const NODE: f64 = 5000.0;

/// All substrings of some texts.
#[pyclass(frozen, module = "sortes._core.sequences.suffix")]
pub(crate) struct SuffixAutomaton(Arc<kernels::SuffixAutomaton>);

#[pymethods]
impl SuffixAutomaton {
    /// Tokens of texts of these lengths, one behind the other.
    #[new]
    fn new(py: Python<'_>, tokens: Vector<'_, u32>, lengths: Vector<'_, u32>) -> PyResult<Self> {
        let size = Size::new(tokens.len(), TOKEN).serial();
        let made =
            Job::plain(py).run(size, |run| kernels::SuffixAutomaton::new(&tokens, &lengths, run));
        made.map(|automaton| Self(Arc::new(automaton)))
    }

    /// How often some tokens stand one behind the other.
    fn count(&self, py: Python<'_>, tokens: Vector<'_, u32>) -> PyResult<u64> {
        let size = Size::new(tokens.len(), STEP).serial();
        Job::plain(py).run(size, |_| Ok(self.0.count(tokens.iter().copied())))
    }

    /// The tokens of all texts, and their lengths.
    fn parts(&self, py: Python<'_>) -> PyResult<(Array<u32>, Array<u32>)> {
        let size = Size::new(self.0.len(), STEP).serial();
        let parts = Job::plain(py).run(size, |run| {
            let tokens = copied(self.0.tokens(), "tokens", run)?;
            Ok((tokens, copied(self.0.lengths(), "texts", run)?))
        })?;
        Ok((Array(parts.0), Array(parts.1)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// What may follow the end of a text.
#[pyclass(frozen, module = "sortes._core.sequences.suffix")]
pub(crate) struct SuffixDrafts(Locked<kernels::SuffixDrafts>);

/// Tokens, parents, counts and probabilities of the nodes of a tree.
type Draft = (Array<i64>, Array<i64>, Array<i64>, Array<f64>);

#[pymethods]
impl SuffixDrafts {
    #[new]
    #[pyo3(signature = (corpus=None))]
    fn new(py: Python<'_>, corpus: Option<PyRef<'_, SuffixAutomaton>>) -> PyResult<Self> {
        let corpus = corpus.map(|corpus| Arc::clone(&corpus.0));
        let made = Job::plain(py)
            .run(Size::new(1, NODE).serial(), |_| kernels::SuffixDrafts::new(corpus))?;
        Ok(Self(Locked::new(made)))
    }

    /// Lets the text go on.
    fn extend(&self, py: Python<'_>, tokens: Vector<'_, u32>) -> PyResult<()> {
        let size = Size::new(tokens.len(), TOKEN).serial();
        self.0.write(&Job::plain(py), size, |text, run| text.extend(&tokens, run))
    }

    /// A tree of at most so many tokens, so many in a row, of at least this probability each.
    fn draft(&self, py: Python<'_>, tokens: usize, depth: usize, least: f64) -> PyResult<Draft> {
        let limits = Limits { tokens, depth, least };
        let size = Size::new(tokens.min(self.__len__(py)?.saturating_mul(depth)), NODE).serial();
        let draft = self.0.read(&Job::plain(py), size, |text, run| text.draft(&limits, run))?;
        Ok((Array(draft.tokens), Array(draft.parents), Array(draft.counts), Array(draft.probs)))
    }

    /// The tokens of the text.
    fn tokens(&self, py: Python<'_>) -> PyResult<Array<u32>> {
        let size = Size::new(self.__len__(py)?, STEP).serial();
        let tokens =
            self.0.read(&Job::plain(py), size, |text, run| copied(text.tokens(), "tokens", run))?;
        Ok(Array(tokens))
    }

    /// How long the longest suffix is that came before.
    #[getter]
    fn matched(&self, py: Python<'_>) -> PyResult<u32> {
        self.0.get(py, kernels::SuffixDrafts::matched)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::SuffixDrafts::len)
    }
}

/// Drafts from text.
#[pymodule(submodule)]
pub(crate) mod suffix {
    #[pymodule_export]
    use super::{SuffixAutomaton, SuffixDrafts};
}
