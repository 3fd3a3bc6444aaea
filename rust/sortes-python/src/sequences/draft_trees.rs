//! `_core.sequences.draft_trees`: trees of drafted tokens.

use sortes::decode::{Call, Rules};
use sortes::sequences::draft_trees::{
    self as kernels, Chosen, Forest, Grouping, Limits, Method, Model, Paths, Tree, Verified,
};
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run, rng};

use crate::decode::{Given, Streams};
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
    fn frontier(&self, py: Python<'_>) -> PyResult<Vec<(Array<i64>, Array<i64>, Array<f64>)>> {
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

/// The texts of a batch: a stream and an id for each, and how many rows each has in the target.
struct Texts<'py> {
    streams: Vec<(rng::Stream, u64)>,
    ids: Option<Vector<'py, u32>>,
    each: usize,
}

impl<'py> Texts<'py> {
    fn new(
        streams: &Streams,
        ids: Option<Vector<'py, u32>>,
        n: usize,
        each: usize,
    ) -> Result<Self> {
        let given = streams.as_slice();
        let mut all = with_capacity(n, "texts")?;
        all.extend((0..n).map(|text| {
            let stream = given[if given.len() > 1 { text } else { 0 }];
            (stream, ids.as_ref().map_or(text as u64, |ids| u64::from(ids[text])))
        }));
        Ok(Self { streams: all, ids, each })
    }

    /// Streams and ids of all rows of the target, of which each lies so many steps behind the root.
    fn rows(&self, depth: impl Fn(usize, usize) -> i64) -> Result<(Vec<rng::Stream>, Vec<u32>)> {
        let n = self.streams.len() * self.each;
        let mut rows = (with_capacity(n, "rows")?, with_capacity(n, "rows")?);
        for (text, (stream, _)) in self.streams.iter().enumerate() {
            for row in 0..self.each {
                let later = u32::try_from(depth(text, row)).ok();
                let Some(step) = later.and_then(|later| stream.step().checked_add(later)) else {
                    let reason = "must leave steps below 2**32 for all tokens of the draft";
                    return Err(Error::argument("step", reason));
                };
                rows.0.push(stream.at_step(step));
                rows.1.push(self.ids.as_ref().map_or(text as u32, |ids| ids[text]));
            }
        }
        Ok(rows)
    }
}

/// Runs `f` on a model of which the logits are given, `each` rows for a text.
fn with_model<R>(
    given: &Given<'_>,
    (rules, name, each): (&Rules, &'static str, usize),
    (streams, ids): (&[rng::Stream], Option<&[u32]>),
    f: impl FnOnce(&dyn Model) -> Result<R>,
) -> Result<R> {
    let call = Call { rules, rows: ids, ..given.call(streams) };
    with_rows!(&given.logits, |rows| f(&kernels::Logits::new(&call, rows, name, each)?))
}

/// Nodes, how many each text has, and the tokens that follow.
type Accepted = (Array<i64>, Array<i64>, Array<i64>);

/// Verifies trees. Each text has `each` rows of logits, of the target and, if given, of the draft.
#[pyfunction]
#[pyo3(signature = (trees, each, target, draft, texts, method, job))]
fn verify_trees(
    trees: (Vector<'_, i64>, Vector<'_, i64>, Vector<'_, i64>, Vec<usize>),
    each: usize,
    target: Given<'_>,
    draft: Option<Given<'_>>,
    texts: (Streams, Option<Vector<'_, u32>>),
    method: Choice<Method>,
    job: Job<'_>,
) -> PyResult<Accepted> {
    let (tokens, parents, depths, starts) = trees;
    let n = starts.len() - 1;
    let texts = Texts::new(&texts.0, texts.1, n, each).map_err(to_py)?;
    let ns = if draft.is_some() { 3.0 * LAW } else { SCAN };
    let levels = 1 + depths.iter().copied().max().unwrap_or(0) as usize;
    let size = Size::new(n, levels as f64 * target.logits.cols() as f64 * ns);
    let work = |run: Run<'_>| {
        let forest = Forest::new(&tokens, &parents, &starts, target.logits.cols())?;
        let (streams, ids) = texts.rows(|text, row| {
            let node = starts[text] + row;
            if node < starts[text + 1] { depths[node] } else { 0 }
        })?;
        let rules = target.call(&STREAM).rules.repeated(each)?;
        let target = (&target, (&rules, "target_logits", each), (&*streams, Some(&*ids)));
        with_model(target.0, target.1, target.2, |target| match &draft {
            None => kernels::verify(&forest, target, None, each, method.0, &texts.streams, run),
            Some(draft) => {
                let what = (&rules, "draft_logits", each);
                with_model(draft, what, (&STREAM, None), |draft| {
                    let streams = &texts.streams;
                    kernels::verify(&forest, target, Some(draft), each, method.0, streams, run)
                })
            }
        })
    };
    let found: Vec<Verified> = job.run(size, work)?;
    let mut nodes =
        with_capacity(found.iter().map(|one| one.nodes.len()).sum(), "nodes").map_err(to_py)?;
    found.iter().for_each(|one| nodes.extend_from_slice(&one.nodes));
    let counts = column(&found, |one| one.nodes.len() as i64)?;
    Ok((Array(nodes), counts, column(&found, |one| one.token)?))
}

/// Verifies paths: which one was chosen of each text, how many of its tokens are taken, and the token
/// that follows.
#[pyfunction]
#[pyo3(signature = (paths, target, draft, texts, grouping, job))]
fn verify_paths(
    paths: (Vector<'_, i64>, usize, usize, usize),
    target: Given<'_>,
    draft: Given<'_>,
    texts: (Streams, Option<Vector<'_, u32>>),
    grouping: Choice<Grouping>,
    job: Job<'_>,
) -> PyResult<Accepted> {
    let (tokens, n, count, length) = paths;
    let (in_target, in_draft) = (count * (length + 1), count * length);
    let texts = Texts::new(&texts.0, texts.1, n, in_target).map_err(to_py)?;
    let ns = target.logits.cols() as f64 * (3 * length + 8 * count) as f64 * LAW;
    let work = |run: Run<'_>| {
        let paths = Paths { tokens: &tokens, count, length };
        let rules = target.call(&STREAM).rules;
        let (of_target, of_draft) = (rules.repeated(in_target)?, rules.repeated(in_draft)?);
        let named = (&of_target, "target_logits", in_target);
        with_model(&target, named, (&STREAM, None), |target| {
            let named = (&of_draft, "draft_logits", in_draft);
            with_model(&draft, named, (&STREAM, None), |draft| {
                kernels::verify_paths(paths, target, draft, grouping.0, &texts.streams, run)
            })
        })
    };
    let found: Vec<Chosen> = job.run(Size::new(n, ns), work)?;
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
    use super::{DraftTreeBuilder, depths, mask, merge, paths, verify_paths, verify_trees};
}
