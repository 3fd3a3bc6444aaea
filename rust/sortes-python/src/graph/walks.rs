//! `_core.graph.walks`: walks, alone, coupled, or with a memory of the node before.

use sortes::graph::walks::{self as kernels, Dangling, Law, Moves, Plan, Repulsion, Scheme};
use sortes::graph::walks::{Starts, Termination, Transition};

use super::structure::Graph;
use crate::prelude::*;

/// Nanoseconds of a step, of one of walkers that meet, and of a walk.
const STEP: f64 = 10.0;
const MEETING: f64 = 60.0;
const WALK: f64 = 40.0;

impl Named for Termination {
    const NAMES: &[(&str, Self)] = &[
        ("iid", Self::Iid),
        ("antithetic", Self::Antithetic),
        ("stratified", Self::Stratified),
        ("systematic", Self::Systematic),
    ];
}

impl Named for Dangling {
    const NAMES: &[(&str, Self)] = &[
        ("stop", Self::Stop),
        ("stay", Self::Stay),
        ("restart", Self::Restart),
        ("error", Self::Error),
    ];
}

impl Named for Scheme {
    const NAMES: &[(&str, Self)] = &[("auto", Self::Auto), ("rotation", Self::Rotation)];
}

/// The names of the laws of a step, and what makes them of two numbers.
type Make = fn(f64, f64) -> Transition;

impl Named for Make {
    const NAMES: &[(&str, Self)] = &[
        ("simple", |_, _| Transition::Simple),
        ("lazy", |beta, _| Transition::Lazy(beta)),
        ("restart", |alpha, _| Transition::Restart(alpha)),
        ("mh", |_, _| Transition::MetropolisHastings),
        ("max_degree", |_, _| Transition::MaxDegree),
        ("non_backtracking", |_, _| Transition::NonBacktracking),
        ("node2vec", |p, q| Transition::Node2vec { p, q }),
    ];
}

/// How many moves: the most, the chance to halt, the chances of all numbers, the termination.
type GivenMoves<'py> = (Option<u32>, Option<f64>, Option<Vector<'py, f64>>, Choice<Termination>);
/// How walkers share arcs, whether all do, whether only those that have never parted.
pub(super) type GivenRepulsion = (Choice<Scheme>, bool, bool);

/// Nodes of one of two types.
#[derive(IntoPyObject)]
pub(super) enum Nodes {
    Narrow(Array<i32>),
    Wide(Array<i64>),
}

/// Nodes, edges and offsets of walks.
type Made = (Nodes, Option<Array<i64>>, Option<Array<i64>>);

/// Walks: `starts` are nodes, if not all, the number of the first, and how many they are.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // what the user says, option by option
fn walk(
    graph: &Bound<'_, Graph>,
    starts: (Option<Vector<'_, i64>>, u64, usize),
    num_walks: usize,
    moves: GivenMoves<'_>,
    transition: (Choice<Make>, f64, f64),
    repulsion: Option<GivenRepulsion>,
    dangling: Choice<Dangling>,
    wide: bool,
    edges: bool,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Made> {
    let (most, p_halt, chances, termination) = moves;
    let law = match (p_halt, &chances) {
        (Some(p), _) => Some(Law::Geometric(p)),
        (None, Some(chances)) => Some(Law::of_chances(chances).map_err(to_py)?),
        (None, None) => None,
    };
    let mean = match p_halt {
        Some(p) => f64::from(most.unwrap_or(u32::MAX)).min((1.0 - p) / p),
        None => f64::from(most.unwrap_or(100)),
    };
    let plan = Plan {
        starts: Starts {
            nodes: starts.0.as_deref(),
            first: starts.1,
            count: starts.2,
            ..Starts::default()
        },
        num_walks,
        moves: match &law {
            Some(law) => Moves::Random(law, termination.0, most),
            None => Moves::Fixed(most.unwrap_or(0)),
        },
        transition: transition.0.0(transition.1, transition.2),
        repulsion: repulsion.map(|(scheme, all, transient)| Repulsion {
            scheme: scheme.0,
            all,
            transient,
        }),
        dangling: dangling.0,
        stream: stream.0,
    };
    let step = if plan.repulsion.is_some() { MEETING } else { STEP };
    let size = Size::new(starts.2.saturating_mul(num_walks), WALK + mean * step);
    let graph = &graph.get().0;
    let (nodes, edges, offsets) = if wide {
        let walks = job.run(size, |run| kernels::walks::<i64>(graph, &plan, edges, run))?;
        (Nodes::Wide(Array(walks.nodes)), walks.edges, walks.offsets)
    } else {
        let walks = job.run(size, |run| kernels::walks::<i32>(graph, &plan, edges, run))?;
        (Nodes::Narrow(Array(walks.nodes)), walks.edges, walks.offsets)
    };
    Ok((nodes, edges.map(Array), offsets.map(Array)))
}

/// Walks, alone, coupled, or with a memory of the node before.
#[pymodule(submodule)]
pub(crate) mod walks {
    #[pymodule_export]
    use super::walk;
}
