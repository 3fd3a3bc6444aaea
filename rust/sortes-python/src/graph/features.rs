//! `_core.graph.features`: random features of nodes, and the visits that they are made of.

use sortes::graph::features::{self as kernels, Loads, Number, Rows, Series};
use sortes::graph::structure as kernels_graph;
use sortes::graph::walks::{
    Dangling, Id, Law, Moves, Plan, Repulsion, Starts, Termination, Transition,
};
use sortes_core::memory::with_capacity;
use sortes_core::{Error, Result, Run};

use super::structure::Graph;
use super::walks::{GivenRepulsion, Nodes};
use crate::prelude::*;

/// Nanoseconds of a visit: a step of walkers that meet, and its place in an order.
const VISIT: f64 = 80.0;
/// Of a visit that is there.
const READ: f64 = 4.0;
/// Nodes between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// The form of a series.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Ratio,
    Power,
    Given,
}

impl Named for Form {
    const NAMES: &[(&str, Self)] =
        &[("ratio", Self::Ratio), ("power", Self::Power), ("given", Self::Given)];
}

/// A series, with up to two numbers or with terms; `c`; and the logarithm of what all terms are
/// multiplied by, as a number and a multiple of the logarithm of another.
type GivenSeries<'py> =
    (Choice<Form>, f64, f64, Option<Vector<'py, f64>>, f64, (f64, f64, f64), usize);
/// Which set of walks, how many of a node, the chance to halt, the termination, who repels whom, the
/// most moves.
type GivenWalks = (u64, usize, f64, Choice<Termination>, Option<GivenRepulsion>, Option<u32>);

/// Numbers of one of two types.
#[derive(IntoPyObject)]
enum Numbers {
    Single(Array<f32>),
    Double(Array<f64>),
}

/// Offsets, nodes and numbers of rows.
type Made = (Array<i64>, Nodes, Numbers);

fn modulation(
    (form, a, b, terms, c, (exponent, times, base), most): &GivenSeries<'_>,
    run: Run<'_>,
) -> Result<Vec<f64>> {
    let terms = terms.as_deref().unwrap_or(&[]);
    let series = match form.0 {
        Form::Ratio => Series::Ratio { a: *a, b: *b },
        Form::Power => Series::Power { terms, power: *a },
        Form::Given => Series::Given(terms),
    };
    let scale = kernels::exp(*exponent) * kernels::root(*base, *times);
    kernels::modulation(series, *c, scale, *most, run)
}

/// Calls a kernel with the plan of walks from every node.
fn planned<T>(
    graph: &kernels_graph::Graph,
    walks: &GivenWalks,
    most: Option<u32>,
    stream: &Stream,
    run: Run<'_>,
    kernel: impl FnOnce(&Plan<'_>) -> Result<T>,
) -> Result<T> {
    let (set, num_walks, p_halt, termination, repulsion, _) = walks;
    let count = graph.num_nodes();
    let mut nodes = with_capacity(count, "nodes")?;
    for range in run.blocks(count, BLOCK) {
        nodes.extend(range?.map(|node| node as i64));
    }
    let first = set.checked_mul(count as u64);
    let first = first.ok_or_else(|| Error::argument("num_walks", "too many sets of walks"))?;
    let law = Law::Geometric(*p_halt);
    kernel(&Plan {
        starts: Starts { nodes: Some(&nodes), first, count, ..Starts::default() },
        num_walks: *num_walks,
        moves: Moves::Random(&law, termination.0, most),
        transition: Transition::Simple,
        repulsion: repulsion.as_ref().map(|(scheme, all, transient)| Repulsion {
            scheme: scheme.0,
            all: *all,
            transient: *transient,
        }),
        dangling: Dangling::Stop,
        stream: stream.0,
    })
}

/// How much there is to do.
fn size(graph: &kernels_graph::Graph, walks: &GivenWalks, most: Option<u32>) -> Size {
    let moves = (1.0 / walks.2).min(most.map_or(f64::MAX, |most| f64::from(most) + 1.0));
    Size::new(graph.num_nodes(), walks.1 as f64 * moves * VISIT)
}

/// Rows of single or double numbers.
fn rows<I: Id, V: Number>(
    rows: Rows<I, V>,
    nodes: impl FnOnce(Array<I>) -> Nodes,
    numbers: impl FnOnce(Array<V>) -> Numbers,
) -> Made {
    (Array(rows.offsets), nodes(Array(rows.names)), numbers(Array(rows.numbers)))
}

/// The features of all nodes, one row each.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // what the user says, option by option
fn of_walks(
    graph: &Bound<'_, Graph>,
    walks: GivenWalks,
    factors: Option<Vector<'_, f64>>,
    series: GivenSeries<'_>,
    is_wide: bool,
    is_single: bool,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<Made> {
    let graph = &graph.get().0;
    let growth = 1.0 / (1.0 - walks.2);
    let loads = Loads { graph, growth, factors: factors.as_deref() };
    macro_rules! made {
        ($I:ty, $nodes:expr, $V:ty, $numbers:expr) => {{
            let size = size(graph, &walks, None);
            let made = job.run(size, |run| {
                let modulation = modulation(&series, run)?;
                // Walks end where nothing counts any more.
                let most = u32::try_from(modulation.len().saturating_sub(1)).unwrap_or(u32::MAX);
                planned(graph, &walks, Some(most), stream, run, |plan| {
                    kernels::features::<$I, $V>(plan, loads, &modulation, run)
                })
            })?;
            rows(made, $nodes, $numbers)
        }};
    }
    Ok(match (is_wide, is_single) {
        (false, false) => made!(i32, Nodes::Narrow, f64, Numbers::Double),
        (false, true) => made!(i32, Nodes::Narrow, f32, Numbers::Single),
        (true, false) => made!(i64, Nodes::Wide, f64, Numbers::Double),
        (true, true) => made!(i64, Nodes::Wide, f32, Numbers::Single),
    })
}

/// The visits of the walks of all nodes: offsets, nodes with steps below them, and loads.
#[pyfunction]
fn visits(
    graph: &Bound<'_, Graph>,
    walks: GivenWalks,
    factors: Option<Vector<'_, f64>>,
    stream: &Stream,
    job: Job<'_>,
) -> PyResult<(Array<i64>, Array<u64>, Array<f64>)> {
    let graph = &graph.get().0;
    let growth = 1.0 / (1.0 - walks.2);
    let loads = Loads { graph, growth, factors: factors.as_deref() };
    let made = job.run(size(graph, &walks, walks.5), |run| {
        planned(graph, &walks, walks.5, stream, run, |plan| kernels::visits(plan, loads, run))
    })?;
    Ok((Array(made.offsets), Array(made.names), Array(made.numbers)))
}

/// The features that visits give.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // visits, and what is made of them
fn of_visits(
    offsets: Vector<'_, i64>,
    keys: Vector<'_, u64>,
    loads: Vector<'_, f64>,
    series: GivenSeries<'_>,
    is_wide: bool,
    is_single: bool,
    job: Job<'_>,
) -> PyResult<Made> {
    let each = READ * keys.len() as f64 / offsets.len() as f64;
    let size = Size::new(offsets.len().saturating_sub(1), each + READ);
    macro_rules! made {
        ($I:ty, $nodes:expr, $V:ty, $numbers:expr) => {{
            let made = job.run(size, |run| {
                let modulation = modulation(&series, run)?;
                kernels::of_visits::<$I, $V>(&offsets, &keys, &loads, &modulation, run)
            })?;
            rows(made, $nodes, $numbers)
        }};
    }
    Ok(match (is_wide, is_single) {
        (false, false) => made!(i32, Nodes::Narrow, f64, Numbers::Double),
        (false, true) => made!(i32, Nodes::Narrow, f32, Numbers::Single),
        (true, false) => made!(i64, Nodes::Wide, f64, Numbers::Double),
        (true, true) => made!(i64, Nodes::Wide, f32, Numbers::Single),
    })
}

/// The terms of a series.
#[pyfunction]
fn series(series: GivenSeries<'_>, job: Job<'_>) -> PyResult<Array<f64>> {
    job.array(Size::new(series.6, READ).serial(), |run| modulation(&series, run))
}

/// Random features of nodes.
#[pymodule(submodule)]
pub(crate) mod features {
    #[pymodule_export]
    use super::{of_visits, of_walks, series, visits};
}
