//! `_core.sequences.draft_trees`: trees of drafted tokens.

use sortes::sequences::draft_trees::{
    self as kernels, Forest, Grouping, Limits, Method, Paths, Tree,
};
use sortes::sequences::verify::Texts;
use sortes_core::memory::with_capacity;
use sortes_core::rng;

use crate::decode::{Given, ROW, Streams, any_rows};
use crate::prelude::*;

/// Nothing is drawn where trees grow.
static STREAM: [rng::Stream; 1] = [rng::Stream::new(0)];
/// Nanoseconds of a node of a tree.
const NODE: f64 = 60.0;
/// Of a logit, of which a few may be proposed.
const SCAN: f64 = 0.7;
/// Of a logit, of which the probability is computed in double precision.
const LAW: f64 = 5.0;

/// The depths of the nodes of a tree, which is checked.
#[pyfunction]
fn depths(
    py: Python<'_>,
    tokens: Vector<'_, i64>,
    parents: Vector<'_, i64>,
) -> PyResult<Array<i64>> {
    let size = Size::new(tokens.len(), NODE).serial();
    Job::plain(py).array(size, |_| kernels::depths(&tokens, &parents))
}

/// Whether each node is another one or stands above it, row after row.
#[pyfunction]
fn mask(py: Python<'_>, parents: Vector<'_, i64>) -> PyResult<Array<bool>> {
    let n = parents.len();
    let size = Size::new(n.saturating_mul(n), 0.2).serial();
    Job::plain(py).array(size, |_| kernels::mask(&parents))
}

/// The nodes from the root to each leaf, row after row, and how long rows are.
#[pyfunction]
fn paths(
    py: Python<'_>,
    parents: Vector<'_, i64>,
    depths: Vector<'_, i64>,
) -> PyResult<(Array<i64>, usize)> {
    let size = Size::new(parents.len(), NODE).serial();
    let found = Job::plain(py).run(size, |_| kernels::paths(&parents, &depths))?;
    Ok((Array(found.nodes), found.width))
}

/// Tokens, parents and counts of the tree of some paths.
#[pyfunction]
fn merge(
    py: Python<'_>,
    root: i64,
    paths: Matrix<'_, i64>,
) -> PyResult<(Array<i64>, Array<i64>, Array<i64>)> {
    let size = Size::new(paths.len(), 3.0 * NODE).serial();
    let tree = Job::plain(py).run(size, |_| kernels::merge(root, &paths, paths.cols()))?;
    Ok((Array(tree.tokens), Array(tree.parents), Array(tree.counts)))
}

/// Tokens, parents, depths and scores of a tree.
type Columns = (Array<i64>, Array<i64>, Array<i64>, Array<f64>);

/// The nodes of a frontier: their tokens, parents and scores.
type Level = (Array<i64>, Array<i64>, Array<f64>);

/// Trees that grow, one for each text of a batch.
#[pyclass(frozen, module = "sortes._core.sequences.draft_trees")]
pub(crate) struct DraftTreeBuilder(Locked<kernels::DraftTreeBuilder>);

#[pymethods]
impl DraftTreeBuilder {
    #[new]
    fn new(texts: usize, top_k: usize, depth: usize, nodes: usize, least: f64) -> PyResult<Self> {
        let limits = Limits { top_k, depth, nodes, least };
        let builder = kernels::DraftTreeBuilder::new(texts, limits).map_err(to_py)?;
        Ok(Self(Locked::new(builder)))
    }

    /// Begins anew, behind the last tokens of the texts, with the first level from lists.
    fn start_listed(
        &self,
        roots: Vector<'_, i64>,
        logprobs: Matrix<'_, f64>,
        tokens: Matrix<'_, i64>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let each = logprobs.cols();
        self.0.write(&job, Size::new(logprobs.len(), NODE).serial(), |builder, _| {
            let mut new = builder.anew(&roots)?;
            new.expand_listed((&logprobs, &tokens), each)?;
            *builder = new;
            Ok(())
        })
    }

    /// The same from whole rows.
    fn start_rows(&self, roots: Vector<'_, i64>, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&STREAM), &given.logits);
        let size = Size::new(logits.rows(), logits.cols() as f64 * SCAN);
        self.0.write(&job, size, |builder, run| {
            let mut new = builder.anew(&roots)?;
            with_rows!(logits, |rows| new.expand_rows(&call, rows, run))?;
            *builder = new;
            Ok(())
        })
    }

    /// Extends the frontier by what was proposed.
    fn expand_listed(
        &self,
        logprobs: Matrix<'_, f64>,
        tokens: Matrix<'_, i64>,
        job: Job<'_>,
    ) -> PyResult<()> {
        let each = logprobs.cols();
        self.0.write(&job, Size::new(logprobs.len(), NODE).serial(), |builder, _| {
            builder.expand_listed((&logprobs, &tokens), each)
        })
    }

    /// Extends the frontier by the likeliest tokens of whole rows.
    fn expand_rows(&self, given: Given<'_>, job: Job<'_>) -> PyResult<()> {
        let (call, logits) = (given.call(&STREAM), &given.logits);
        let size = Size::new(logits.rows(), logits.cols() as f64 * SCAN);
        self.0.write(&job, size, |builder, run| {
            with_rows!(logits, |rows| builder.expand_rows(&call, rows, run))
        })
    }

    /// The tokens, parents and scores of the nodes to extend, for each text.
    fn frontier(&self, py: Python<'_>) -> PyResult<Vec<Level>> {
        let found = self.0.read(&Job::plain(py), self.size(py)?, |builder, _| {
            let mut all = with_capacity(builder.texts(), "texts")?;
            for text in 0..builder.texts() {
                all.push(builder.frontier(text)?);
            }
            Ok(all)
        })?;
        let columns =
            |part: kernels::Frontier| (Array(part.tokens), Array(part.parents), Array(part.scores));
        Ok(found.into_iter().map(columns).collect())
    }

    /// The trees, as far as they have grown.
    fn finish(&self, py: Python<'_>) -> PyResult<Vec<Columns>> {
        let found = self.0.read(&Job::plain(py), self.size(py)?, |builder, _| {
            let mut all = with_capacity(builder.texts(), "texts")?;
            for text in 0..builder.texts() {
                all.push(builder.finish(text)?);
            }
            Ok(all)
        })?;
        let columns = |tree: Tree| {
            (Array(tree.tokens), Array(tree.parents), Array(tree.depths), Array(tree.scores))
        };
        Ok(found.into_iter().map(columns).collect())
    }

    /// How many levels there are, None before the start.
    #[getter]
    fn levels(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        self.0.get(py, kernels::DraftTreeBuilder::levels)
    }
}

impl DraftTreeBuilder {
    /// The work of a look at every node.
    fn size(&self, py: Python<'_>) -> PyResult<Size> {
        let nodes = self.0.get(py, kernels::DraftTreeBuilder::candidates)?;
        Ok(Size::new(nodes, NODE).serial())
    }
}

impl Named for Method {
    const NAMES: &[(&str, Self)] =
        &[("draw", Self::Draw), ("rrs", Self::Rejection), ("traversal", Self::Traversal)];
}

impl Named for Grouping {
    const NAMES: &[(&str, Self)] = &[("grouped", Self::Sized), ("greedy", Self::Single)];
}

/// Nodes, how many each text has, and the tokens that follow.
type Accepted = (Array<i64>, Array<i64>, Array<i64>);

/// Verifies trees: their tokens, parents and depths, and where each of them begins and the last ends.
/// Each text has `each` rows of logits; `shape` are the axes of the texts.
#[pyfunction]
#[pyo3(signature = (given, streams, shape, trees, each, draft, method, job))]
#[allow(clippy::too_many_arguments)]
fn verify_tree(
    given: Given<'_>,
    streams: Streams,
    shape: Vec<usize>,
    trees: (Vector<'_, i64>, Vector<'_, i64>, Vector<'_, i64>, Vec<usize>),
    each: usize,
    draft: Option<Logits>,
    method: Choice<Method>,
    job: Job<'_>,
) -> PyResult<Accepted> {
    let (tokens, parents, depths, starts) = trees;
    let call = given.call(streams.as_slice());
    let (target, draft) = (any_rows(&given.logits), draft.as_ref().map(any_rows));
    let ns = if draft.is_some() { 3.0 * LAW } else { SCAN };
    let levels = 1 + depths.iter().copied().max().unwrap_or(0) as usize;
    let size = Size::new(starts.len() - 1, levels as f64 * (ROW + target.cols() as f64 * ns));
    let texts = Texts { call: &call, shape: &shape, name: "target_logits", target, draft };
    let found = job.run(size, |run| {
        let forest = Forest::new(&tokens, &parents, &depths, &starts)?;
        kernels::verify(&texts, &forest, each, method.0, run)
    })?;
    let all = found.iter().map(|one| one.nodes.len()).sum();
    let mut nodes = with_capacity(all, "nodes").map_err(to_py)?;
    for one in &found {
        nodes.extend_from_slice(&one.nodes);
    }
    let counts = column(&found, |one| one.nodes.len() as i64)?;
    Ok((Array(nodes), counts, column(&found, |one| one.token)?))
}

/// Verifies paths, `count` for each text: which one was chosen, how many of its tokens are taken, and
/// the token that follows.
#[pyfunction]
#[pyo3(signature = (given, streams, shape, paths, count, draft, grouping, job))]
#[allow(clippy::too_many_arguments)]
fn verify_paths(
    given: Given<'_>,
    streams: Streams,
    shape: Vec<usize>,
    paths: Matrix<'_, i64>,
    count: usize,
    draft: Logits,
    grouping: Choice<Grouping>,
    job: Job<'_>,
) -> PyResult<Accepted> {
    let call = given.call(streams.as_slice());
    let (target, length) = (any_rows(&given.logits), paths.cols());
    let each = (3 * length + 8 * count) as f64 * (ROW + target.cols() as f64 * LAW);
    let size = Size::new(paths.rows() / count.max(1), each);
    let draft = Some(any_rows(&draft));
    let texts = Texts { call: &call, shape: &shape, name: "target_logits", target, draft };
    let found = job.run(size, |run| {
        let paths = Paths { tokens: &paths, count, length };
        kernels::verify_paths(&texts, paths, grouping.0, run)
    })?;
    Ok((
        column(&found, |one| one.path as i64)?,
        column(&found, |one| one.accepted as i64)?,
        column(&found, |one| one.token)?,
    ))
}

/// Trees of drafted tokens.
#[pymodule(submodule)]
pub(crate) mod draft_trees {
    #[pymodule_export]
    use super::{DraftTreeBuilder, depths, mask, merge, paths, verify_paths, verify_tree};
}
