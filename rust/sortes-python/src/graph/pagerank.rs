//! `_core.graph.pagerank`: PageRank by walks, of all nodes and of single ones.

use sortes::graph::pagerank::{self as kernels, DeadEnd, Method, Surfers, Ways};
use sortes::graph::walks::Termination;

use super::structure::Graph;
use crate::prelude::*;

/// Nanoseconds of a step and of a walk.
const STEP: f64 = 80.0;
const WALK: f64 = 60.0;

impl Named for Method {
    const NAMES: &[(&str, Self)] = &[("visits", Self::Visits), ("endpoint", Self::Endpoint)];
}

impl Named for DeadEnd {
    const NAMES: &[(&str, Self)] =
        &[("restart", Self::Restart), ("uniform", Self::Uniform), ("stay", Self::Stay)];
}

/// The chance to go on, the walks of an ensemble, what is counted, what happens at dead ends, whether
/// walkers repel each other, and how their lengths depend on each other.
type Given = (f64, usize, Choice<Method>, Choice<DeadEnd>, bool, Choice<Termination>);

fn surfers(given: Given, stream: &Stream) -> Surfers {
    let (alpha, num_walks, method, dead_end, repelling, termination) = given;
    let (method, dead_end, termination) = (method.0, dead_end.0, termination.0);
    Surfers { alpha, num_walks, method, dead_end, repelling, termination, stream: stream.0 }
}

fn size(ensembles: usize, surfers: &Surfers) -> Size {
    let each = WALK + STEP / (1.0 - surfers.alpha);
    Size::new(ensembles.saturating_mul(surfers.num_walks), each)
}

/// PageRank of all nodes, and the standard errors.
#[pyfunction]
fn ranks(
    graph: &Bound<'_, Graph>,
    given: Given,
    personalization: Option<Vector<'_, f64>>,
    replicates: usize,
    normalize: bool,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<(Array<f64>, Array<f64>)> {
    let (graph, surfers) = (&graph.get().0, surfers(given, stream));
    let ways = Ways { personalization: personalization.as_deref(), replicates, normalize };
    let size = size(graph.num_nodes().saturating_mul(replicates), &surfers);
    let ranks = job.run(size, |run| kernels::ranks(graph, &surfers, &ways, run))?;
    Ok((Array(ranks.value), Array(ranks.stderr)))
}

/// PageRank for surfers who start at single nodes: sparse rows with the largest ranks.
#[pyfunction]
fn personal(
    graph: &Bound<'_, Graph>,
    given: Given,
    sources: Vector<'_, i64>,
    most: Option<usize>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<(Array<i64>, Array<i64>, Array<f64>)> {
    let (graph, surfers) = (&graph.get().0, surfers(given, stream));
    let rows = job.run(size(sources.len(), &surfers), |run| {
        kernels::personal(graph, &surfers, &sources, most.unwrap_or(usize::MAX), run)
    })?;
    Ok((Array(rows.indptr), Array(rows.indices), Array(rows.data)))
}

/// PageRank by walks.
#[pymodule(submodule)]
pub(crate) mod pagerank {
    #[pymodule_export]
    use super::{personal, ranks};
}
