//! How often small connected subgraphs occur, by walks from one connected subgraph to the next (Chen, Li,
//! Wang and Lui, "A general framework for estimating graphlet statistics via random walk", PVLDB 10,
//! 2016).
//!
//! A state is a connected set of `d` nodes; two of them are adjacent if they share all nodes but one.
//! Consecutive states of a walk that cover `k` nodes are a window, which says what these nodes are.
//!
//! | file | holds |
//! |---|---|
//! | [`simple`] | the graph without loops and parallel arcs, and its components that are large enough |
//! | [`states`] | states, their neighbours, and the one from which walkers start |
//! | [`ensemble`] | walkers that walk together |
//! | [`windows`] | what a window shows, and what it counts for |

mod ensemble;
mod simple;
mod states;
mod windows;

use sortes_core::memory::with_capacity;
use sortes_core::rng::Stream;
use sortes_core::{Result, Run};

use super::structure::Graph;
use ensemble::Ensemble;
use states::Space;
pub use windows::{Estimator, MOST_TYPES, names};

/// What is asked for. Known are `k = 3` with `d` of 1 and 2, and `k = 4` with `d` of 1, 2 and 3.
#[derive(Debug, Clone, Copy)]
pub struct Walkers {
    /// Nodes of a graphlet.
    pub k: usize,
    /// Nodes of a state.
    pub d: usize,
    /// Walkers of an ensemble.
    pub num_walkers: usize,
    /// How many moves each makes, `k - d` at least.
    pub num_steps: usize,
    /// How many independent ensembles there are.
    pub replicates: usize,
    /// What a window counts for.
    pub estimator: Estimator,
    /// Whether walkers do not turn back: for `k = 3` and `d = 1`.
    pub non_backtracking: bool,
    /// Whether those of an ensemble that are in the same state share its neighbours.
    pub repelling: bool,
    /// Whether those of an ensemble start from one state, or each from its own.
    pub together: bool,
    /// Where the random numbers come from.
    pub stream: Stream,
}

/// What was found, and what was left out of the graph.
#[derive(Debug)]
pub struct Found {
    /// Of each ensemble, for each type: the mean over windows of what they count for.
    pub means: Vec<[f64; MOST_TYPES]>,
    /// Of each ensemble, what makes counts of means: twice the number of pairs of adjacent states, or an
    /// unbiased estimate.
    pub factors: Vec<f64>,
    /// Whether a component has so many nodes that it has graphlets.
    pub has_graphlets: bool,
    /// Arcs that are loops, and arcs beside the first between two nodes.
    pub dropped: [u64; 2],
}

/// Walks ensembles. Progress counts moves.
///
/// # Errors
/// If an arc has no arc back; if there is no memory, or the work is cancelled.
pub fn graphlets(graph: &Graph, walkers: &Walkers, run: Run<'_>) -> Result<Found> {
    let (simple, dropped) = simple::simple(graph, run)?;
    let graph = simple.as_ref().unwrap_or(graph);
    let space = Space::new(graph, walkers, run)?;
    let mut ensembles = with_capacity(walkers.replicates, "ensembles")?;
    ensembles.resize(walkers.replicates, ([0.0; MOST_TYPES], 0.0));
    let has_graphlets = !space.is_empty();
    if has_graphlets {
        run.try_fill_chunks(&mut ensembles, 1, |number, out| {
            out[0] = Ensemble::new(&space, walkers, number as u64)?.walk(run)?;
            Ok(())
        })?;
    }
    let mut means = with_capacity(ensembles.len(), "ensembles")?;
    let mut factors = with_capacity(ensembles.len(), "ensembles")?;
    for (mean, factor) in ensembles {
        means.push(mean);
        factors.push(factor);
    }
    Ok(Found { means, factors, has_graphlets, dropped })
}
