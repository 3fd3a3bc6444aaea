//! PageRank of surfers who start at one node, for some nodes: sparse rows.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::{Result, Run};

use super::super::structure::Graph;
use super::super::walks::{Starts, walks};
use super::Surfers;

/// Sparse rows.
#[derive(Debug, Default)]
pub struct Rows {
    /// Where rows start, and the end of the last.
    pub indptr: Vec<i64>,
    /// The nodes, in ascending order within a row.
    pub indices: Vec<i64>,
    /// Their ranks.
    pub data: Vec<f64>,
}

/// The ranks of all nodes for surfers who start at each of `sources`; of each only the `most` largest,
/// the lower node first among equals. Progress counts walks.
///
/// # Errors
/// If a source is no node, or there are too many walks; if there is no memory, or the work is cancelled.
pub fn personal(
    graph: &Graph,
    surfers: &Surfers,
    sources: &[i64],
    most: usize,
    run: Run<'_>,
) -> Result<Rows> {
    // 1. Rows, batch by batch: `indptr` has the number of ranks of each row.
    let batch = surfers.batch(1);
    let mut parts = with_capacity(sources.len().div_ceil(batch), "batches of rows")?;
    parts.resize_with(sources.len().div_ceil(batch), Rows::default);
    let law = surfers.law();
    run.try_fill_chunks(&mut parts, 1, |task, part| {
        let own = &sources[task * batch..sources.len().min((task + 1) * batch)];
        let starts = Starts {
            nodes: Some(own),
            jumps: surfers.jumps(graph.num_nodes(), None),
            first: (task * batch) as u64,
            count: own.len(),
            ..Starts::default()
        };
        let walks = walks(graph, &surfers.plan(&law, starts), false, run.serial())?;
        let (mut nodes, mut counts) = (Vec::new(), Vec::new());
        for row in 0..own.len() {
            nodes.clear();
            for walk in row * surfers.num_walks..(row + 1) * surfers.num_walks {
                let more = surfers.counted(&walks, walk);
                reserve(&mut nodes, more.len(), "visits")?;
                nodes.extend(more.iter().map(|&node| node as u32));
            }
            super::sort(&mut nodes, run)?;
            count(&nodes, most, &mut counts)?;
            push(&mut part[0], &counts, surfers)?;
        }
        Ok(())
    })?;

    // 2. All of them, one after the other.
    let total = parts.iter().map(|part| part.data.len()).sum();
    let mut rows = Rows {
        indptr: with_capacity(sources.len() + 1, "rows")?,
        indices: with_capacity(total, "ranks")?,
        data: with_capacity(total, "ranks")?,
    };
    let mut end = 0;
    rows.indptr.push(end);
    for part in parts {
        run.check()?;
        rows.indptr.extend(part.indptr.iter().map(|count| {
            end += count;
            end
        }));
        rows.indices.extend(part.indices);
        rows.data.extend(part.data);
    }
    Ok(rows)
}

/// How often the nodes that come most often come; `nodes` are sorted.
fn count(nodes: &[u32], most: usize, counts: &mut Vec<(u32, u64)>) -> Result<()> {
    counts.clear();
    for same in nodes.chunk_by(|a, b| a == b) {
        reserve(counts, 1, "ranks")?;
        counts.push((same[0], same.len() as u64));
    }
    if most < counts.len() {
        if most > 0 {
            counts.select_nth_unstable_by_key(most - 1, |&(node, count)| {
                (std::cmp::Reverse(count), node)
            });
        }
        counts.truncate(most);
        counts.sort_unstable();
    }
    Ok(())
}

/// Writes a row.
fn push(rows: &mut Rows, counts: &[(u32, u64)], surfers: &Surfers) -> Result<()> {
    reserve(&mut rows.indptr, 1, "rows")?;
    reserve(&mut rows.indices, counts.len(), "ranks")?;
    reserve(&mut rows.data, counts.len(), "ranks")?;
    rows.indptr.push(counts.len() as i64);
    rows.indices.extend(counts.iter().map(|&(node, _)| i64::from(node)));
    let scale = surfers.share() / surfers.num_walks as f64;
    rows.data.extend(counts.iter().map(|&(_, count)| count as f64 * scale));
    Ok(())
}
