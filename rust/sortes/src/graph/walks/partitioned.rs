//! Very many walkers on a graph beyond the cache, by the simple step: before each move they are sorted by
//! the block of nodes where they stand, so that the rows and arcs of a block are read while they are
//! cached (Yang et al., "Random walks on huge graphs at cache efficiency", SOSP 2021).
//!
//! A move is three passes. Walkers are dealt to the bins of their blocks, each bin in the order of walkers;
//! bin by bin, all of them are served; and in the order of walkers each takes what its bin holds for it
//! next, so that no pass writes anywhere in memory but in a few streams. A walker reads the same words as
//! in [`lockstep`](super::lockstep): only the order of the work is another.

use std::slice::{Iter, IterMut};

use sortes_core::memory::{with_capacity, zeroed};
use sortes_core::rng::bulk;
use sortes_core::{Result, Run};

use super::super::structure::{Graph, prefetch};
use super::rules::{Simple, aim};
use super::{Dangling, GAP, Id, Moves, Part, Place, Plan, draw_moves, lockstep};

/// Walkers of a chunk: what one task deals and takes.
pub(super) const CHUNK: usize = if cfg!(test) { 1 << 6 } else { 1 << 18 };
/// Moves that are kept before they are written walk by walk.
const STRIP: usize = 8;
/// Bytes of a block of the graph, about.
const BLOCK: usize = if cfg!(test) { 1 << 8 } else { 1 << 20 };
/// The most blocks: each has a stream of its own.
const MOST_BLOCKS: usize = 1 << 10;
/// Entries of a line of memory.
const LINE: usize = 8;
/// Walkers that are served together.
const BATCH: usize = 128;
/// A graph of fewer bytes is cached as a whole, or nearly so.
const BEYOND: usize = 256 << 20;
/// Fewer rounds of walkers are not worth trying.
const ROUNDS: usize = 3;
/// Walkers that are sorted together, at least.
const ROUND: usize = if cfg!(test) { 1 << 9 } else { 1 << 22 };
/// And at least one for so many arcs, so that each line of them is read about twice in a move.
const REREAD: usize = 8;
/// When fewer than one in so many still walks, they go on by themselves.
const TAIL: usize = 8;

/// What stands in the place of the node of a walker that has halted.
const NONE: u32 = u32::MAX;
/// What stands in the place of an edge: there was no move, or the walk had ended.
const NO_EDGE: u32 = u32::MAX;
const ENDED: u32 = u32::MAX - 1;

/// Whether walkers can be sorted.
pub(super) fn can(graph: &Graph, plan: &Plan<'_>) -> bool {
    !(graph.has_dangling() && plan.dangling == Dangling::Error)
}

/// Whether that may be worth it, so that both ways are tried.
pub(super) fn may_pay(graph: &Graph, walkers: usize) -> bool {
    bytes(graph) > BEYOND && walkers.div_ceil(CHUNK) >= ROUNDS * round(graph)
}

/// Tasks whose walkers are sorted together.
pub(super) fn round(graph: &Graph) -> usize {
    ROUND.max(graph.num_arcs() / REREAD).div_ceil(CHUNK)
}

/// What a step reads of the graph.
fn bytes(graph: &Graph) -> usize {
    let arc =
        graph.slots().map_or(size_of::<u32>(), |slots| size_of_val(slots) / slots.len().max(1));
    size_of::<u64>() * graph.num_nodes() + arc * graph.num_arcs()
}

/// Walkers of one task, and what they have done since it was last written.
struct Chunk<'p, 'a, O> {
    part: &'p mut Part<'a, O>,
    /// The nodes: first where each walker is at the beginning of the strip, then those of its moves.
    nodes: &'p mut [u32],
    /// The edges of these moves, if they are wanted.
    edges: &'p mut [u32],
    /// How many walkers stand in each block.
    counts: &'p mut [u32],
}

/// The memory of chunks, which serves one round after the other: new memory is dear.
struct Room {
    nodes: Vec<u32>,
    edges: Vec<u32>,
    counts: Vec<u32>,
    entries: Vec<u64>,
}

/// Walks all walkers of some parts.
pub(super) fn walk<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    parts: &mut [Part<'_, O>],
    run: Run<'_>,
) -> Result<()> {
    let round = round(graph);
    let size = parts.iter().map(|part| part.walkers).max().unwrap_or(0);
    let count = round.min(parts.len());
    let strip = plan.fixed().map_or(STRIP, |moves| moves.clamp(1, STRIP));
    let (_, blocks) = blocks(graph);
    let has_edges = parts.first().is_some_and(|part| !part.edges.is_empty());
    let mut room = Room {
        nodes: zeroed(count * size * (strip + 1), "walkers")?,
        edges: if has_edges { zeroed(count * size * strip, "walkers")? } else { Vec::new() },
        counts: zeroed(count * blocks, "walkers of blocks")?,
        entries: zeroed(count * size, "walkers")?,
    };
    let together = match (has_edges, graph.slots().is_some()) {
        (false, false) => together::<O, false, false>,
        (false, true) => together::<O, false, true>,
        (true, false) => together::<O, true, false>,
        (true, true) => together::<O, true, true>,
    };
    for parts in parts.chunks_mut(round) {
        together(graph, plan, parts, &mut room, strip, run)?;
    }
    Ok(())
}

fn together<O: Id, const EDGES: bool, const WEIGHTED: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    parts: &mut [Part<'_, O>],
    room: &mut Room,
    strip: usize,
    run: Run<'_>,
) -> Result<()> {
    let all: usize = parts.iter().map(|part| part.walkers).sum();
    let first = parts.first().map_or(0, |part| part.first);
    let (shift, blocks) = blocks(graph);

    // 1. The starts, which are written.
    let mut chunks = with_capacity(parts.len(), "tasks")?;
    let (mut nodes, mut edges) = (&mut *room.nodes, &mut *room.edges);
    for (part, counts) in parts.iter_mut().zip(room.counts.chunks_exact_mut(blocks)) {
        let size = part.walkers;
        let (mine, rest) = nodes.split_at_mut(size * (strip + 1));
        nodes = rest;
        let (my_edges, rest) = edges.split_at_mut(if EDGES { size * strip } else { 0 });
        edges = rest;
        chunks.push(Chunk { nodes: mine, edges: my_edges, counts, part });
    }
    let entries = &mut room.entries[..all];
    run.try_fill_chunks(&mut chunks, 1, |_, chunk| {
        chunk[0].begin(plan, shift);
        Ok(())
    })?;
    let most = match plan.moves {
        Moves::Fixed(moves) => moves as usize,
        Moves::Random(..) => {
            let longest = chunks.iter().map(|chunk| chunk.part.moves.iter().max());
            longest.flatten().max().map_or(0, |&moves| moves as usize)
        }
    };

    // 2. The moves.
    let mut done = 0;
    for t in 0..most {
        let kept = t % strip;
        let walking = step::<O, EDGES, WEIGHTED>(
            graph,
            plan,
            (t, kept, shift, first),
            &mut chunks,
            entries,
            run,
        )?;
        let is_tail = plan.fixed().is_none() && walking < all / TAIL;
        if kept + 1 == strip || t + 1 == most || is_tail {
            run.try_fill_chunks(&mut chunks, 1, |_, chunk| {
                chunk[0].write(plan, t - kept, kept + 1);
                Ok(())
            })?;
        }
        let now = (all as u64).saturating_mul(t as u64 + 1) / most as u64;
        if is_tail {
            run.try_fill_chunks(&mut chunks, 1, |_, chunk| {
                chunk[0].go_on(graph, plan, t + 1, run)
            })?;
            run.advance(all as u64 - done);
            return Ok(());
        }
        run.advance(now - done);
        done = now;
    }
    run.advance(all as u64 - done);
    run.try_fill_chunks(&mut chunks, 1, |_, chunk| {
        chunk[0].shorten(graph, plan);
        Ok(())
    })
}

/// Blocks are of so many nodes, as a power of two, and there are so many.
fn blocks(graph: &Graph) -> (u32, usize) {
    let nodes = graph.num_nodes().max(1);
    let wanted = (bytes(graph) / BLOCK).clamp(1, MOST_BLOCKS);
    let shift = nodes.div_ceil(wanted).next_power_of_two().trailing_zeros();
    (shift, ((nodes - 1) >> shift) + 1)
}

/// The move `t` of all walkers, which is kept in column `kept`; returns how many walk on.
fn step<O: Id, const EDGES: bool, const WEIGHTED: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    (t, kept, shift, first): (usize, usize, u32, u64),
    chunks: &mut [Chunk<'_, '_, O>],
    entries: &mut [u64],
    run: Run<'_>,
) -> Result<usize> {
    let blocks = chunks.first().map_or(0, |chunk| chunk.counts.len());

    // Deal. The bins of a block lie side by side, one for each chunk.
    let mut dealers = with_capacity(chunks.len(), "tasks")?;
    for _ in 0..chunks.len() {
        dealers.push(with_capacity::<IterMut<'_, u64>>(blocks, "bins of walkers")?);
    }
    let mut ends = with_capacity(blocks, "blocks")?;
    let (mut rest, mut end) = (&mut *entries, 0);
    for block in 0..blocks {
        for (dealer, chunk) in dealers.iter_mut().zip(&*chunks) {
            let count = chunk.counts[block] as usize;
            let (bin, after) = rest.split_at_mut(count);
            rest = after;
            dealer.push(bin.iter_mut());
            end += count;
        }
        ends.push(end);
    }
    let walking = end;
    let mut before = 0;
    let mut dealing = with_capacity(chunks.len(), "tasks")?;
    for (chunk, bins) in chunks.iter().zip(dealers) {
        dealing.push((chunk, before, bins));
        before += chunk.part.walkers;
    }
    run.try_fill_chunks(&mut dealing, 1, |_, task| {
        let (chunk, before, bins) = &mut task[0];
        chunk.deal(t, kept, shift, *before as u32, bins);
        Ok(())
    })?;
    drop(dealing);

    // Serve.
    let mut bins = with_capacity(blocks, "blocks")?;
    let (mut rest, mut begin) = (&mut *entries, 0);
    for &end in &ends {
        let (bin, after) = rest.split_at_mut(end - begin);
        rest = after;
        begin = end;
        bins.push(bin);
    }
    run.try_fill_chunks(&mut bins, 1, |_, bin| {
        serve::<EDGES, WEIGHTED>(graph, plan, first, t, bin[0]);
        Ok(())
    })?;

    // Take.
    let mut takers = with_capacity(chunks.len(), "tasks")?;
    for _ in 0..chunks.len() {
        takers.push(with_capacity::<Iter<'_, u64>>(blocks, "bins of walkers")?);
    }
    let mut rest = &*entries;
    for block in 0..blocks {
        for (taker, chunk) in takers.iter_mut().zip(&*chunks) {
            let (bin, after) = rest.split_at(chunk.counts[block] as usize);
            rest = after;
            taker.push(bin.iter());
        }
    }
    let mut taking = with_capacity(chunks.len(), "tasks")?;
    taking.extend(chunks.iter_mut().zip(takers));
    run.try_fill_chunks(&mut taking, 1, |_, task| {
        let (chunk, bins) = &mut task[0];
        chunk.take::<EDGES>(t, kept, shift, bins);
        Ok(())
    })?;
    Ok(walking)
}

/// Moves the walkers of a bin: for each node and walker, the next node and the edge.
fn serve<const EDGES: bool, const WEIGHTED: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    first: u64,
    t: usize,
    bin: &mut [u64],
) {
    let (neighbours, slots) = (graph.neighbours(), graph.slots().unwrap_or(&[]));
    let (mut ids, mut words) = ([0u64; BATCH], [[0u64; 2]; BATCH]);
    let (mut arcs, mut fractions) = ([0u32; BATCH], [0u32; BATCH]);
    let half = t % 2;
    let mut begin = 0;
    while begin < bin.len() {
        let count = BATCH.min(bin.len() - begin);
        let (batch, after) = bin[begin..].split_at_mut(count);
        begin += batch.len();
        for &entry in after.iter().take(BATCH) {
            graph.prefetch_row(entry as u32);
        }
        for (id, &entry) in ids.iter_mut().zip(&*batch) {
            *id = first + (entry >> 32);
        }
        let (ids, words) = (&ids[..batch.len()], &mut words[..batch.len()]);
        let of = bulk::Ids::Listed(plan.stream, ids);
        draw_moves(of, t, words);
        for (((&entry, words), arc), fraction) in
            batch.iter().zip(&*words).zip(&mut arcs).zip(&mut fractions)
        {
            let row = graph.row(entry as u32);
            let aim = aim(row.start, row.degree, words[half]);
            *arc = if row.degree == 0 { NONE } else { aim.arc };
            *fraction = aim.fraction;
            if WEIGHTED {
                prefetch(slots, *arc as usize);
            } else {
                prefetch(neighbours, *arc as usize);
            }
        }
        for (((entry, &arc), &fraction), &id) in
            batch.iter_mut().zip(&arcs).zip(&fractions).zip(ids)
        {
            let mut edge = arc;
            let next = if arc == NONE {
                match plan.dangling {
                    Dangling::Stay => *entry as u32,
                    Dangling::Restart => plan.home_of(id, t),
                    Dangling::Stop | Dangling::Error => NONE,
                }
            } else if WEIGHTED {
                let slot = slots[arc as usize];
                if fraction < slot.threshold {
                    slot.neighbour
                } else {
                    if EDGES {
                        edge = graph.row(*entry as u32).start + slot.alias;
                    }
                    slot.alias_neighbour
                }
            } else {
                neighbours[arc as usize]
            };
            if EDGES {
                edge = match (next, arc) {
                    (NONE, _) => ENDED,
                    (_, NONE) => NO_EDGE,
                    _ => graph.edge_id(edge),
                };
            }
            *entry = u64::from(edge) << 32 | u64::from(next);
        }
    }
}

impl<O: Id> Chunk<'_, '_, O> {
    fn size(&self) -> usize {
        self.part.walkers
    }

    /// The moves that a walker makes, where they are not fixed.
    fn moves(&self, walker: usize) -> u64 {
        self.part.moves.get(walker).map_or(u64::MAX, |&moves| moves)
    }

    /// Puts the walkers at their starts.
    fn begin(&mut self, plan: &Plan<'_>, shift: u32) {
        self.counts.fill(0);
        for walker in 0..self.size() {
            let place = self.part.begin(plan, walker);
            self.nodes[walker] = place.node;
            if place.moves > 0 {
                self.counts[(place.node >> shift) as usize] += 1;
            }
        }
    }

    /// Deals the walkers to the bins of their blocks; `before` are those of the chunks before.
    fn deal(&self, t: usize, kept: usize, shift: u32, before: u32, bins: &mut [IterMut<'_, u64>]) {
        let nodes = &self.nodes[kept * self.size()..][..self.size()];
        for (walker, &node) in nodes.iter().enumerate() {
            if node == NONE || self.moves(walker) <= t as u64 {
                continue;
            }
            let bin = &mut bins[(node >> shift) as usize];
            // Nothing else foresees where so many streams go on.
            prefetch(bin.as_slice(), LINE);
            if let Some(entry) = bin.next() {
                *entry = u64::from(before + walker as u32) << 32 | u64::from(node);
            }
        }
    }

    /// Takes the next nodes of the walkers from their bins, and counts the walkers of blocks anew.
    fn take<const EDGES: bool>(
        &mut self,
        t: usize,
        kept: usize,
        shift: u32,
        bins: &mut [Iter<'_, u64>],
    ) {
        let size = self.size();
        let (from, to) = self.nodes[kept * size..][..2 * size].split_at_mut(size);
        let edges = if EDGES { &mut self.edges[kept * size..][..size] } else { &mut [] };
        let moves = &*self.part.moves;
        self.counts.fill(0);
        for (walker, (&node, to)) in from.iter().zip(to).enumerate() {
            let moves = moves.get(walker).map_or(u64::MAX, |&moves| moves);
            let mut entry = u64::from(ENDED) << 32 | u64::from(NONE);
            if node != NONE && moves > t as u64 {
                let bin = &mut bins[(node >> shift) as usize];
                prefetch(bin.as_slice(), LINE);
                if let Some(&found) = bin.next() {
                    entry = found;
                    if entry as u32 != NONE && moves > t as u64 + 1 {
                        self.counts[(entry as u32 >> shift) as usize] += 1;
                    }
                }
            }
            *to = entry as u32;
            if EDGES {
                edges[walker] = (entry >> 32) as u32;
            }
        }
    }

    /// Writes `count` moves, the first of which was the move `t`, and begins anew.
    fn write(&mut self, plan: &Plan<'_>, t: usize, count: usize) {
        let (size, is_fixed) = (self.size(), plan.fixed().is_some());
        let gap = if is_fixed { -1 } else { GAP };
        let mut at = 0;
        for walker in 0..size {
            let moves = plan.fixed().unwrap_or_else(|| self.part.moves[walker] as usize);
            let count = count.min(moves.saturating_sub(t));
            let nodes = &mut self.part.nodes[at + t.min(moves) + 1..][..count];
            for (out, column) in nodes.iter_mut().zip(1..) {
                let node = self.nodes[column * size + walker];
                *out = if node == NONE { O::NONE } else { O::of(node) };
            }
            if !self.edges.is_empty() {
                let edges_at = if is_fixed { walker * moves } else { at + 1 };
                let edges = &mut self.part.edges[edges_at + t.min(moves)..][..count];
                for (out, column) in edges.iter_mut().zip(0..) {
                    *out = match self.edges[column * size + walker] {
                        NO_EDGE => -1,
                        ENDED => gap,
                        edge => i64::from(edge),
                    };
                }
            }
            at += moves + 1;
        }
        self.nodes.copy_within(count * size..(count + 1) * size, 0);
    }

    /// Of walks of random lengths that ended early: how many moves they made.
    fn shorten(&mut self, graph: &Graph, plan: &Plan<'_>) {
        if plan.fixed().is_some() || plan.dangling != Dangling::Stop || !graph.has_dangling() {
            return;
        }
        let mut at = 0;
        for moves in &mut *self.part.moves {
            let walk = &self.part.nodes[at..=at + *moves as usize];
            at += walk.len();
            let made = walk.iter().take_while(|&&node| node != O::NONE).count();
            *moves = made as u64 - 1;
        }
    }

    /// Walks on from the move `t`, each on its own.
    fn go_on(&mut self, graph: &Graph, plan: &Plan<'_>, t: usize, run: Run<'_>) -> Result<()> {
        let mut rest = Vec::new();
        let count = (self.nodes[..self.size()].iter().enumerate())
            .filter(|&(walker, &node)| node != NONE && self.moves(walker) > t as u64)
            .count();
        sortes_core::memory::reserve(&mut rest, count, "walkers")?;
        let mut nodes_at = 0;
        for walker in 0..self.size() {
            let (node, moves) = (self.nodes[walker], self.part.moves[walker] as usize);
            if node != NONE && moves > t {
                rest.push((walker, Place { node, moves, nodes_at, edges_at: nodes_at + 1 }));
            } else if moves > t {
                // It has halted: the moves that are not written yet are none.
                let after = nodes_at + t + 1..=nodes_at + moves;
                if !self.part.edges.is_empty() {
                    self.part.edges[after.clone()].fill(GAP);
                }
                self.part.nodes[after].fill(O::NONE);
            }
            nodes_at += moves + 1;
        }
        self.shorten(graph, plan);
        lockstep::go_on(graph, plan, &Simple, self.part, &rest, t, run)
    }
}

#[cfg(test)]
mod tests {
    use sortes_core::cancel::Cancel;
    use sortes_core::par::Threads;
    use sortes_core::rng::Stream;
    use sortes_core::{Error, Run};

    use super::super::super::structure::{Arcs, Graph, Weights, build};
    use super::super::{Dangling, Law, Moves, Order, Plan, Starts, Termination, Transition};
    use super::super::{Walks, walks_in};

    /// A graph with loops, parallel arcs, and some nodes without arcs.
    fn graph(is_weighted: bool) -> Graph {
        let mut draws = Stream::new(1).draws(sortes_core::rng::Purpose::Uniform, 0);
        let nodes = 300;
        let (mut sources, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2000 {
            let source = draws.below(nodes);
            if source % 10 != 3 {
                sources.push(source as u32);
                targets.push(draws.below(nodes) as u32);
                weights.push(draws.uniform() + 0.1);
            }
        }
        let arcs = Arcs::Pairs { sources: &sources, targets: &targets };
        let weights = is_weighted.then_some(Weights { values: &weights, name: "weights" });
        build(nodes as usize, arcs, "arcs", None, weights, false, Run::alone()).unwrap()
    }

    fn plan(moves: Moves<'_>, dangling: Dangling, starts: usize) -> Plan<'_> {
        Plan {
            starts: Starts { count: starts, ..Starts::default() },
            num_walks: 4,
            moves,
            transition: Transition::Simple,
            repulsion: None,
            dangling,
            stream: Stream::new(9),
        }
    }

    #[test]
    fn the_order_of_the_work_changes_nothing() {
        let law = Law::Geometric(0.08);
        let same = |one: &Walks<i64>, other: &Walks<i64>| {
            (&one.nodes, &one.edges, &one.offsets) == (&other.nodes, &other.edges, &other.offsets)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(7).build().unwrap();
        let cancel = Cancel::default();
        for graph in [graph(false), graph(true)] {
            for dangling in [Dangling::Stop, Dangling::Stay, Dangling::Restart] {
                for moves in [
                    Moves::Fixed(0),
                    Moves::Fixed(21),
                    Moves::Random(&law, Termination::Iid, None),
                    Moves::Random(&law, Termination::Antithetic, Some(30)),
                ] {
                    for edges in [false, true] {
                        let plan = plan(moves, dangling, 300);
                        let walk =
                            |order, run| walks_in::<i64>(order, &graph, &plan, edges, run).unwrap();
                        let expected = walk(Order::Lockstep, Run::alone());
                        for threads in [1, 2, 7] {
                            let run = Run::new(Threads::new(&pool, threads), &cancel);
                            for order in [Order::Partitioned, Order::Faster] {
                                let found = walk(order, run);
                                assert!(same(&expected, &found), "{dangling:?} {moves:?} {edges}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn it_can_be_stopped() {
        let cancel = Cancel::default();
        cancel.cancel();
        let run = Run::new(Threads::SERIAL, &cancel);
        let (graph, plan) = (graph(false), plan(Moves::Fixed(4), Dangling::Stay, 300));
        let stopped = walks_in::<i32>(Order::Partitioned, &graph, &plan, false, run);
        assert_eq!(stopped.map(|_| ()), Err(Error::Cancelled));
    }
}
