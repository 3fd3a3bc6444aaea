//! `_core.sequences.tree`: the search for distinct sequences.

use std::sync::Arc;

use sortes::sequences::tree::{self as kernels, Constraint, Found, Limits, Priority};
use sortes_core::memory::{ask, with_capacity};

use super::automaton::{STATE, TokenAutomaton};
use crate::decode::Given;
use crate::prelude::*;

/// Nanoseconds of a logit: rules, and the draw of some tokens.
const SCAN: f64 = 0.7;
/// Of a node that is looked at.
const NODE: f64 = 100.0;
/// Words of a sequence in a list: the tuple, its numbers, its arrays.
const OBJECT: usize = 96;

impl Named for Priority {
    const NAMES: &[(&str, Self)] =
        &[("gumbel", Self::Gumbel), ("token", Self::Token), ("sequence", Self::Sequence)];
}

/// A sequence that has come: its tokens, log-probability and priority, whether it is complete, and the
/// logarithm of the mass of the legal tokens at each of its places.
type Sequence = (Array<i64>, f64, f64, bool, Array<f64>);

/// The search for distinct sequences of a prompt.
#[pyclass(frozen, module = "sortes._core.sequences.tree")]
pub(crate) struct SequenceTree(Locked<kernels::SequenceTree>);

#[pymethods]
impl SequenceTree {
    /// `constraint`, if given, is an automaton, and whether every text must be finished.
    #[new]
    #[pyo3(signature = (priority, sequences, tokens, ends, stream, constraint=None))]
    fn new(
        py: Python<'_>,
        priority: Choice<Priority>,
        sequences: usize,
        tokens: u32,
        ends: Vec<u32>,
        stream: &Stream,
        constraint: Option<(PyRef<'_, TokenAutomaton>, bool)>,
    ) -> PyResult<Self> {
        let limits = Limits { sequences, tokens };
        let constraint = constraint.map(|(automaton, completes)| Constraint {
            automaton: Arc::clone(&automaton.0),
            completes,
        });
        let states = constraint.as_ref().map_or(0, |constraint| constraint.automaton.len());
        let tree = Job::plain(py).run(Size::new(states, STATE).serial(), |run| {
            kernels::SequenceTree::new(priority.0, limits, ends, constraint, stream.0, run)
        });
        tree.map(|tree| Self(Locked::new(tree)))
    }

    /// Up to `most` nodes that are to be expanded next.
    fn next_batch(&self, py: Python<'_>, most: usize) -> PyResult<Array<u32>> {
        let size = Size::new(self.__len__(py)?, NODE);
        self.0.read(&Job::plain(py), size.serial(), |tree, _| tree.next_batch(most)).map(Array)
    }

    /// Expands nodes by rows of logits.
    fn expand(&self, nodes: Vector<'_, u32>, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&[]), &given.logits);
        let size = Size::new(logits.rows(), logits.cols() as f64 * SCAN);
        self.0.write(&job, size, |tree, run| {
            with_rows!(logits, |rows| tree.expand(&nodes, &call, rows, run))
        })
    }

    /// Expands a node by tokens and the logarithms of their probabilities.
    fn expand_listed(
        &self,
        py: Python<'_>,
        node: u32,
        tokens: Vector<'_, i64>,
        logprobs: Vector<'_, f64>,
    ) -> PyResult<()> {
        self.0.write(&Job::plain(py), Size::new(tokens.len(), NODE).serial(), |tree, run| {
            tree.expand_listed(node, &tokens, &logprobs, run)
        })
    }

    /// The tokens of a node.
    fn path(&self, py: Python<'_>, node: u32) -> PyResult<Array<i64>> {
        let size = Size::new(1, NODE).serial();
        self.0.read(&Job::plain(py), size, |tree, _| tree.path(node)).map(Array)
    }

    /// The sequences that have come, from the one numbered `first` to the one before `end`.
    fn found(&self, py: Python<'_>, first: usize, end: usize) -> PyResult<Vec<Sequence>> {
        let size = Size::new(end.saturating_sub(first).min(self.__len__(py)?), NODE).serial();
        let found = self.0.read(&Job::plain(py), size, |tree, _| {
            let all = tree.found();
            let end = end.min(all.len());
            let part = &all[first.min(end)..end];
            let mut out = with_capacity(part.len(), "sequences")?;
            for found in part {
                out.push((tree.path(found.node)?, *found, tree.ln_legal(found.node)?));
            }
            Ok(out)
        })?;
        let sequence = |(path, found, legal): (Vec<i64>, Found, Vec<f64>)| {
            (Array(path), found.ln_p, found.priority, found.is_complete, Array(legal))
        };
        let mut out = with_capacity(found.len(), "sequences").map_err(to_py)?;
        // Python asks for the memory of objects bit by bit: ask for all of it first.
        ask::<[u64; OBJECT]>(found.len(), "sequences").map_err(to_py)?;
        out.extend(found.into_iter().map(sequence));
        Ok(out)
    }

    #[getter]
    fn is_finished(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.get(py, kernels::SequenceTree::is_finished)
    }

    /// The largest perturbed log-probability of the sequences that have not come.
    #[getter]
    fn kappa(&self, py: Python<'_>) -> PyResult<f64> {
        self.0.get(py, kernels::SequenceTree::kappa)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.0.get(py, kernels::SequenceTree::len)
    }
}

/// The search for distinct sequences.
#[pymodule(submodule)]
pub(crate) mod tree {
    #[pymodule_export]
    use super::SequenceTree;
}
