//! Walkers on their own that make the simple step, if nobody asks for edges: the kernel of
//! [`lockstep`](super::lockstep) without all that such walks never need.

use sortes_core::rng::bulk;
use sortes_core::{Result, Run};

use super::super::structure::{Graph, prefetch};
use super::rules::aim;
use super::{Dangling, Id, LANES, Part, Place, Plan, dead_end, draw_moves};

/// Moves of a block between two looks at the stop request.
const POLL: usize = 1 << 10;
/// What stands in the place of an arc where a node has none.
const NONE: u32 = u32::MAX;

/// The walkers of a block that still walk: those with the longest walks first.
struct Lanes {
    active: usize,
    node: [u32; LANES],
    entity: [u64; LANES],
    /// Where the next node of each walk goes, less the number of moves made.
    next_at: [usize; LANES],
    words: [[u64; 2]; LANES],
    arc: [u32; LANES],
    fraction: [u32; LANES],
    /// Which walker of the part.
    walker: [u32; LANES],
    moves: [usize; LANES],
}

impl Lanes {
    /// Takes a walker out; the others keep their order.
    fn remove(&mut self, lane: usize) {
        let (from, to) = (lane + 1..self.active, lane);
        self.node.copy_within(from.clone(), to);
        self.entity.copy_within(from.clone(), to);
        self.next_at.copy_within(from.clone(), to);
        self.words.copy_within(from.clone(), to);
        self.walker.copy_within(from.clone(), to);
        self.moves.copy_within(from, to);
        self.active -= 1;
    }

    /// The walkers of a block at their starts, which are written.
    fn begin<O: Id>(plan: &Plan<'_>, part: &mut Part<'_, O>, first: usize, count: usize) -> Self {
        let mut places = [(0, Place::default()); LANES];
        for (lane, place) in places[..count].iter_mut().enumerate() {
            *place = (first + lane, part.begin(plan, first + lane));
        }
        if plan.fixed().is_none() {
            places[..count].sort_by_key(|(_, place)| std::cmp::Reverse(place.moves));
        }
        let place = |lane: usize| places[lane].1;
        Self {
            active: count,
            node: std::array::from_fn(|lane| place(lane).node),
            entity: std::array::from_fn(|lane| part.first + places[lane].0 as u64),
            next_at: std::array::from_fn(|lane| place(lane).nodes_at + 1),
            words: [[0; 2]; LANES],
            arc: [0; LANES],
            fraction: [0; LANES],
            walker: std::array::from_fn(|lane| places[lane].0 as u32),
            moves: std::array::from_fn(|lane| place(lane).moves),
        }
    }
}

/// Walks all walkers of a part.
pub(super) fn walk<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    let mut first = 0;
    while first < part.walkers {
        run.check()?;
        let count = LANES.min(part.walkers - first);
        let mut lanes = Lanes::begin(plan, part, first, count);
        match (graph.slots().is_some(), graph.has_dangling()) {
            (false, false) => block::<O, false, false>(graph, plan, part, &mut lanes, run),
            (false, true) => block::<O, false, true>(graph, plan, part, &mut lanes, run),
            (true, false) => block::<O, true, false>(graph, plan, part, &mut lanes, run),
            (true, true) => block::<O, true, true>(graph, plan, part, &mut lanes, run),
        }?;
        first += count;
    }
    Ok(())
}

/// Walks the walkers of a block to their ends.
fn block<O: Id, const WEIGHTED: bool, const ENDS: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
    run: Run<'_>,
) -> Result<()> {
    let (neighbours, slots) = (graph.neighbours(), graph.slots().unwrap_or(&[]));
    for t in 0.. {
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
        if half == 0 {
            let ids = bulk::Ids::Listed(plan.stream, &lanes.entity[..active]);
            draw_moves(ids, t, &mut lanes.words[..active]);
        }

        // Aim: the word of the node is there, the arc is asked for.
        for lane in 0..active {
            let row = graph.row(lanes.node[lane]);
            let aim = aim(row.start, row.degree, lanes.words[lane][half]);
            let arc = if ENDS && row.degree == 0 { NONE } else { aim.arc };
            lanes.arc[lane] = arc;
            if WEIGHTED {
                lanes.fraction[lane] = aim.fraction;
                prefetch(slots, arc as usize);
            } else {
                prefetch(neighbours, arc as usize);
            }
        }

        // Go: the arc is there, the word of the next node is asked for.
        let mut dead = 0u64;
        let nodes = &mut *part.nodes;
        for lane in 0..active {
            let arc = lanes.arc[lane];
            let next = if ENDS && arc == NONE {
                match plan.dangling {
                    Dangling::Stay => lanes.node[lane],
                    Dangling::Restart => plan.home_of(lanes.entity[lane], t),
                    Dangling::Stop | Dangling::Error => {
                        dead |= 1 << lane;
                        continue;
                    }
                }
            } else if WEIGHTED {
                let slot = slots[arc as usize];
                let is_own = lanes.fraction[lane] < slot.threshold;
                if is_own { slot.neighbour } else { slot.alias_neighbour }
            } else {
                neighbours[arc as usize]
            };
            graph.prefetch_row(next);
            lanes.node[lane] = next;
            nodes[lanes.next_at[lane] + t] = O::of(next);
        }
        while ENDS && dead != 0 {
            let lane = 63 - dead.leading_zeros() as usize;
            dead &= !(1 << lane);
            if plan.dangling == Dangling::Error {
                return Err(dead_end(lanes.entity[lane], lanes.node[lane]));
            }
            let (walker, moves) = (lanes.walker[lane] as usize, lanes.moves[lane]);
            let nodes_at = lanes.next_at[lane] - 1;
            let place = Place { node: lanes.node[lane], moves, nodes_at, edges_at: 0 };
            part.end(walker, place, t);
            lanes.remove(lane);
        }
    }
    Ok(())
}
