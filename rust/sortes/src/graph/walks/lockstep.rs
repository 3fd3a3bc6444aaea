//! Walkers on their own: a block of them in lock step.
//!
//! A step needs the word of the walker's node, then the neighbour, each from anywhere in memory. So each
//! stage of a step is done for a whole block, and asks for what the next one reads: while one walker's
//! line of memory is under way, the others are served. (Sun et al., "`ThunderRW`: an in-memory graph
//! random walk engine", PVLDB 14, 2021, call this step interleaving.)

use sortes_core::rng::{Purpose, bulk};
use sortes_core::{Result, Run};

use super::super::structure::{Graph, prefetch};
use super::rules::{NOWHERE, Rule, Site, Turn};
use super::{Dangling, Id, LANES, Part, Place, Plan, dead_end, draw_moves};

/// Moves of a block between two looks at the stop request.
const POLL: usize = 1 << 10;

/// What stands in the place of an arc: the walker stays, goes home, or cannot move.
const STAY: u32 = u32::MAX;
const HOME: u32 = u32::MAX - 1;
const DEAD: u32 = u32::MAX - 2;

/// The walkers of a block that still walk: those with the longest walks first.
struct Lanes {
    active: usize,
    /// Which walker of the part, and of all.
    walker: [u32; LANES],
    entity: [u64; LANES],
    node: [u32; LANES],
    before: [u32; LANES],
    /// How many moves it makes, and where its node and its edge before the first go.
    moves: [usize; LANES],
    nodes_at: [usize; LANES],
    edges_at: [usize; LANES],
    words: [[u64; 2]; LANES],
    coins: [[u64; 2]; LANES],
    arc: [u32; LANES],
    fraction: [u32; LANES],
}

impl Lanes {
    /// Walkers of a part, the first of which is numbered `first`, at their places.
    fn new(first: u64, places: &mut [(usize, Place)]) -> Self {
        places.sort_by_key(|(_, place)| std::cmp::Reverse(place.moves));
        let of = |lane: usize| places.get(lane).copied().unwrap_or_default();
        Self {
            active: places.len(),
            walker: std::array::from_fn(|lane| of(lane).0 as u32),
            entity: std::array::from_fn(|lane| first + of(lane).0 as u64),
            node: std::array::from_fn(|lane| of(lane).1.node),
            before: [NOWHERE; LANES],
            moves: std::array::from_fn(|lane| of(lane).1.moves),
            nodes_at: std::array::from_fn(|lane| of(lane).1.nodes_at),
            edges_at: std::array::from_fn(|lane| of(lane).1.edges_at),
            words: [[0; 2]; LANES],
            coins: [[0; 2]; LANES],
            arc: [0; LANES],
            fraction: [0; LANES],
        }
    }

    fn place(&self, lane: usize) -> Place {
        let (nodes_at, edges_at) = (self.nodes_at[lane], self.edges_at[lane]);
        Place { node: self.node[lane], moves: self.moves[lane], nodes_at, edges_at }
    }

    /// Takes a walker out; the others keep their order.
    fn remove(&mut self, lane: usize) {
        let (from, to) = (lane + 1..self.active, lane);
        self.walker.copy_within(from.clone(), to);
        self.entity.copy_within(from.clone(), to);
        self.node.copy_within(from.clone(), to);
        self.before.copy_within(from.clone(), to);
        self.moves.copy_within(from.clone(), to);
        self.nodes_at.copy_within(from.clone(), to);
        self.edges_at.copy_within(from.clone(), to);
        self.words.copy_within(from.clone(), to);
        self.coins.copy_within(from, to);
        self.active -= 1;
    }
}

/// Walks all walkers of a part, which are on their own.
pub(super) fn walk<R: Rule, O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    rule: &R,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    let mut first = 0;
    while first < part.walkers {
        run.check()?;
        let count = LANES.min(part.walkers - first);
        let mut places = [(0, Place::default()); LANES];
        for (place, walker) in places.iter_mut().zip(first..).take(count) {
            *place = (walker, part.begin(plan, walker));
        }
        let mut lanes = Lanes::new(part.first, &mut places[..count]);
        any_block(graph, plan, rule, part, &mut lanes, 0, run)?;
        first += count;
    }
    Ok(())
}

/// Walks on with some walkers of a part, which have made `t` moves and are at the nodes of these places,
/// by a rule that does not ask where they were before.
pub(super) fn go_on<R: Rule, O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    rule: &R,
    part: &mut Part<'_, O>,
    walkers: &[(usize, Place)],
    t: usize,
    run: Run<'_>,
) -> Result<()> {
    for walkers in walkers.chunks(LANES) {
        let mut places = [(0, Place::default()); LANES];
        places[..walkers.len()].copy_from_slice(walkers);
        let mut lanes = Lanes::new(part.first, &mut places[..walkers.len()]);
        any_block(graph, plan, rule, part, &mut lanes, t, run)?;
    }
    Ok(())
}

fn any_block<R: Rule, O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    rule: &R,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
    from: usize,
    run: Run<'_>,
) -> Result<()> {
    match (part.edges.is_empty(), graph.slots().is_some() && R::WEIGHS) {
        (true, false) => block::<R, O, false, false>(graph, plan, rule, part, lanes, from, run),
        (true, true) => block::<R, O, false, true>(graph, plan, rule, part, lanes, from, run),
        (false, false) => block::<R, O, true, false>(graph, plan, rule, part, lanes, from, run),
        (false, true) => block::<R, O, true, true>(graph, plan, rule, part, lanes, from, run),
    }
}

/// Walks the walkers of a block to their ends.
fn block<R: Rule, O: Id, const EDGES: bool, const WEIGHTED: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    rule: &R,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
    from: usize,
    run: Run<'_>,
) -> Result<()> {
    let (neighbours, slots) = (graph.neighbours(), graph.slots().unwrap_or(&[]));
    let at_dead_end = match plan.dangling {
        _ if R::RESTS => STAY,
        Dangling::Stay => STAY,
        Dangling::Restart => HOME,
        Dangling::Stop | Dangling::Error => DEAD,
    };
    for t in from.. {
        while lanes.active > 0 && lanes.moves[lanes.active - 1] == t {
            lanes.active -= 1;
        }
        let active = lanes.active.min(LANES);
        if active == 0 {
            break;
        }
        if t % POLL == POLL - 1 {
            run.check()?;
        }
        // The words of two steps make one block.
        let half = t % 2;
        if half == 0 || t == from {
            let ids = bulk::Ids::Listed(plan.stream, &lanes.entity[..active]);
            draw_moves(ids, t, &mut lanes.words[..active]);
            if R::TOSSES {
                bulk::words_at(Purpose::Toss, ids, (t / 2) as u32, &mut lanes.coins[..active]);
            }
        }

        // Aim: the word of the node is there, the arc is asked for.
        for lane in 0..active {
            let node = lanes.node[lane];
            let row = graph.row(node);
            let turn = if R::TOSSES { rule.turn(lanes.coins[lane][half]) } else { Turn::Move };
            lanes.arc[lane] = match turn {
                Turn::Stay => STAY,
                Turn::GoHome => HOME,
                Turn::Move if row.degree == 0 => at_dead_end,
                Turn::Move => {
                    let site = Site { row, node, before: lanes.before[lane] };
                    let coin = if R::TOSSES { lanes.coins[lane][half] } else { 0 };
                    match rule.aim(graph, site, lanes.words[lane][half], coin) {
                        Some(aim) => {
                            lanes.fraction[lane] = aim.fraction;
                            if WEIGHTED {
                                prefetch(slots, aim.arc as usize);
                            } else {
                                prefetch(neighbours, aim.arc as usize);
                            }
                            aim.arc
                        }
                        None => STAY,
                    }
                }
            };
        }

        // Go: the arc is there, the word of the next node is asked for.
        let mut dead = 0u64;
        let (nodes, edges) = (&mut *part.nodes, &mut *part.edges);
        for lane in 0..active {
            let (node, mut arc) = (lanes.node[lane], lanes.arc[lane]);
            let mut next = if arc >= DEAD {
                match arc {
                    HOME => plan.home_of(lanes.entity[lane], t),
                    DEAD => {
                        dead |= 1 << lane;
                        continue;
                    }
                    _ => node,
                }
            } else if WEIGHTED {
                let slot = slots[arc as usize];
                if lanes.fraction[lane] < slot.threshold {
                    slot.neighbour
                } else {
                    if EDGES {
                        arc = graph.row(node).start + slot.alias;
                    }
                    slot.alias_neighbour
                }
            } else {
                neighbours[arc as usize]
            };
            if R::TOSSES && arc < DEAD && !rule.accepts(graph, node, next, lanes.coins[lane][half])
            {
                (next, arc) = (node, STAY);
            }
            graph.prefetch_row(next);
            lanes.before[lane] = if arc == HOME { NOWHERE } else { node };
            lanes.node[lane] = next;
            nodes[lanes.nodes_at[lane] + t + 1] = O::of(next);
            if EDGES {
                let id = if arc < DEAD { i64::from(graph.edge_id(arc)) } else { -1 };
                edges[lanes.edges_at[lane] + t] = id;
            }
        }
        while dead != 0 {
            let lane = 63 - dead.leading_zeros() as usize;
            dead &= !(1 << lane);
            if plan.dangling == Dangling::Error {
                return Err(dead_end(lanes.entity[lane], lanes.node[lane]));
            }
            part.end(lanes.walker[lane] as usize, lanes.place(lane), t);
            lanes.remove(lane);
        }
    }
    Ok(())
}
