//! Walkers that repel each other: those of an ensemble that meet at a node share its arcs (Reid, Berger,
//! Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854). Each walker alone still
//! makes a simple random walk.
//!
//! Ensembles that belong to different starts are walked side by side, as many as make a block: then there
//! is always somebody to serve while others wait for memory. Those of a few walkers have a kernel of their
//! own, [`ensembles`]; the one here sorts walkers by their nodes, and is for large ensembles and for
//! walkers who part for ever.

use std::ops::Range;

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::order;
use sortes_core::rng::{Purpose, Rounds, bulk};
use sortes_core::{Result, Run, vectorised};

use super::super::structure::{Graph, Row};
use super::deal::Hand;
use super::rules::aim;
use super::{Dangling, Id, Order, Part, Place, Plan, Repulsion, Scheme, dead_end, ensembles};

/// Up to so many walkers are sorted by counting who comes before whom.
const FEW: usize = 64;
/// More walkers than this are sorted by what can be stopped.
const LONG: usize = 1 << 12;
/// Moves of a block between two looks at the stop request, at most.
const POLL: usize = 1 << 8;

/// Walks all ensembles of a part; the order does not matter for the walks.
pub(super) fn walk<O: Id>(
    order: Order,
    graph: &Graph,
    plan: &Plan<'_>,
    repulsion: Repulsion,
    sums: Option<&[f64]>,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    let (ensemble, count) = (plan.ensemble(), plan.block());
    let is_few = ensemble <= ensembles::MOST && !repulsion.transient && order != Order::Partitioned;
    let mut hand = Hand::default();
    let mut first = 0;
    while first < part.walkers {
        let end = first.saturating_add(count).min(part.walkers);
        let kernel = Kernel { graph, plan, repulsion, sums, rounds: plan.stream.rounds(), first };
        if is_few {
            ensembles::walk(&kernel, part, (end - first, ensemble), &mut hand, run)?;
        } else {
            let mut block = Block::new(plan, part, first..end, ensemble)?;
            kernel.walk(&mut block, &mut hand, part, run)?;
        }
        first = end;
    }
    Ok(())
}

/// Ensembles that are walked side by side. A walker of a block is a lane.
struct Block {
    places: Vec<Place>,
    entities: Vec<u64>,
    nodes: Vec<u32>,
    words: Vec<[u64; 2]>,
    /// Lanes that still walk, those that can meet side by side, each below its node: sorted, those that
    /// do meet are neighbours.
    keys: Vec<u64>,
    /// The stretches of lanes that can meet: of an ensemble, or of those that have never parted.
    circles: Vec<Range<usize>>,
    /// The first number of moves that a lane which still walks does not exceed.
    next_end: usize,
}

impl Block {
    /// The walkers of a part at their starts, which are written.
    fn new<O: Id>(
        plan: &Plan<'_>,
        part: &mut Part<'_, O>,
        walkers: Range<usize>,
        ensemble: usize,
    ) -> Result<Self> {
        let count = walkers.len();
        let mut block = Self {
            places: with_capacity(count, "walkers")?,
            entities: with_capacity(count, "walkers")?,
            nodes: with_capacity(count, "walkers")?,
            words: with_capacity(count, "words of walkers")?,
            keys: with_capacity(count, "walkers")?,
            circles: with_capacity(count.div_ceil(ensemble), "ensembles")?,
            next_end: 0,
        };
        block.entities.extend(walkers.clone().map(|walker| part.first + walker as u64));
        block.places.extend(walkers.map(|walker| part.begin(plan, walker)));
        block.nodes.extend(block.places.iter().map(|place| place.node));
        block.words.resize(count, [0; 2]);
        block.keys.extend(0..count as u64);
        let circles = (0..count).step_by(ensemble);
        block.circles.extend(circles.map(|begin| begin..count.min(begin + ensemble)));
        Ok(block)
    }

    /// Takes out the lanes that make no more than `t` moves.
    fn retire(&mut self, t: usize) {
        if self.next_end > t {
            return;
        }
        let (mut kept, mut next_end) = (0, usize::MAX);
        for circle in &mut self.circles {
            let begin = kept;
            for at in circle.clone() {
                let moves = self.places[self.keys[at] as u32 as usize].moves;
                if moves > t {
                    self.keys[kept] = self.keys[at];
                    next_end = next_end.min(moves);
                    kept += 1;
                }
            }
            *circle = begin..kept;
        }
        self.keys.truncate(kept);
        self.circles.retain(|circle| !circle.is_empty());
        self.next_end = next_end;
    }

    /// Finds who meets whom: sorts the lanes of a circle by their nodes, those at one node in order.
    fn meet(&mut self, circle: Range<usize>, run: Run<'_>) -> Result<()> {
        let keys = &mut self.keys[circle];
        for key in &mut *keys {
            let lane = *key as u32;
            *key = u64::from(self.nodes[lane as usize]) << 32 | u64::from(lane);
        }
        match keys.len() {
            0 | 1 => {}
            2 => {
                let (one, two) = (keys[0], keys[1]);
                (keys[0], keys[1]) = (one.min(two), one.max(two));
            }
            3..=FEW => {
                let (mut given, mut ranks) = ([0; FEW], [0; FEW]);
                given[..keys.len()].copy_from_slice(keys);
                let (given, ranks) = (&given[..keys.len()], &mut ranks[..keys.len()]);
                count_less(given, ranks);
                for (&key, &rank) in given.iter().zip(&*ranks) {
                    keys[rank as usize] = key;
                }
            }
            len if len > LONG => order::sort(keys, u64::cmp, run.serial())?,
            _ => keys.sort_unstable(),
        }
        Ok(())
    }

    /// Draws the words of the moves `t` and `t + 1`.
    fn draw(&mut self, plan: &Plan<'_>, t: usize, ids: &mut Vec<u64>, drawn: &mut Vec<[u64; 2]>) {
        ids.clear();
        ids.extend(self.keys.iter().map(|&key| self.entities[key as u32 as usize]));
        drawn.clear();
        drawn.resize(ids.len(), [0; 2]);
        let of = bulk::Ids::Listed(plan.stream, ids);
        bulk::words_at(Purpose::Repel, of, (t / 2) as u32, drawn);
        for (&key, &words) in self.keys.iter().zip(&*drawn) {
            self.words[key as u32 as usize] = words;
        }
    }
}

vectorised! {
    /// For each of some different keys, how many are less.
    fn count_less(keys: &[u64], out: &mut [u64]) {
        for &other in keys {
            for (out, &key) in out.iter_mut().zip(keys) {
                *out += u64::from(other < key);
            }
        }
    }
}

/// What blocks are walked with.
pub(super) struct Kernel<'a> {
    pub(super) graph: &'a Graph,
    pub(super) plan: &'a Plan<'a>,
    pub(super) repulsion: Repulsion,
    pub(super) sums: Option<&'a [f64]>,
    rounds: Rounds,
    /// The first walker of the part that belongs to the block.
    pub(super) first: usize,
}

impl Kernel<'_> {
    fn walk<O: Id>(
        &self,
        block: &mut Block,
        hand: &mut Hand,
        part: &mut Part<'_, O>,
        run: Run<'_>,
    ) -> Result<()> {
        let count = block.keys.len();
        let mut ids = with_capacity(count, "walkers")?;
        let mut drawn = with_capacity(count, "words of walkers")?;
        let mut words = with_capacity(count, "words of walkers")?;
        let mut circles = Vec::new();
        for t in 0.. {
            block.retire(t);
            if block.keys.is_empty() {
                break;
            }
            if t % POLL == 0 || count > LONG {
                run.check()?;
            }
            if t % 2 == 0 {
                block.draw(self.plan, t, &mut ids, &mut drawn);
            }
            circles.clear();
            for circle in 0..block.circles.len() {
                let circle = block.circles[circle].clone();
                block.meet(circle.clone(), run)?;
                // Every group shares the arcs of its node.
                let mut begin = circle.start;
                while begin < circle.end {
                    let node = (block.keys[begin] >> 32) as u32;
                    let mut end = begin + 1;
                    while end < circle.end && (block.keys[end] >> 32) as u32 == node {
                        end += 1;
                    }
                    let row = self.graph.row(node);
                    if row.degree == 0 {
                        for at in begin..end {
                            self.at_dead_end(block, block.keys[at] as u32 as usize, t, part)?;
                        }
                    } else if end - begin == 1 {
                        let lane = block.keys[begin] as u32 as usize;
                        let arc = self.alone(row, block.words[lane][t % 2]);
                        self.go(block, lane, arc, t, part);
                    } else {
                        words.clear();
                        let keys = &block.keys[begin..end];
                        words.extend(
                            keys.iter().map(|&key| block.words[key as u32 as usize][t % 2]),
                        );
                        let entity = block.entities[keys[0] as u32 as usize];
                        self.share(row, entity, t, &words, hand)?;
                        for (at, &arc) in (begin..end).zip(&hand.arcs) {
                            let lane = block.keys[at] as u32 as usize;
                            self.go(block, lane, row.start + arc, t, part);
                        }
                    }
                    if self.repulsion.transient {
                        reserve(&mut circles, 1, "groups of walkers")?;
                        circles.push(begin..end);
                    }
                    begin = end;
                }
            }
            if self.repulsion.transient {
                std::mem::swap(&mut block.circles, &mut circles);
            }
        }
        Ok(())
    }

    /// The arc of a walker that is alone at its node.
    #[inline]
    fn alone(&self, row: Row, word: u64) -> u32 {
        let aim = aim(row.start, row.degree, word);
        match self.graph.slots() {
            None => aim.arc,
            Some(slots) => {
                let slot = slots[aim.arc as usize];
                if aim.fraction < slot.threshold { aim.arc } else { row.start + slot.alias }
            }
        }
    }

    /// The arcs of walkers that meet, of whom `entity` is the first.
    pub(super) fn share(
        &self,
        row: Row,
        entity: u64,
        t: usize,
        words: &[u64],
        hand: &mut Hand,
    ) -> Result<()> {
        let mut draws = self.rounds.draws(Purpose::Group, entity, t as u32);
        match (self.repulsion.scheme, self.sums) {
            (Scheme::Rotation, _) => hand.rotating(row.degree, words.len(), &mut draws),
            (Scheme::Auto, None) => hand.evenly(row.degree, words, &mut draws),
            (Scheme::Auto, Some(sums)) => hand.pivotally(&sums[row.range()], words, &mut draws),
        }
    }

    /// Moves a walker along an arc.
    #[inline]
    fn go<O: Id>(
        &self,
        block: &mut Block,
        lane: usize,
        arc: u32,
        t: usize,
        part: &mut Part<'_, O>,
    ) {
        let node = self.graph.neighbours()[arc as usize];
        self.graph.prefetch_row(node);
        block.nodes[lane] = node;
        let place = block.places[lane];
        part.nodes[place.nodes_at + t + 1] = O::of(node);
        if !part.edges.is_empty() {
            part.edges[place.edges_at + t] = i64::from(self.graph.edge_id(arc));
        }
    }

    fn at_dead_end<O: Id>(
        &self,
        block: &mut Block,
        lane: usize,
        t: usize,
        part: &mut Part<'_, O>,
    ) -> Result<()> {
        let place = block.places[lane];
        match self.plan.dangling {
            Dangling::Error => return Err(dead_end(block.entities[lane], block.nodes[lane])),
            Dangling::Stop => {
                part.end(self.first + lane, place, t);
                block.places[lane].moves = t;
                block.next_end = 0;
                return Ok(());
            }
            Dangling::Stay => {}
            Dangling::Restart => block.nodes[lane] = self.plan.home_of(block.entities[lane], t),
        }
        part.nodes[place.nodes_at + t + 1] = O::of(block.nodes[lane]);
        if !part.edges.is_empty() {
            part.edges[place.edges_at + t] = -1;
        }
        Ok(())
    }
}
