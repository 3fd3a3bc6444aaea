//! PageRank of all nodes, and how sure it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

use super::super::structure::Graph;
use super::super::walks::{Jumps, Starts, Walks, walks};
use super::starts::{Axis, Scratch};
use super::{Method, Surfers};

/// Nodes between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ways<'a> {
    /// The law of starts, up to a factor; without it, each node is as likely.
    pub personalization: Option<&'a [f64]>,
    /// How many independent ensembles there are for each node of the graph.
    pub replicates: usize,
    /// Whether ranks are to sum to one.
    pub normalize: bool,
}

/// PageRank.
#[derive(Debug)]
pub struct Ranks {
    /// Of each node.
    pub value: Vec<f64>,
    /// The standard errors; NaN if there is one ensemble for each node.
    pub stderr: Vec<f64>,
}

/// Sums over blocks. All are integers, so that their order does not matter: neither threads nor batches
/// do.
///
/// A block is `R` independent ensembles with the same law. With `c_r` what ensemble `r` counts at a
/// node, `R sum c_r^2 - (sum c_r)^2` is `R (R - 1)` times the sample variance of `c_r`, whose
/// expectation is the variance. Blocks are independent: these add up.
struct Totals {
    counts: Vec<AtomicU64>,
    squares: Vec<AtomicU64>,
    /// The same with `T_r`, what ensemble `r` counts at all nodes, for one of the factors.
    crosses: Vec<AtomicU64>,
    all: AtomicU64,
    squares_of_all: AtomicU64,
    is_full: AtomicBool,
}

fn zeros(len: usize) -> Result<Vec<AtomicU64>> {
    let mut out = with_capacity(len, "sums of nodes")?;
    out.resize_with(len, AtomicU64::default);
    Ok(out)
}

impl Totals {
    /// Adds a number that is not negative.
    fn add(&self, to: &AtomicU64, more: u128) {
        let most = 1 << 62;
        if more > most || u128::from(to.fetch_add(more as u64, Relaxed)) + more > most {
            self.is_full.store(true, Relaxed);
        }
    }

    /// Counts a block: `keys` are nodes and below them ensembles, in order; `all` is what each ensemble
    /// counts.
    fn count(&self, keys: &[u64], all: &[u64]) {
        let replicates = all.len() as i128;
        let squares = |sum: i128, of: i128| replicates * of - sum * sum;
        let total: i128 = all.iter().map(|&n| i128::from(n)).sum();
        self.add(&self.all, total as u128);
        let of_all = all.iter().map(|&n| i128::from(n).pow(2)).sum();
        self.add(&self.squares_of_all, squares(total, of_all) as u128);
        let mut begin = 0;
        while begin < keys.len() {
            let node = keys[begin] >> 32;
            let (mut sum, mut of, mut cross) = (0i128, 0i128, 0i128);
            while begin < keys.len() && keys[begin] >> 32 == node {
                let key = keys[begin];
                let first = begin;
                while begin < keys.len() && keys[begin] == key {
                    begin += 1;
                }
                let count = (begin - first) as i128;
                sum += count;
                of += count * count;
                cross += count * i128::from(all[key as u32 as usize]);
            }
            let node = node as usize;
            self.add(&self.counts[node], sum as u128);
            if !self.squares.is_empty() {
                self.add(&self.squares[node], squares(sum, of) as u128);
            }
            if !self.crosses.is_empty() {
                // Of either sign, and by Cauchy and Schwarz not larger than sums that are checked.
                let cross = replicates * cross - sum * total;
                self.crosses[node].fetch_add(cross as u64, Relaxed);
            }
        }
    }
}

/// PageRank of all nodes. Progress counts walks.
///
/// # Errors
/// If there are too many walks, or they are so long that sums of squares leave the range of integers; if
/// there is no memory, or the work is cancelled.
pub fn ranks(graph: &Graph, surfers: &Surfers, ways: &Ways<'_>, run: Run<'_>) -> Result<Ranks> {
    let (nodes, replicates) = (graph.num_nodes(), ways.replicates);
    if nodes == 0 {
        return Ok(Ranks { value: Vec::new(), stderr: Vec::new() });
    }
    let axis = match ways.personalization {
        None => None,
        Some(weights) => Some(Axis::new(weights, nodes, surfers.num_walks, run)?),
    };
    let has_errors = replicates > 1;
    let is_ratio = ways.normalize && surfers.method == Method::Visits;
    let totals = Totals {
        counts: zeros(nodes)?,
        squares: zeros(if has_errors { nodes } else { 0 })?,
        crosses: zeros(if has_errors && is_ratio { nodes } else { 0 })?,
        all: AtomicU64::new(0),
        squares_of_all: AtomicU64::new(0),
        is_full: AtomicBool::new(false),
    };
    let batch = surfers.batch(replicates);
    // 1. Walks, batch by batch of blocks.
    run.try_for_each(nodes.div_ceil(batch), |task| {
        let blocks = task * batch..nodes.min((task + 1) * batch);
        let count_of_blocks = blocks.len();
        let walks = batch_of(graph, surfers, axis.as_ref(), blocks, replicates, run)?;
        count(surfers, &walks, count_of_blocks, replicates, &totals, run)
    })?;
    if totals.is_full.into_inner() {
        let reason = "must be smaller: walks are too long for their squares to be counted";
        return Err(Error::argument("alpha", reason));
    }

    // 2. Means and standard errors.
    let all = totals.all.into_inner() as f64;
    let scale = if is_ratio {
        1.0 / all
    } else {
        surfers.share() / (nodes as f64 * surfers.num_walks as f64 * replicates as f64)
    };
    let of_all = totals.squares_of_all.into_inner() as f64;
    let mut value = with_capacity(nodes, "ranks")?;
    let mut stderr = with_capacity(nodes, "standard errors")?;
    for range in run.blocks(nodes, BLOCK) {
        for node in range? {
            let rank = totals.counts[node].load(Relaxed) as f64 * scale;
            value.push(rank);
            stderr.push(if has_errors {
                let mut variance = totals.squares[node].load(Relaxed) as f64;
                if is_ratio {
                    let cross = totals.crosses[node].load(Relaxed) as i64 as f64;
                    variance += rank * (rank * of_all - 2.0 * cross);
                }
                scale * (variance.max(0.0) / (replicates as f64 - 1.0)).sqrt()
            } else {
                f64::NAN
            });
        }
    }
    Ok(Ranks { value, stderr })
}

/// The walks of some blocks: of each, those of all of its ensembles.
fn batch_of(
    graph: &Graph,
    surfers: &Surfers,
    axis: Option<&Axis>,
    blocks: std::ops::Range<usize>,
    replicates: usize,
    run: Run<'_>,
) -> Result<Walks<i32>> {
    let (count, first) = (blocks.len() * replicates, blocks.start as u64 * replicates as u64);
    let walkers = surfers.num_walks;
    let mut starts;
    let jumps;
    match axis {
        // Block b is node b.
        None => {
            starts = with_capacity(count, "starts")?;
            for block in blocks {
                starts.extend(std::iter::repeat_n(block as i64, replicates));
            }
            jumps = Jumps::Anywhere(graph.num_nodes());
        }
        Some(axis) => {
            starts = zeroed(count.saturating_mul(walkers), "starts")?;
            let mut scratch = Scratch::default();
            for (i, out) in starts.chunks_mut(walkers).enumerate() {
                let block = blocks.start + i / replicates;
                axis.draw(block, first + i as u64, surfers.stream, &mut scratch, out)?;
            }
            jumps = axis.jumps();
        }
    }
    let law = surfers.law();
    let starts = Starts {
        nodes: Some(&starts),
        each: axis.is_some(),
        jumps: surfers.jumps(graph.num_nodes(), Some(jumps)),
        first,
        count,
    };
    walks(graph, &surfers.plan(&law, starts), false, run.serial())
}

/// Counts the walks of a batch.
fn count(
    surfers: &Surfers,
    walks: &Walks<i32>,
    blocks: usize,
    replicates: usize,
    totals: &Totals,
    run: Run<'_>,
) -> Result<()> {
    let mut keys: Vec<u64> = Vec::new();
    let mut all: Vec<u64> = zeroed(replicates, "ensembles")?;
    for block in 0..blocks {
        keys.clear();
        for (replicate, all) in all.iter_mut().enumerate() {
            let before = keys.len();
            let first = (block * replicates + replicate) * surfers.num_walks;
            for walk in first..first + surfers.num_walks {
                let nodes = surfers.counted(walks, walk);
                sortes_core::memory::reserve(&mut keys, nodes.len(), "visits")?;
                keys.extend(
                    nodes.iter().map(|&node| u64::from(node as u32) << 32 | replicate as u64),
                );
            }
            *all = (keys.len() - before) as u64;
        }
        super::sort(&mut keys, run)?;
        totals.count(&keys, &all);
    }
    Ok(())
}
