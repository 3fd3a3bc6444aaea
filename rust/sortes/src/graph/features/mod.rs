//! Random features of the nodes of a graph: sparse vectors whose products are estimates of a kernel
//! (Choromanski, "Taming graph kernels with random features", arXiv:2305.00156; Reid et al., "General
//! graph random features", arXiv:2310.04859).
//!
//! The feature of a node sums what its walks leave at the nodes that they visit: a load, which makes up
//! for the chances of the moves, times the modulation of the step. Walks are counted as they are made,
//! a task after the other, and not kept.
//!
//! | file | holds |
//! |---|---|
//! | [`modulation`] | what a visit counts at each step, for a kernel |
//! | [`visits`] | the visits of the walks of a start, merged by node and step |
//! | [`digits`] | words of few bits, sorted digit by digit |
//! | [`rows`] | sparse rows that tasks fill, joined without a copy |

mod digits;
mod modulation;
mod rows;
mod visits;

pub use modulation::{Series, exp, modulation, root};
pub use rows::{Number, Rows};
use sortes_core::{Result, Run};

use super::walks::{Id, Plan};
use rows::Filler;
pub use visits::Loads;
use visits::Visit;

/// The features of all starts of a plan, as rows of nodes and values. Progress counts starts.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn features<I: Id, V: Number>(
    plan: &Plan<'_>,
    loads: Loads<'_>,
    modulation: &[f64],
    run: Run<'_>,
) -> Result<Rows<I, V>> {
    visits::counted(plan, loads, run, |row, out| {
        fold(row.iter().copied(), modulation, out);
    })
}

/// The visits of all starts of a plan: rows of nodes and steps, which share a word, and loads.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn visits(plan: &Plan<'_>, loads: Loads<'_>, run: Run<'_>) -> Result<Rows<u64, f64>> {
    visits::counted(plan, loads, run, |row, out| {
        for visit in row {
            out.push(visit.key, visit.load);
        }
    })
}

/// The features that visits give with a modulation: those of [`features`], to the last bit.
///
/// # Errors
/// If there is no memory for them, or the work is cancelled.
pub fn of_visits<I: Id, V: Number>(
    offsets: &[i64],
    keys: &[u64],
    loads: &[f64],
    modulation: &[f64],
    run: Run<'_>,
) -> Result<Rows<I, V>> {
    let starts = offsets.len().saturating_sub(1);
    let of = |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
    let per = rows::PER_TASK;
    let bounds = (0..starts).step_by(per).map(|first| {
        let end = (first + per).min(starts);
        (offsets[end] - offsets[first]) as usize
    });
    rows::filled(starts, per, bounds, run, |first, rows, out| {
        for row in first..first + rows {
            let range = of(row);
            let visits = keys[range.clone()].iter().zip(&loads[range]);
            fold(visits.map(|(&key, &load)| Visit { key, load }), modulation, out);
            out.end_row();
        }
        Ok(())
    })
}

/// The feature of a start: of each node, the loads of its steps times the modulation. What is zero is
/// left out.
#[inline]
fn fold<I: Id, V: Number>(
    visits: impl Iterator<Item = Visit>,
    modulation: &[f64],
    out: &mut Filler<'_, I, V>,
) {
    let (mut node, mut sum) = (0, 0.0);
    for visit in visits {
        if visit.node() != node {
            out.push_number(I::of(node), sum);
            (node, sum) = (visit.node(), 0.0);
        }
        let factor = modulation.get(visit.key as u32 as usize);
        sum += factor.map_or(0.0, |factor| factor * visit.load);
    }
    out.push_number(I::of(node), sum);
}

#[cfg(test)]
mod tests {
    use super::super::structure::{Arcs, Graph, build};
    use super::super::walks::{Dangling, Law, Moves, Repulsion, Scheme, Starts, Termination};
    use super::super::walks::{Transition, Walks};
    use super::*;
    use sortes_core::rng::Stream;

    fn ring(nodes: i64) -> Graph {
        let sources: Vec<i64> = (0..nodes).chain(0..nodes).collect();
        let targets: Vec<i64> = (0..nodes)
            .map(|i| (i + 1) % nodes)
            .chain((0..nodes).map(|i| (i + 7) % nodes))
            .collect();
        let arcs = Arcs::Pairs { sources: &sources, targets: &targets };
        build(nodes as usize, arcs, "edge_index", None, None, false, Run::alone()).unwrap()
    }

    fn plan<'a>(law: &'a Law, nodes: &'a [i64], num_walks: usize) -> Plan<'a> {
        Plan {
            starts: Starts {
                nodes: Some(nodes),
                first: 0,
                count: nodes.len(),
                each: false,
                jumps: None,
            },
            num_walks,
            moves: Moves::Random(law, Termination::Stratified, None),
            transition: Transition::Simple,
            repulsion: Some(Repulsion { scheme: Scheme::Auto, all: false, transient: false }),
            dangling: Dangling::Stop,
            stream: Stream::new(5),
        }
    }

    #[test]
    fn parts_of_the_starts_give_parts_of_the_rows() {
        let (graph, law) = (ring(5000), Law::Geometric(0.1));
        let nodes: Vec<i64> = (0..5000).collect();
        let plan = plan(&law, &nodes, 6);
        let loads = Loads { graph: &graph, growth: 1.0 / 0.9, factors: None };
        let of = |plan: &Plan<'_>| visits(plan, loads, Run::alone()).unwrap();
        let whole = of(&plan);
        let (mut names, mut numbers) = (Vec::new(), Vec::new());
        for (first, count) in [(0, 1), (1, 2000), (2001, 7), (2008, 2992)] {
            let part = of(&plan.part(first, count));
            names.extend(part.names);
            numbers.extend(part.numbers.iter().map(|x| x.to_bits()));
        }
        assert_eq!(names, whole.names);
        assert_eq!(numbers, whole.numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn every_node_of_the_walks_is_counted() {
        let graph = ring(5000);
        let nodes: Vec<i64> = (0..30).collect();
        // A few visits, some, many, and steps that do not fit into half a word beside a node.
        for (p_halt, num_walks, starts, least) in
            [(0.2, 3, 30, 1), (0.1, 50, 30, 200), (1e-4, 4, 4, 1 << 15), (5e-7, 1, 2, 1 << 19)]
        {
            let law = Law::Geometric(p_halt);
            let plan = plan(&law, &nodes[..starts], num_walks);
            let loads = Loads { graph: &graph, growth: 1.0, factors: None };
            let counted = visits(&plan, loads, Run::alone()).unwrap();
            let Walks { nodes, offsets, .. } =
                super::super::walks::walks::<i64>(&graph, &plan, false, Run::alone()).unwrap();
            assert!(nodes.len() / starts > least, "{p_halt}: {}", nodes.len());
            let offsets = offsets.unwrap();
            let walks = offsets.windows(2).map(|of| &nodes[of[0] as usize..of[1] as usize]);
            let walks: Vec<&[i64]> = walks.collect();
            for (start, walks) in walks.chunks(num_walks).enumerate() {
                let key = |(t, &node): (usize, &i64)| (node as u64) << 32 | t as u64;
                let mut keys: Vec<u64> =
                    walks.iter().flat_map(|walk| walk.iter().enumerate().map(key)).collect();
                keys.sort_unstable();
                let row = counted.offsets[start] as usize..counted.offsets[start + 1] as usize;
                let wanted = keys.chunk_by(u64::eq).map(|same| (same[0], same.len() as f64));
                let found = counted.names[row.clone()].iter().zip(&counted.numbers[row]);
                let found = found.map(|(&key, load)| (key, (load * num_walks as f64).round()));
                assert!(found.eq(wanted), "{p_halt} {start}");
            }
        }
    }
}
