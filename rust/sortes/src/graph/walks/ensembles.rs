//! Walkers that repel each other in ensembles of a few: the kernel of [`repelling`](super::repelling)
//! where those who can meet fit into a block.
//!
//! Each walker first takes an arc as if nobody else were there, a whole block side by side. Only then those
//! are found who stand at one node; and of few walkers at many arcs without weights, what they took is
//! what they are dealt, unless two of them took the same arc. The walks are those of the other kernel.

use sortes_core::rng::{Purpose, bulk};
use sortes_core::{Result, Run};

use super::super::structure::{Graph, Row, prefetch};
use super::deal::Hand;
use super::repelling::Kernel;
use super::rules::aim;
use super::{Dangling, Id, LANES, Part, Place, Scheme, dead_end};

/// The most walkers of an ensemble.
pub(super) const MOST: usize = LANES;
/// The most walkers of a block: whole ensembles.
const ROOM: usize = 2 * LANES;
/// Bits of a number that finds the place of a node in the table.
const TABLE_BITS: u32 = 13;
/// Each walker by its number, and what is no number of one.
const EVERYBODY: [u8; ROOM] = {
    let mut all = [0; ROOM];
    let mut lane = 0;
    while lane < ROOM {
        all[lane] = lane as u8;
        lane += 1;
    }
    all
};
const NOBODY: u8 = u8::MAX;
/// Moves of a block between two looks at the stop request.
const POLL: usize = 1 << 10;

/// The walkers of a block that still walk: those of an ensemble side by side, in order.
struct Lanes {
    active: usize,
    node: [u32; ROOM],
    /// A number for each ensemble.
    salt: [u32; ROOM],
    /// How many walkers each ensemble has.
    sizes: [usize; ROOM],
    /// Walkers of an ensemble at the beginning.
    size: usize,
    arc: [u32; ROOM],
    fraction: [u32; ROOM],
    entity: [u64; ROOM],
    words: [[u64; 2]; ROOM],
    /// Where the next node of each walk goes, less the number of moves made.
    next_at: [usize; ROOM],
    /// Which walker of the block.
    walker: [u8; ROOM],
    moves: [usize; ROOM],
    /// Where the edges of each walk go, by the walker of the block.
    edges_at: [usize; ROOM],
    /// The first number of moves that a walker who still walks does not exceed.
    next_end: usize,
}

impl Lanes {
    fn empty() -> Self {
        Self {
            active: 0,
            node: [0; ROOM],
            salt: [0; ROOM],
            sizes: [0; ROOM],
            size: 1,
            arc: [0; ROOM],
            fraction: [0; ROOM],
            entity: [0; ROOM],
            words: [[0; 2]; ROOM],
            next_at: [0; ROOM],
            walker: EVERYBODY,
            moves: [0; ROOM],
            edges_at: [0; ROOM],
            next_end: 0,
        }
    }

    /// So many walkers, in ensembles of so many.
    fn of(count: usize, ensemble: usize) -> Self {
        let mut lanes = Self { active: count, size: ensemble, ..Self::empty() };
        for walker in 0..count {
            lanes.sizes[walker / ensemble] += 1;
        }
        lanes.part();
        lanes
    }

    fn begin<O: Id>(
        kernel: &Kernel<'_>,
        part: &mut Part<'_, O>,
        count: usize,
        ensemble: usize,
    ) -> Self {
        let mut lanes = Self {
            entity: std::array::from_fn(|lane| part.first + (kernel.first + lane) as u64),
            ..Self::of(count, ensemble)
        };
        for lane in 0..count {
            let place = part.begin(kernel.plan, kernel.first + lane);
            lanes.node[lane] = place.node;
            lanes.next_at[lane] = place.nodes_at + 1;
            lanes.moves[lane] = place.moves;
            lanes.edges_at[lane] = place.edges_at;
        }
        lanes
    }

    /// Takes out the walkers who make no more than `t` moves; the others keep their order.
    fn retire(&mut self, t: usize) {
        if self.next_end > t {
            return;
        }
        // The words of an even move are not made yet.
        let has_words = t % 2 == 1;
        let mut kept = 0;
        for lane in 0..self.active {
            let moves = self.moves[lane];
            if moves > t {
                self.node[kept] = self.node[lane];
                self.entity[kept] = self.entity[lane];
                if has_words {
                    self.words[kept] = self.words[lane];
                }
                self.next_at[kept] = self.next_at[lane];
                self.walker[kept] = self.walker[lane];
                self.moves[kept] = moves;
                kept += 1;
            } else {
                self.sizes[usize::from(self.walker[lane]) / self.size] -= 1;
            }
        }
        self.active = kept;
        self.next_end = self.moves[..kept].iter().copied().min().unwrap_or(usize::MAX);
        self.part();
    }

    /// Tells ensembles apart.
    fn part(&mut self) {
        let mut end = 0;
        for (ensemble, &size) in (0u32..).zip(&self.sizes) {
            self.salt[end..end + size].fill(ensemble.wrapping_mul(0x85eb_ca6b));
            end += size;
        }
    }

    fn place(&self, lane: usize) -> Place {
        Place {
            node: self.node[lane],
            moves: self.moves[lane],
            nodes_at: self.next_at[lane] - 1,
            edges_at: self.edges_at[usize::from(self.walker[lane])],
        }
    }
}

/// The place of a node in the table, for an ensemble.
#[inline(always)]
fn place_of(node: u32, salt: u32) -> usize {
    ((node ^ salt).wrapping_mul(0x9e37_79b1) >> (u32::BITS - TABLE_BITS)) as usize
}

/// Puts those of each ensemble who meet into groups.
///
/// Each walker writes itself down at the place of its node in a table, and reads who stands there. Places
/// are not emptied: whoever reads one has written to it. Those who find somebody of another node or
/// ensemble there are compared with all before them.
fn meet(lanes: &Lanes, table: &mut [u8; 1 << TABLE_BITS], groups: &mut Groups) {
    let active = lanes.active.min(ROOM);
    let (node, salt) = (&lanes.node[..active], &lanes.salt[..active]);
    // From the last to the first, which stays.
    for lane in (0..active).rev() {
        table[place_of(node[lane], salt[lane])] = lane as u8;
    }
    let (mut later, mut count) = ([0; ROOM], 0);
    for lane in 0..active {
        later[count % ROOM] = lane as u8;
        count += usize::from(table[place_of(node[lane], salt[lane])] != lane as u8);
    }
    for &lane in &later[..count.min(ROOM)] {
        let at = usize::from(lane) % ROOM;
        let (mine, ours) = (lanes.node[at], lanes.salt[at]);
        let is_with = |&other: &usize| lanes.node[other] == mine && lanes.salt[other] == ours;
        let mut first = usize::from(table[place_of(mine, ours)]) % ROOM;
        if !is_with(&first) {
            match (0..at).find(is_with) {
                Some(other) => first = other,
                None => continue,
            }
        }
        groups.join(first, lane);
    }
}

/// Walks ensembles of the part from the kernel's first walker on, as many walkers as `count`.
pub(super) fn walk<O: Id>(
    kernel: &Kernel<'_>,
    part: &mut Part<'_, O>,
    (count, ensemble): (usize, usize),
    hand: &mut Hand,
    run: Run<'_>,
) -> Result<()> {
    let mut lanes = Lanes::begin(kernel, part, count, ensemble);
    let graph = kernel.graph;
    let walk = match (graph.slots().is_some(), !part.edges.is_empty(), graph.has_dangling()) {
        (false, false, false) => steps::<O, false, false, false>,
        (false, false, true) => steps::<O, false, false, true>,
        (false, true, _) => steps::<O, false, true, true>,
        (true, false, _) => steps::<O, true, false, true>,
        (true, true, _) => steps::<O, true, true, true>,
    };
    walk(graph, kernel, part, &mut lanes, hand, run)
}

fn steps<O: Id, const WEIGHTED: bool, const EDGES: bool, const ENDS: bool>(
    graph: &Graph,
    kernel: &Kernel<'_>,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
    hand: &mut Hand,
    run: Run<'_>,
) -> Result<()> {
    let (neighbours, slots) = (graph.neighbours(), graph.slots().unwrap_or(&[]));
    let (mut table, mut groups) = ([0; 1 << TABLE_BITS], Groups::none());
    for t in 0.. {
        lanes.retire(t);
        let active = lanes.active.min(ROOM);
        if active == 0 {
            break;
        }
        if t % POLL == POLL - 1 {
            run.check()?;
        }
        // The words of two steps make one block.
        let half = t % 2;
        if half == 0 {
            let ids = bulk::Ids::Listed(kernel.plan.stream, &lanes.entity[..active]);
            bulk::words_at(Purpose::Repel, ids, (t / 2) as u32, &mut lanes.words[..active]);
        }

        // Aim, as if alone: the word of the node is there, the arc is asked for.
        for lane in 0..active {
            let row = graph.row(lanes.node[lane]);
            let aim = aim(row.start, row.degree, lanes.words[lane][half]);
            lanes.arc[lane] = aim.arc;
            if WEIGHTED {
                lanes.fraction[lane] = aim.fraction;
                prefetch(slots, aim.arc as usize);
            } else {
                prefetch(neighbours, aim.arc as usize);
            }
        }

        // Those who meet share the arcs.
        meet(lanes, &mut table, &mut groups);
        groups.share::<WEIGHTED>(kernel, lanes, t, hand)?;

        // Go: the arc is there, the word of the next node is asked for.
        for lane in 0..active {
            if ENDS && graph.row(lanes.node[lane]).degree == 0 {
                at_dead_end::<O, EDGES>(kernel, part, lanes, lane, t)?;
                continue;
            }
            let mut arc = lanes.arc[lane];
            let next = if WEIGHTED && groups.dealt >> lane & 1 == 0 {
                let slot = slots[arc as usize];
                let is_own = lanes.fraction[lane] < slot.threshold;
                if EDGES && !is_own {
                    arc = graph.row(lanes.node[lane]).start + slot.alias;
                }
                if is_own { slot.neighbour } else { slot.alias_neighbour }
            } else {
                neighbours[arc as usize]
            };
            graph.prefetch_row(next);
            lanes.node[lane] = next;
            part.nodes[lanes.next_at[lane] + t] = O::of(next);
            if EDGES {
                part.edges[lanes.edges_at[usize::from(lanes.walker[lane])] + t] =
                    i64::from(graph.edge_id(arc));
            }
        }
    }
    Ok(())
}

/// Those who meet, as chains: each member of a group names the next one.
struct Groups {
    /// The last of the group of whom it is the first; between moves, each walker is the last of its own.
    last: [u8; ROOM],
    /// Who comes next; between moves, nobody does.
    next: [u8; ROOM],
    /// The first of each group of several, and how many groups there are.
    first: [u8; ROOM],
    count: usize,
    /// Who has been dealt an arc, where arcs have weights: a bit for each.
    dealt: u128,
}

impl Groups {
    fn none() -> Self {
        Self { last: EVERYBODY, next: [NOBODY; ROOM], first: [0; ROOM], count: 0, dealt: 0 }
    }

    /// Puts a walker behind those before it in the group of `first`.
    #[inline(always)]
    fn join(&mut self, first: usize, lane: u8) {
        let last = usize::from(self.last[first]);
        // Written in any case: whether it is the second of its group nobody can guess.
        self.first[self.count % ROOM] = first as u8;
        self.count += usize::from(last == first);
        self.next[last % ROOM] = lane;
        self.last[first] = lane;
    }

    /// The next group, taken out: its members, in order.
    #[inline(always)]
    fn pop<'a>(&mut self, members: &'a mut [u8; MOST]) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        let first = self.first[self.count % ROOM];
        self.last[usize::from(first) % ROOM] = first;
        let (mut count, mut member) = (0, first);
        while member != NOBODY {
            members[count % MOST] = member;
            count += 1;
            member = std::mem::replace(&mut self.next[usize::from(member) % ROOM], NOBODY);
        }
        Some(&members[..count.min(MOST)])
    }

    /// Deals arcs to those who are not alone.
    fn share<const WEIGHTED: bool>(
        &mut self,
        kernel: &Kernel<'_>,
        lanes: &mut Lanes,
        t: usize,
        hand: &mut Hand,
    ) -> Result<()> {
        let (mut room, mut words) = ([0; MOST], [0; MOST]);
        self.dealt = 0;
        while let Some(members) = self.pop(&mut room) {
            let first = usize::from(members[0]) % ROOM;
            let row = kernel.graph.row(lanes.node[first]);
            if row.degree == 0 || (!WEIGHTED && is_dealt(kernel, lanes, row, members)) {
                continue;
            }
            for (word, &lane) in words.iter_mut().zip(members) {
                *word = lanes.words[usize::from(lane) % ROOM][t % 2];
            }
            kernel.share(row, lanes.entity[first], t, &words[..members.len()], hand)?;
            for (&lane, &arc) in members.iter().zip(&hand.arcs) {
                lanes.arc[usize::from(lane) % ROOM] = row.start + arc;
                if WEIGHTED {
                    self.dealt |= 1 << lane;
                }
            }
        }
        Ok(())
    }
}

/// Whether what the members of a group took alone, at a node whose arcs have no weights, is what they would
/// be dealt.
#[inline(always)]
fn is_dealt(kernel: &Kernel<'_>, lanes: &Lanes, row: Row, members: &[u8]) -> bool {
    if kernel.repulsion.scheme != Scheme::Auto {
        return false;
    }
    if row.degree == 1 {
        return true;
    }
    // Fewer than half of the arcs are drawn one by one, and again only where one is taken already.
    let arc = |lane: u8| lanes.arc[usize::from(lane) % ROOM];
    2 * members.len() <= row.degree as usize
        && members
            .iter()
            .enumerate()
            .all(|(i, &lane)| !members[..i].iter().any(|&other| arc(other) == arc(lane)))
}

/// What a walker does at a node without arcs.
#[cold]
fn at_dead_end<O: Id, const EDGES: bool>(
    kernel: &Kernel<'_>,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
    lane: usize,
    t: usize,
) -> Result<()> {
    match kernel.plan.dangling {
        Dangling::Error => return Err(dead_end(lanes.entity[lane], lanes.node[lane])),
        Dangling::Stop => {
            part.end(kernel.first + usize::from(lanes.walker[lane]), lanes.place(lane), t);
            lanes.moves[lane] = t;
            lanes.next_end = 0;
            return Ok(());
        }
        Dangling::Stay => {}
        Dangling::Restart => lanes.node[lane] = kernel.plan.home_of(lanes.entity[lane], t),
    }
    part.nodes[lanes.next_at[lane] + t] = O::of(lanes.node[lane]);
    if EDGES {
        part.edges[lanes.edges_at[usize::from(lanes.walker[lane])] + t] = -1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::structure::{Arcs, Graph, Weights, build};
    use super::super::{Law, Moves, Order, Plan, Repulsion, Starts, Termination, Transition};
    use super::super::{Walks, walks_in};
    use super::*;
    use sortes_core::rng::Stream;

    /// A graph with loops, parallel arcs and nodes without arcs.
    fn graph(is_weighted: bool) -> Graph {
        let mut draws = Stream::new(1).draws(Purpose::Uniform, 0);
        let mut ids = |count: usize| -> Vec<i64> {
            (0..count).map(|_| (draws.u64() % 23 * (draws.u64() % 3) % 23) as i64).collect()
        };
        let (sources, targets) = (ids(90), ids(90));
        let values: Vec<f64> = (0..sources.len()).map(|i| 1.0 + (i * i % 7) as f64).collect();
        let weights = is_weighted.then_some(Weights { values: &values, name: "weights" });
        let arcs = Arcs::Pairs { sources: &sources, targets: &targets };
        build(23, arcs, "edge_index", None, weights, false, Run::alone()).unwrap()
    }

    #[test]
    fn the_walks_are_those_of_the_kernel_that_sorts() {
        let law = Law::Geometric(0.1);
        let endings = [Dangling::Stop, Dangling::Stay, Dangling::Restart];
        for (is_weighted, dangling) in
            [false, true].into_iter().flat_map(|w| endings.map(|e| (w, e)))
        {
            let graph = graph(is_weighted);
            for (num_walks, scheme) in [1, 2, 3, 8, 9, 33, 64]
                .into_iter()
                .flat_map(|m| [(m, Scheme::Auto), (m, Scheme::Rotation)])
            {
                for moves in [Moves::Fixed(9), Moves::Random(&law, Termination::Iid, None)] {
                    let plan = Plan {
                        starts: Starts { count: 23, ..Starts::default() },
                        num_walks,
                        moves,
                        transition: Transition::Simple,
                        repulsion: Some(Repulsion { scheme, all: false, transient: false }),
                        dangling,
                        stream: Stream::new(num_walks as u64),
                    };
                    let of = |order, edges| -> Walks<i64> {
                        walks_in(order, &graph, &plan, edges, Run::alone()).unwrap()
                    };
                    for edges in [false, true] {
                        let (new, sorted) = (of(Order::Auto, edges), of(Order::Partitioned, edges));
                        assert_eq!(new.nodes, sorted.nodes, "{plan:?}");
                        assert_eq!(new.edges, sorted.edges, "{plan:?}");
                        assert_eq!(new.offsets, sorted.offsets, "{plan:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn those_at_one_node_make_a_group() {
        // Nodes of which many share a place of the table, and some are the same.
        let mut alike: Vec<u32> = (0..400_000).filter(|&node| place_of(node, 0) < 3).collect();
        let mut draws = Stream::new(2).draws(Purpose::Uniform, 0);
        let (mut groups, mut conflicts) = (Groups::none(), 0);
        for size in [1, 2, 5, 16, 40, 64] {
            for known in [1, 5, 40, alike.len()] {
                let mut lanes = Lanes::of(ROOM / size * size, size);
                for lane in 0..lanes.active {
                    lanes.node[lane] = alike[draws.u64() as usize % known];
                }
                meet(&lanes, &mut [7; 1 << TABLE_BITS], &mut groups);
                let (mut found, mut room) = (Vec::new(), [0; MOST]);
                while let Some(members) = groups.pop(&mut room) {
                    found.push(members.to_vec());
                }
                found.sort();
                let mut wanted: Vec<Vec<u8>> = Vec::new();
                for begin in (0..lanes.active).step_by(size) {
                    let mut rest: Vec<usize> = (begin..begin + size).collect();
                    while let Some(&first) = rest.first() {
                        let is_here = |&lane: &usize| lanes.node[lane] == lanes.node[first];
                        let (here, others): (Vec<_>, Vec<_>) =
                            rest.iter().copied().partition(is_here);
                        if here.len() > 1 {
                            wanted.push(here.iter().map(|&lane| lane as u8).collect());
                        }
                        conflicts += usize::from(!others.is_empty());
                        rest = others;
                    }
                }
                assert_eq!(found, wanted);
                alike.rotate_left(known);
            }
        }
        assert!(conflicts > 100, "{conflicts}");
    }

    #[test]
    fn a_dead_end_is_an_error_of_either_kernel() {
        let graph = graph(false);
        let plan = Plan {
            starts: Starts { count: 23, ..Starts::default() },
            num_walks: 4,
            moves: Moves::Fixed(50),
            transition: Transition::Simple,
            repulsion: Some(Repulsion { scheme: Scheme::Auto, all: false, transient: false }),
            dangling: Dangling::Error,
            stream: Stream::new(0),
        };
        assert!(graph.has_dangling());
        for order in [Order::Auto, Order::Partitioned] {
            let error = walks_in::<i64>(order, &graph, &plan, false, Run::alone()).unwrap_err();
            assert!(error.to_string().contains("which has no arcs"), "{error}");
        }
    }
}
