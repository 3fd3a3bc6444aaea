//! The visits of the walks of a start, merged by node and step.

use sortes_core::memory::{Zero, reserve, with_capacity, zeroed};
use sortes_core::{Result, Run, order};

use super::super::structure::{Graph, prefetch};
use super::super::walks::{Lent, Moves, Plan};
use super::digits::Digits;
use super::rows::{self, Filler, Rows};

/// Moves of one task, about, whose walks stay in a near cache; and the most walkers.
const TASK: f64 = 16_384.0;
const TASK_WALKERS: usize = 1 << 13;
/// The lengths of up to so many walks are kept; those of more are drawn twice.
const KEPT: usize = 1 << 22;
/// Up to so many visits are compared; those of more are sorted digit by digit.
const FEW: usize = 64;
/// More visits than this are sorted by what can be stopped.
const LONG: usize = 1 << 14;
/// Nodes between two looks at the stop request.
const BLOCK: usize = 1 << 16;

/// What walkers leave where they come.
#[derive(Debug, Clone, Copy)]
pub struct Loads<'a> {
    /// The graph that is walked.
    pub graph: &'a Graph,
    /// What one move multiplies the load by, whatever the arc: one over the chance to make it.
    pub growth: f64,
    /// What an arc multiplies it by: its entry in the matrix, over the chance to take it. Without it, the
    /// matrix is `D^-1/2 A D^-1/2` and arcs are taken by weight: then the factors of a walk make up the
    /// root of the ratio of the degrees of its ends.
    pub factors: Option<&'a [f64]>,
}

/// What walkers have left at a node at a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// The node, and below it the step.
    pub(super) key: u64,
    pub(super) load: f64,
}

impl Visit {
    #[inline]
    pub(super) fn node(self) -> u32 {
        (self.key >> 32) as u32
    }
}

/// Makes the walks of a plan, task by task, and gives the visits of each start, in order of node and step,
/// to `write`.
pub(super) fn counted<K: Zero + Copy + Send, V: Zero + Copy + Send>(
    plan: &Plan<'_>,
    loads: Loads<'_>,
    run: Run<'_>,
    write: impl Fn(&[Visit], &mut Filler<'_, K, V>) + Sync + Send,
) -> Result<Rows<K, V>> {
    plan.check(loads.graph, run)?;
    let roots = match loads.factors {
        None => roots(loads.graph, run)?,
        Some(_) => Vec::new(),
    };
    let starts = plan.starts.count;
    let per = starts_of_task(plan);

    // 1. How many visits a task has at most, from the lengths of its walks.
    let walkers = starts.saturating_mul(plan.num_walks);
    let mut lengths = zeroed::<u64>(if walkers <= KEPT { walkers } else { 0 }, "lengths of walks")?;
    let mut tasks = with_capacity(starts.div_ceil(per), "tasks")?;
    let mut rest = &mut lengths[..];
    for first in (0..starts).step_by(per) {
        let walkers = per.min(starts - first) * plan.num_walks;
        let (own, after) = rest.split_at_mut(walkers.min(rest.len()));
        rest = after;
        tasks.push((own, 0usize));
    }
    run.try_fill_chunks(&mut tasks, 16, |chunk, tasks| {
        let mut drawn = Vec::new();
        for (task, (kept, bound)) in (chunk * 16..).zip(tasks) {
            run.check()?;
            let first = task * per;
            *bound = plan.part(first, per.min(starts - first)).lengths_into(&mut drawn)?;
            if !kept.is_empty() {
                kept.copy_from_slice(&drawn);
            }
        }
        Ok(())
    })?;
    let bounds = tasks.iter().map(|task| task.1);

    // 2. The walks, and what they leave.
    rows::filled(starts, per, bounds, run, |first, count, out| {
        let own = plan.part(first, count);
        let mut lent = Lent::default();
        let lengths = &*tasks[first / per].0;
        lent.walk(loads.graph, &own, lengths, loads.factors.is_some(), run)?;
        let mut counter = Counter::new(loads, &roots, plan, lent.longest());
        let mut walks = lent.walks();
        for start in 0..count {
            counter.clear();
            for _ in 0..plan.num_walks {
                if let Some(walk) = walks.next() {
                    counter.add(walk.nodes, walk.arcs)?;
                }
            }
            counter.merge(own.node(start), run)?;
            write(&counter.visits, out);
            out.end_row();
        }
        Ok(())
    })
}

/// How many starts make a task.
fn starts_of_task(plan: &Plan<'_>) -> usize {
    let each = match plan.moves {
        Moves::Random(law, ..) => plan.num_walks as f64 * (1.0 + law.mean()),
        Moves::Fixed(moves) => plan.num_walks as f64 * (1.0 + f64::from(moves)),
    };
    ((TASK / each) as usize).min(TASK_WALKERS / plan.num_walks).max(1)
}

/// The root of the sum of the weights of each node.
fn roots(graph: &Graph, run: Run<'_>) -> Result<Vec<f64>> {
    let mut out = with_capacity(graph.num_nodes(), "degrees of nodes")?;
    for range in run.blocks(graph.num_nodes(), BLOCK) {
        out.extend(range?.map(|node| {
            let row = graph.row(node as u32);
            let sum = match graph.weights() {
                None => f64::from(row.degree),
                Some(weights) => weights[row.range()].iter().sum(),
            };
            sum.sqrt()
        }));
    }
    Ok(out)
}

/// Counts the visits of the walks of one start.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    loads: Loads<'a>,
    roots: &'a [f64],
    share: f64,
    /// What the moves up to a step multiply the load by.
    growths: Vec<f64>,
    /// Bits of a step in a word, if nodes and steps fit into words.
    of_steps: Option<u32>,
    /// Nodes and steps of all visits: in words, or as keys; with factors, together with the load.
    words: Vec<u32>,
    keys: Vec<u64>,
    /// Where each run of equal keys ends.
    ends: Vec<usize>,
    digits: Digits,
    items: Vec<(u64, f64)>,
    visits: Vec<Visit>,
}

impl<'a> Counter<'a> {
    fn new(loads: Loads<'a>, roots: &'a [f64], plan: &Plan<'_>, longest: usize) -> Self {
        let share = 1.0 / plan.num_walks as f64;
        let of_steps = bits(longest.saturating_add(1));
        let fits = bits(loads.graph.num_nodes()) + of_steps < u32::BITS;
        Self {
            loads,
            roots,
            share,
            growths: vec![1.0],
            of_steps: fits.then_some(of_steps),
            words: Vec::new(),
            keys: Vec::new(),
            ends: Vec::new(),
            digits: Digits::new(),
            items: Vec::new(),
            visits: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.words.clear();
        self.keys.clear();
        self.items.clear();
        self.visits.clear();
    }

    fn add(&mut self, nodes: &[u32], arcs: &[i64]) -> Result<()> {
        const WHAT: &str = "visits of a node's walks";
        let key = |(t, &node): (usize, &u32)| u64::from(node) << 32 | t as u64;
        match self.loads.factors {
            None => {
                if let Some(of_steps) = self.of_steps {
                    reserve(&mut self.words, nodes.len(), WHAT)?;
                    self.words.extend((0..).zip(nodes).map(|(t, &node)| node << of_steps | t));
                } else {
                    reserve(&mut self.keys, nodes.len(), WHAT)?;
                    self.keys.extend(nodes.iter().enumerate().map(key));
                }
                for &node in nodes {
                    prefetch(self.roots, node as usize);
                }
            }
            Some(factors) => {
                reserve(&mut self.items, nodes.len(), WHAT)?;
                let mut load = 1.0;
                self.items.extend(nodes.iter().enumerate().zip(arcs).map(|(visit, &arc)| {
                    if arc >= 0 {
                        load *= factors[arc as usize];
                    }
                    (key(visit), load)
                }));
            }
        }
        while self.growths.len() < nodes.len() {
            let growth = self.growths[self.growths.len() - 1] * self.loads.growth;
            reserve(&mut self.growths, 1, WHAT)?;
            self.growths.push(growth);
        }
        Ok(())
    }

    /// Sums the loads of equal nodes and steps.
    fn merge(&mut self, start: u32, run: Run<'_>) -> Result<()> {
        let many = self.words.len() + self.keys.len() + self.items.len();
        reserve(&mut self.visits, many, "visits of a node's walks")?;
        if self.loads.factors.is_some() {
            return self.merge_items(run);
        }
        let Some(of_steps) = self.of_steps else {
            sort(&mut self.keys, u64::cmp, run)?;
            let keys = std::mem::take(&mut self.keys);
            self.merge_keys(start, &keys, |key| key)?;
            self.keys = keys;
            return Ok(());
        };
        if many <= FEW || many > LONG {
            sort(&mut self.words, u32::cmp, run)?;
        } else {
            let all = bits(self.loads.graph.num_nodes()) + of_steps;
            self.digits.sort(&mut self.words, all)?;
        }
        let words = std::mem::take(&mut self.words);
        let step = (1 << of_steps) - 1;
        let key = |word: u32| u64::from(word >> of_steps) << 32 | u64::from(word & step);
        self.merge_keys(start, &words, key)?;
        self.words = words;
        Ok(())
    }

    /// Counts equal keys, which are sorted.
    #[inline]
    fn merge_keys<T: Copy + PartialEq>(
        &mut self,
        start: u32,
        sorted: &[T],
        key: impl Fn(T) -> u64,
    ) -> Result<()> {
        // 1. Where the key changes: without branches, as nothing foretells it.
        self.ends.clear();
        reserve(&mut self.ends, sorted.len() + 1, "visits of a node's walks")?;
        self.ends.resize(sorted.len() + 1, 0);
        let mut runs = 0;
        for (i, pair) in (1..).zip(sorted.windows(2)) {
            self.ends[runs] = i;
            runs += usize::from(pair[0] != pair[1]);
        }
        if !sorted.is_empty() {
            self.ends[runs] = sorted.len();
            runs += 1;
        }

        // 2. The load of each key.
        let mut begin = 0;
        for &end in &self.ends[..runs] {
            let key = key(sorted[begin]);
            let count = (end - begin) as f64;
            begin = end;
            let scale = self.share * ratio(self.roots, start, (key >> 32) as u32);
            let load = count * self.growths[key as u32 as usize] * scale;
            // A node that no arc leaves has no column in the matrix.
            if load != 0.0 {
                self.visits.push(Visit { key, load });
            }
        }
        Ok(())
    }

    /// Sums the loads of equal keys in the order of the loads: the sum depends on nothing else.
    fn merge_items(&mut self, run: Run<'_>) -> Result<()> {
        sort(&mut self.items, |a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)), run)?;
        for same in self.items.chunk_by(|a, b| a.0 == b.0) {
            let key = same[0].0;
            let sum: f64 = same.iter().map(|item| item.1).sum();
            let load = sum * self.growths[key as u32 as usize] * self.share;
            if load != 0.0 {
                self.visits.push(Visit { key, load });
            }
        }
        Ok(())
    }
}

/// How many bits tell so many apart.
fn bits(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// The root of the ratio of the degrees of two nodes; zero where the second has no arcs.
#[inline]
fn ratio(roots: &[f64], start: u32, to: u32) -> f64 {
    let root = roots[to as usize];
    let quotient = if root == 0.0 { 0.0 } else { roots[start as usize] / root };
    if start == to { 1.0 } else { quotient }
}

/// Sorts items; few of them at once.
fn sort<T: Copy + Send + Sync>(
    items: &mut [T],
    compare: impl Fn(&T, &T) -> std::cmp::Ordering + Sync + Send,
    run: Run<'_>,
) -> Result<()> {
    if items.len() > LONG {
        return order::sort(items, compare, run.serial());
    }
    items.sort_unstable_by(compare);
    Ok(())
}
