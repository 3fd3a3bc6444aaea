//! Walks whose step depends on the node, or on the node before it as well.
//!
//! Walker `k` of start `s` is walker `s * num_walks + k` of all, whichever part of them a call walks. Its
//! moves read the sequence of [`Purpose::Walk`](sortes_core::rng::Purpose::Walk) that bears its number,
//! one draw for each position, so that walks depend on nothing else: neither threads nor batches.
//!
//! | file | holds |
//! |---|---|
//! | [`lengths`] | how many moves each walk makes |
//! | [`lent`] | walks that are counted and not kept |
//! | [`rules`] | the laws of a step |
//! | [`node2vec`] | the law of node2vec, and its kernel |
//! | [`lockstep`] | the kernel of walkers on their own |
//! | [`plain`] | that of the simple step |
//! | [`partitioned`] | the same step for very many walkers on a graph beyond the cache |
//! | [`faster`] | which of the two they take |
//! | [`repelling`] | the kernel of walkers that repel each other |
//! | [`ensembles`] | the same in ensembles of a few |
//! | [`deal`] | how a group of them shares the arcs of a node |

mod deal;
mod ensembles;
mod faster;
mod lengths;
mod lent;
mod lockstep;
mod node2vec;
mod partitioned;
mod plain;
mod repelling;
mod rules;

pub use lengths::{Law, Termination};
pub(super) use lent::Lent;
use sortes_core::memory::{Zero, refused, with_capacity, zeroed};
use sortes_core::rng::{Purpose, Stream, bulk, uniform_of};
use sortes_core::{Error, Result, Run};

use super::structure::Graph;
pub(super) use deal::{Hand, index};
use lengths::Lengths;

/// Walkers of a block, at least.
const LANES: usize = 64;
/// Moves of one task, about.
const TASK: u64 = 1 << 16;
/// The most walkers of a task.
const TASK_WALKERS: usize = 1 << 13;
/// Factors above this count as this one: nothing else is then ever drawn.
const MOST_FACTOR: f64 = 1e300;
/// The most bytes of a result.
const MOST_BYTES: u64 = 1 << 40;
/// What a result is, for the error where there is no memory for it.
const NODES: &str = "nodes of walks, which iter_walks gives in parts";
const EDGES: &str = "edges of walks, which iter_walks gives in parts";

/// What stands among edges of walks of random lengths where a walk has ended early.
const GAP: i64 = -2;

/// How the ids of nodes are written.
pub trait Id: Zero + Copy + PartialEq + Send + Sync {
    /// What stands where there is no node.
    const NONE: Self;
    /// A node.
    fn of(node: u32) -> Self;
}

impl Id for i32 {
    const NONE: Self = -1;
    #[inline(always)]
    fn of(node: u32) -> Self {
        node as i32
    }
}

impl Id for i64 {
    const NONE: Self = -1;
    #[inline(always)]
    fn of(node: u32) -> Self {
        i64::from(node)
    }
}

/// Where walks start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Starts<'a> {
    /// The nodes; without them, start `s` is node `s`.
    pub nodes: Option<&'a [i64]>,
    /// Whether there is a node for each walk, not for all of a start.
    pub each: bool,
    /// Where walkers go instead of back to their starts.
    pub jumps: Option<Jumps<'a>>,
    /// The number of the first start: not zero where a call walks a part of all.
    pub first: u64,
    /// How many starts there are.
    pub count: usize,
}

/// Where walkers go that jump: each time to a node that they draw.
#[derive(Debug, Clone, Copy)]
pub enum Jumps<'a> {
    /// To any of so many nodes, each as likely.
    Anywhere(usize),
    /// To a node of some, by the running sums of their weights.
    Among(&'a [i64], &'a [f64]),
}

/// How many moves walks make.
#[derive(Debug, Clone, Copy)]
pub enum Moves<'a> {
    /// All of them as many.
    Fixed(u32),
    /// As many as a law says, but not above the last.
    Random(&'a Law, Termination, Option<u32>),
}

/// The law of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transition {
    /// An arc of the node, in proportion to its weight.
    Simple,
    /// The same, but the walker stays with this chance.
    Lazy(f64),
    /// The same, but with this chance the walker goes back to its start.
    Restart(f64),
    /// A uniform neighbour `v` with the chance `min(1, d_u / d_v)`.
    MetropolisHastings,
    /// A uniform neighbour with the chance `d_u / d_max`.
    MaxDegree,
    /// Any arc but those back to the node before.
    NonBacktracking,
    /// An arc in proportion to its weight, times `1 / p` back to the node before, times `1 / q` to a
    /// node to which no arc goes from there.
    Node2vec {
        /// What makes the way back rare.
        p: f64,
        /// What makes the way out rare.
        q: f64,
    },
}

/// What happens at a node without arcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dangling {
    /// The walk ends.
    Stop,
    /// The walker stays.
    Stay,
    /// It goes back to its start.
    Restart,
    /// An error.
    Error,
}

/// How walkers that meet share the arcs of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Without replacement; by ordered pivotal sampling where arcs have weights.
    Auto,
    /// Neighbouring arcs from a random one on, as in the code that was published.
    Rotation,
}

/// Which walkers repel each other, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repulsion {
    /// How those that meet share the arcs.
    pub scheme: Scheme,
    /// Whether all walkers of the call do, or those of one start.
    pub all: bool,
    /// Whether only those do that have been together from the start.
    pub transient: bool,
}

/// Walks to be made.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// Where they start.
    pub starts: Starts<'a>,
    /// How many walks there are of each start.
    pub num_walks: usize,
    /// How many moves they make.
    pub moves: Moves<'a>,
    /// The law of a step.
    pub transition: Transition,
    /// Whether walkers repel each other.
    pub repulsion: Option<Repulsion>,
    /// What happens at a node without arcs.
    pub dangling: Dangling,
    /// Where the random numbers come from.
    pub stream: Stream,
}

/// Walks.
#[derive(Debug)]
pub struct Walks<O> {
    /// The nodes, walk by walk.
    pub nodes: Vec<O>,
    /// The numbers of the arcs that were taken, in the input of the graph; -1 where there was no move.
    /// A walk of a fixed number of moves has as many; others have one more in front, which is -1.
    pub edges: Option<Vec<i64>>,
    /// Where each walk starts among the nodes, and the end of the last; none if all are equally long.
    pub offsets: Option<Vec<i64>>,
}

/// Draws the words of the moves `t` and `t + 1`, of which the first is even: one block of a walker.
#[inline(always)]
fn draw_moves(walkers: bulk::Ids<'_>, t: usize, words: &mut [[u64; 2]]) {
    bulk::words_at(Purpose::Walk, walkers, (t / 2) as u32, words);
}

impl Plan<'_> {
    fn walkers(&self) -> usize {
        self.starts.count.saturating_mul(self.num_walks)
    }

    /// The start of a walker, by its number among all.
    #[inline]
    fn start_of(&self, walker: u64) -> u32 {
        let start = walker / self.num_walks as u64;
        match self.starts.nodes {
            None => start as u32,
            Some(nodes) if self.starts.each => {
                nodes[(walker - self.starts.first * self.num_walks as u64) as usize] as u32
            }
            Some(nodes) => nodes[(start - self.starts.first) as usize] as u32,
        }
    }

    /// Where a walker goes that leaves its node for its start, in place of its move `t`.
    #[inline]
    fn home_of(&self, walker: u64, t: usize) -> u32 {
        let Some(jumps) = self.starts.jumps else { return self.start_of(walker) };
        let mut draws = self.stream.draws(Purpose::Jump, walker);
        draws.seek(t as u64);
        match jumps {
            Jumps::Anywhere(nodes) => index(draws.u64(), nodes) as u32,
            Jumps::Among(nodes, sums) => {
                let last = sums.len() - 1;
                let place = uniform_of(draws.u64()) * sums[last];
                nodes[sums.partition_point(|&sum| sum <= place).min(last)] as u32
            }
        }
    }

    fn fixed(&self) -> Option<usize> {
        match self.moves {
            Moves::Fixed(moves) => Some(moves as usize),
            Moves::Random(..) => None,
        }
    }

    /// How many walkers repel each other; one where none do.
    fn ensemble(&self) -> usize {
        match self.repulsion {
            None => 1,
            Some(Repulsion { all: true, .. }) => self.walkers().max(1),
            Some(_) => self.num_walks,
        }
    }

    /// Walkers of a block: whole ensembles, enough to hide the latency of memory.
    fn block(&self) -> usize {
        let ensemble = self.ensemble();
        LANES.div_ceil(ensemble).saturating_mul(ensemble)
    }

    /// The walks of some of the starts.
    pub(super) fn part(&self, first: usize, count: usize) -> Self {
        let of_each = if self.starts.each { self.num_walks } else { 1 };
        let range = first * of_each..(first + count) * of_each;
        let nodes = self.starts.nodes.map(|nodes| &nodes[range]);
        let first = self.starts.first + first as u64;
        let starts = Starts { nodes, first, count, ..self.starts };
        Self { starts, ..*self }
    }

    /// The node of a start.
    pub(super) fn node(&self, start: usize) -> u32 {
        self.start_of((self.starts.first + start as u64) * self.num_walks as u64)
    }

    pub(super) fn check(&self, graph: &Graph, run: Run<'_>) -> Result<()> {
        let nodes = graph.num_nodes();
        for range in run.blocks(self.starts.nodes.map_or(0, <[i64]>::len), 1 << 16) {
            for item in range? {
                let node = self.starts.nodes.map_or(0, |nodes| nodes[item]);
                if usize::try_from(node).map_or(true, |node| node >= nodes) {
                    return Err(Error::item("start", item, &format!("[0, {nodes})"), node));
                }
            }
        }
        if self.starts.first.saturating_add(self.starts.count as u64)
            > (1 << 48) / self.num_walks as u64
        {
            let reason = "must be below 2**48 for all starts together";
            return Err(Error::argument("num_walks", reason));
        }
        Ok(())
    }
}

/// Where a walker begins, and where its walk is written.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    node: u32,
    moves: usize,
    nodes_at: usize,
    edges_at: usize,
}

/// Walkers of one task, and where their walks go.
struct Part<'a, O> {
    /// The number of the first among all walkers.
    first: u64,
    walkers: usize,
    nodes: &'a mut [O],
    /// Empty unless edges are wanted.
    edges: &'a mut [i64],
    /// Of walks of random lengths: how many moves they make; in the end, how many they made.
    moves: &'a mut [u64],
    /// Where the next walk goes, if lengths are random.
    next: usize,
}

impl<O: Id> Part<'_, O> {
    /// Writes the start of a walker; walkers begin in order.
    fn begin(&mut self, plan: &Plan<'_>, walker: usize) -> Place {
        let node = plan.start_of(self.first + walker as u64);
        let place = if let Some(moves) = plan.fixed() {
            let (nodes_at, edges_at) = (walker * (moves + 1), walker * moves);
            Place { node, moves, nodes_at, edges_at }
        } else {
            let (moves, nodes_at) = (self.moves[walker] as usize, self.next);
            self.next += moves + 1;
            if !self.edges.is_empty() {
                self.edges[nodes_at] = -1;
            }
            Place { node, moves, nodes_at, edges_at: nodes_at + 1 }
        };
        self.nodes[place.nodes_at] = O::of(node);
        place
    }

    /// Ends a walk after `made` moves, at a node without arcs.
    fn end(&mut self, walker: usize, place: Place, made: usize) {
        let Place { moves, nodes_at, edges_at, .. } = place;
        self.nodes[nodes_at + made + 1..=nodes_at + moves].fill(O::NONE);
        let is_fixed = self.moves.is_empty();
        if !self.edges.is_empty() {
            let nothing = if is_fixed { -1 } else { GAP };
            self.edges[edges_at + made..edges_at + moves].fill(nothing);
        }
        if !is_fixed {
            self.moves[walker] = made as u64;
        }
    }
}

/// The error of a walker that cannot move where that is one.
fn dead_end(walker: u64, node: u32) -> Error {
    Error::argument("dangling", format!("walk {walker} came to node {node}, which has no arcs"))
}

/// In which order the work is done: the walks do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the sizes say.
    Auto,
    /// Walk by walk, a block of walkers in lock step.
    Lockstep,
    /// Move by move, walkers sorted by their nodes, where the law of the step allows it.
    Partitioned,
    /// Some walkers in either way, the others in the faster one, where the law of the step allows it.
    Faster,
}

/// Makes walks. Progress counts walks.
///
/// # Errors
/// If a start is no node, there are too many walkers, a walker comes to a node without arcs and that is
/// an error; if there is no memory for the walks, or the work is cancelled.
pub fn walks<O: Id>(graph: &Graph, plan: &Plan<'_>, edges: bool, run: Run<'_>) -> Result<Walks<O>> {
    walks_in(Order::Auto, graph, plan, edges, run)
}

/// [`walks`] in a given order: for tests and measurements.
///
/// # Errors
/// As there.
pub fn walks_in<O: Id>(
    order: Order,
    graph: &Graph,
    plan: &Plan<'_>,
    edges: bool,
    run: Run<'_>,
) -> Result<Walks<O>> {
    plan.check(graph, run)?;
    match (plan.repulsion, plan.transition) {
        (Some(repulsion), _) => {
            let sums = graph.running_sums(run)?;
            part_by_part(graph, plan, edges, run, |part, run| {
                repelling::walk(order, graph, plan, repulsion, sums, part, run)
            })
        }
        (None, Transition::Simple | Transition::Node2vec { p: 1.0, q: 1.0 }) => {
            simple(order, graph, plan, edges, run)
        }
        (None, Transition::Lazy(stay)) => {
            on_their_own(graph, plan, &rules::Lazy { stay: share(stay) }, edges, run)
        }
        (None, Transition::Restart(home)) => {
            on_their_own(graph, plan, &rules::Restart { home: share(home) }, edges, run)
        }
        (None, Transition::MetropolisHastings) => {
            let rule = rules::MetropolisHastings { has_loops: graph.has_loops() };
            on_their_own(graph, plan, &rule, edges, run)
        }
        (None, Transition::MaxDegree) => {
            let largest = graph.largest_proper_degree();
            let rule = rules::MaxDegree { has_loops: graph.has_loops(), largest };
            on_their_own(graph, plan, &rule, edges, run)
        }
        (None, Transition::NonBacktracking) if !graph.is_weighted() => {
            on_their_own(graph, plan, &rules::NonBacktracking, edges, run)
        }
        (None, Transition::NonBacktracking) => with_memory(graph, plan, 0.0, 1.0, edges, run),
        (None, Transition::Node2vec { p, q }) => {
            let factor = |x: f64| (1.0 / x).min(MOST_FACTOR);
            with_memory(graph, plan, factor(p), factor(q), edges, run)
        }
    }
}

fn simple<O: Id>(
    order: Order,
    graph: &Graph,
    plan: &Plan<'_>,
    edges: bool,
    run: Run<'_>,
) -> Result<Walks<O>> {
    let may_be_sorted = match order {
        Order::Auto => partitioned::may_pay(graph, plan.walkers()),
        Order::Lockstep => false,
        Order::Partitioned | Order::Faster => true,
    };
    if may_be_sorted && partitioned::can(graph, plan) {
        let ends = (1..=plan.walkers().div_ceil(partitioned::CHUNK))
            .map(|chunk| plan.walkers().min(chunk * partitioned::CHUNK));
        let walk = |parts: &mut [Part<'_, O>]| match order {
            Order::Partitioned => partitioned::walk(graph, plan, parts, run),
            _ => faster::walk(graph, plan, parts, run),
        };
        return made(graph, plan, edges, run, |_| Ok(ends.collect()), walk);
    }
    if edges {
        return on_their_own(graph, plan, &rules::Simple, edges, run);
    }
    part_by_part(graph, plan, edges, run, |part, run| plain::walk(graph, plan, part, run))
}

/// A chance below one, as a share of all words.
fn share(chance: f64) -> u64 {
    (chance * 18_446_744_073_709_551_616.0) as u64
}

fn on_their_own<R: rules::Rule, O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    rule: &R,
    edges: bool,
    run: Run<'_>,
) -> Result<Walks<O>> {
    part_by_part(graph, plan, edges, run, |part, run| lockstep::walk(graph, plan, rule, part, run))
}

/// Walks with these factors for the way back and the way out.
fn with_memory<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    back: f64,
    out: f64,
    edges: bool,
    run: Run<'_>,
) -> Result<Walks<O>> {
    let sums = graph.running_sums(run)?;
    let is_mirrored = !graph.is_weighted() && graph.is_mirrored(run)?;
    let apart = if is_mirrored { Some(graph.apart(run)?) } else { None };
    let law = node2vec::Node2vec { back, out, sums, apart };
    part_by_part(graph, plan, edges, run, |part, run| node2vec::walk(graph, plan, &law, part, run))
}

/// Walks that `walk` makes, part by part.
fn part_by_part<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    edges: bool,
    run: Run<'_>,
    walk: impl Fn(&mut Part<'_, O>, Run<'_>) -> Result<()> + Sync + Send,
) -> Result<Walks<O>> {
    let ends = |moves: &[u64]| ends(plan, moves);
    made(graph, plan, edges, run, ends, |parts| {
        run.try_fill_chunks(parts, 1, |_, part| {
            walk(&mut part[0], run)?;
            run.advance(part[0].walkers as u64);
            Ok(())
        })
    })
}

/// Walks that `walk` makes, in parts with these ends.
fn made<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    edges: bool,
    run: Run<'_>,
    ends: impl FnOnce(&[u64]) -> Result<Vec<usize>>,
    walk: impl FnOnce(&mut [Part<'_, O>]) -> Result<()>,
) -> Result<Walks<O>> {
    let walkers = plan.walkers();
    let first = plan.starts.first * plan.num_walks as u64;

    // 1. How long walks are, and where they go.
    let mut moves = Vec::new();
    let (total_nodes, total_edges) = match plan.moves {
        Moves::Fixed(moves) => {
            let each = u64::from(moves);
            let walkers = walkers as u64;
            (walkers.saturating_mul(each + 1), walkers.saturating_mul(each))
        }
        Moves::Random(law, termination, most) => {
            moves = zeroed(walkers, "lengths of walks")?;
            let most = most.map_or(u64::MAX, u64::from);
            let lengths = Lengths::new(law, termination, most, plan.stream);
            // Lengths belong together by start, whoever repels whom.
            let chunk = plan.num_walks * (TASK_WALKERS / plan.num_walks).max(1);
            run.try_fill_chunks(&mut moves, chunk, |task, part| {
                lengths.fill(first + (task * chunk) as u64, plan.num_walks, part)
            })?;
            let total = moves.iter().fold(0u64, |sum, &n| sum.saturating_add(n.saturating_add(1)));
            (total, total)
        }
    };
    let mut nodes = result::<O>(total_nodes, NODES)?;
    let mut taken = if edges { result::<i64>(total_edges, EDGES)? } else { Vec::new() };

    // 2. The walks, in parts of whole blocks.
    let ends = ends(&moves)?;
    let mut parts = with_capacity(ends.len(), "tasks")?;
    let (mut rest_nodes, mut rest_edges, mut rest_moves) = (&mut *nodes, &mut *taken, &mut *moves);
    let mut begin = 0;
    for end in ends {
        let walkers = end - begin;
        let (count_nodes, count_edges) = if let Some(moves) = plan.fixed() {
            (walkers * (moves + 1), walkers * moves)
        } else {
            let count = rest_moves[..walkers].iter().map(|&n| n as usize + 1).sum();
            (count, count)
        };
        let (nodes, after) = rest_nodes.split_at_mut(count_nodes);
        rest_nodes = after;
        let (edges, after) = rest_edges.split_at_mut(if edges { count_edges } else { 0 });
        rest_edges = after;
        let own = if plan.fixed().is_some() { 0 } else { walkers };
        let (moves, after) = rest_moves.split_at_mut(own);
        rest_moves = after;
        parts.push(Part { first: first + begin as u64, walkers, nodes, edges, moves, next: 0 });
        begin = end;
    }
    walk(&mut parts)?;
    drop(parts);
    let mut edges = edges.then_some(taken);
    if plan.fixed().is_some() {
        return Ok(Walks { nodes, edges, offsets: None });
    }

    // 3. Where walks ended early, the others move up.
    if plan.dangling == Dangling::Stop && graph.has_dangling() {
        close_gaps(&mut nodes, O::NONE, run)?;
        if let Some(edges) = &mut edges {
            close_gaps(edges, GAP, run)?;
        }
    }
    let mut offsets = with_capacity(moves.len() + 1, "offsets of walks")?;
    let mut end = 0;
    offsets.push(end);
    for range in run.blocks(moves.len(), 1 << 16) {
        for &moves in &moves[range?] {
            end += moves as i64 + 1;
            offsets.push(end);
        }
    }
    Ok(Walks { nodes, edges, offsets: Some(offsets) })
}

/// Takes out what equals `gap`; the others keep their order.
fn close_gaps<T: Copy + PartialEq>(items: &mut Vec<T>, gap: T, run: Run<'_>) -> Result<()> {
    let mut kept = 0;
    for range in run.blocks(items.len(), 1 << 16) {
        for i in range? {
            items[kept] = items[i];
            kept += usize::from(items[i] != gap);
        }
    }
    items.truncate(kept);
    Ok(())
}

/// Zeros for a result.
fn result<T: Zero>(len: u64, what: &'static str) -> Result<Vec<T>> {
    if len.saturating_mul(size_of::<T>() as u64) > MOST_BYTES {
        return Err(refused::<T>(len as usize, what));
    }
    zeroed(len as usize, what)
}

/// Where the walkers of each task end.
fn ends(plan: &Plan<'_>, moves: &[u64]) -> Result<Vec<usize>> {
    let (block, walkers) = (plan.block(), plan.walkers());
    let mut ends = Vec::new();
    let (mut end, mut cost, mut begin) = (0, 0, 0);
    while end < walkers {
        let next = end.saturating_add(block).min(walkers);
        cost += match plan.moves {
            Moves::Fixed(moves) => (next - end) as u64 * (u64::from(moves) + 1),
            Moves::Random(..) => moves[end..next].iter().map(|n| n + 1).sum(),
        };
        end = next;
        if cost >= TASK || end - begin >= TASK_WALKERS || end == walkers {
            sortes_core::memory::reserve(&mut ends, 1, "tasks")?;
            ends.push(end);
            (cost, begin) = (0, end);
        }
    }
    Ok(ends)
}
