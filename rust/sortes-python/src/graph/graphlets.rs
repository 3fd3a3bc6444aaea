//! `_core.graph.graphlets`: how often small subgraphs occur.

use sortes::graph::graphlets::{self as kernels, Estimator, Walkers};

use super::structure::Graph;
use crate::prelude::*;

/// Nanoseconds of a move and its window, and of an arc that is checked.
const MOVE: f64 = 300.0;
const ARC: f64 = 40.0;

impl Named for Estimator {
    const NAMES: &[(&str, Self)] = &[("plain", Self::Plain), ("css", Self::Css)];
}

/// For each ensemble the means of its windows, type by type, and the factor that makes them counts;
/// whether there are graphlets at all; how many loops and parallel arcs were left out.
type Found = (Array<f64>, Array<f64>, bool, [u64; 2]);

/// What graphlets with `k` nodes are called.
#[pyfunction]
fn names(k: usize) -> Vec<&'static str> {
    kernels::names(k).to_vec()
}

/// Walks ensembles: `sizes` are walkers, moves and ensembles; `ways` whether walkers do not turn back,
/// repel each other, and start together.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // what the user says, option by option
fn count(
    graph: &Bound<'_, Graph>,
    k: usize,
    d: usize,
    sizes: [usize; 3],
    estimator: Choice<Estimator>,
    ways: [bool; 3],
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Found> {
    let ([num_walkers, num_steps, replicates], estimator) = (sizes, estimator.0);
    let ([non_backtracking, repelling, together], stream) = (ways, stream.0);
    let walkers = Walkers {
        k,
        d,
        num_walkers,
        num_steps,
        replicates,
        estimator,
        non_backtracking,
        repelling,
        together,
        stream,
    };
    let graph = &graph.get().0;
    let moves = num_walkers.saturating_mul(num_steps).saturating_mul(replicates);
    let check = ARC * (graph.num_arcs() + graph.num_nodes()) as f64 / moves.max(1) as f64;
    let found =
        job.run(Size::new(moves, MOVE + check), |run| kernels::graphlets(graph, &walkers, run))?;
    let kinds = kernels::names(k).len();
    let means = found.means.iter().flat_map(|mean| &mean[..kinds]).copied().collect();
    Ok((Array(means), Array(found.factors), found.has_graphlets, found.dropped))
}

/// How often small subgraphs occur.
#[pymodule(submodule)]
pub(crate) mod graphlets {
    #[pymodule_export]
    use super::{count, names};
}
