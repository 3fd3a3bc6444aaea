//! The graph that graphlets are of: undirected, without loops and parallel arcs.

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

use super::super::structure::{Arcs, Graph, build};

/// Nodes between two looks at the stop request.
const BLOCK: usize = 1 << 12;

/// The graph without loops and parallel arcs, if it has any; and how many of both.
///
/// # Errors
/// If an arc has no arc back; if there is no memory, or the work is cancelled.
pub(super) fn simple(graph: &Graph, run: Run<'_>) -> Result<(Option<Graph>, [u64; 2])> {
    let (mut loops, mut parallel) = (0, 0);
    for range in run.blocks(graph.num_nodes(), BLOCK) {
        for node in range?.map(|node| node as u32) {
            let mut before = None;
            for &other in graph.of(graph.row(node)) {
                loops += u64::from(other == node);
                parallel += u64::from(other != node && before == Some(other));
                before = Some(other);
                if other != node && !graph.has_arc(other, node) {
                    let reason = format!("arc {node} -> {other} has no arc back");
                    return Err(Error::argument("graph", reason));
                }
            }
        }
    }
    let dropped = [loops, parallel];
    if dropped == [0, 0] {
        return Ok((None, dropped));
    }
    let kept = graph.num_arcs() - (loops + parallel) as usize;
    let mut indptr = with_capacity(graph.num_nodes() + 1, "rows")?;
    let mut indices = with_capacity(kept, "arcs")?;
    indptr.push(0);
    for range in run.blocks(graph.num_nodes(), BLOCK) {
        for node in range?.map(|node| node as u32) {
            let others = graph.of(graph.row(node)).chunk_by(|a, b| a == b).map(|same| same[0]);
            indices.extend(others.filter(|&other| other != node).map(i64::from));
            indptr.push(indices.len() as i64);
        }
    }
    let arcs = Arcs::Rows { indptr: &indptr, indices: &indices, name: "graph" };
    let graph = build(graph.num_nodes(), arcs, "graph", None, None, false, run)?;
    Ok((Some(graph), dropped))
}

/// Whether each node belongs to a component of at least `least` nodes, for a simple graph.
///
/// # Errors
/// If there is no memory, or the work is cancelled.
pub(super) fn in_large_components(graph: &Graph, least: usize, run: Run<'_>) -> Result<Vec<bool>> {
    let nodes = graph.num_nodes();
    let (mut seen, mut is_large) = (zeroed::<bool>(nodes, "nodes")?, zeroed(nodes, "nodes")?);
    let mut component: Vec<u32> = with_capacity(nodes, "nodes of a component")?;
    for range in run.blocks(nodes, BLOCK) {
        for root in range? {
            if seen[root] {
                continue;
            }
            component.clear();
            component.push(root as u32);
            seen[root] = true;
            let mut next = 0;
            while let Some(&node) = component.get(next) {
                next += 1;
                if next % BLOCK == 0 {
                    run.check()?;
                }
                for &other in graph.of(graph.row(node)) {
                    if !seen[other as usize] {
                        seen[other as usize] = true;
                        component.push(other);
                    }
                }
            }
            if component.len() >= least {
                for &node in &component {
                    is_large[node as usize] = true;
                }
            }
        }
    }
    Ok(is_large)
}
