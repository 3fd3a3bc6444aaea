//! Walkers that repel each other: those of an ensemble that meet at a node share its arcs (Reid, Berger,
//! Choromanski and Weller, "Repelling random walks", ICLR 2024, arXiv:2310.04854). Each walker alone still
//! makes a simple random walk.
//!
//! Ensembles that belong to different starts are walked side by side, as many as make a block, for the
//! sake of the memory that they wait for.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::order;
use sortes_core::rng::{Purpose, bulk};
use sortes_core::{Result, Run};

use super::super::structure::{Graph, Row};
use super::deal::Hand;
use super::rules::aim;
use super::{Dangling, Id, Part, Place, Plan, Repulsion, Scheme, dead_end};

/// Walkers of a block, at least: whole ensembles.
const LANES: usize = 64;

/// A walker of a block.
struct Lane {
    place: Place,
    entity: u64,
    node: u32,
    /// Which lanes it can meet: those of its ensemble, or with which it has been together until now.
    group: u32,
    words: [u64; 2],
}

/// Walks all ensembles of a part.
pub(super) fn walk<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    repulsion: Repulsion,
    sums: Option<&[f64]>,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    let ensemble = plan.ensemble().max(1);
    let count = LANES.div_ceil(ensemble).saturating_mul(ensemble);
    let mut first = 0;
    while first < part.walkers {
        let end = first.saturating_add(count).min(part.walkers);
        let mut lanes = with_capacity(end - first, "walkers")?;
        for walker in first..end {
            let place = part.begin(plan, walker);
            let group = if repulsion.all { 0 } else { ((walker - first) / ensemble) as u32 };
            let entity = part.first + walker as u64;
            lanes.push(Lane { place, entity, node: place.node, group, words: [0; 2] });
        }
        let block = Block { graph, plan, repulsion, sums, first };
        block.walk(&mut lanes, part, run)?;
        first = end;
    }
    Ok(())
}

/// What a block of ensembles is walked with.
struct Block<'a> {
    graph: &'a Graph,
    plan: &'a Plan<'a>,
    repulsion: Repulsion,
    sums: Option<&'a [f64]>,
    /// The first walker of the part that belongs to the block.
    first: usize,
}

impl Block<'_> {
    fn walk<O: Id>(&self, lanes: &mut [Lane], part: &mut Part<'_, O>, run: Run<'_>) -> Result<()> {
        let rounds = self.plan.stream.rounds();
        let (mut alive, mut met) = (Vec::new(), Vec::new());
        let (mut ids, mut blocks, mut words) = (Vec::new(), Vec::new(), Vec::new());
        reserve(&mut alive, lanes.len(), "walkers")?;
        reserve(&mut met, lanes.len(), "walkers")?;
        reserve(&mut ids, lanes.len(), "walkers")?;
        reserve(&mut blocks, lanes.len(), "words of walkers")?;
        reserve(&mut words, lanes.len(), "words of walkers")?;
        alive.extend(0..lanes.len() as u32);
        let mut hand = Hand::default();
        for t in 0.. {
            alive.retain(|&lane| lanes[lane as usize].place.moves > t);
            if alive.is_empty() {
                break;
            }
            run.check()?;
            // 1. A word for each walker: those of two steps make one block.
            if t % 2 == 0 {
                ids.clear();
                ids.extend(alive.iter().map(|&lane| lanes[lane as usize].entity));
                blocks.clear();
                blocks.resize(ids.len(), [0; 2]);
                let of = bulk::Ids::Listed(self.plan.stream, &ids);
                bulk::words_at(Purpose::Repel, of, (t / 2) as u32, &mut blocks);
                for (&lane, &words) in alive.iter().zip(&blocks) {
                    lanes[lane as usize].words = words;
                }
            }

            // 2. Who meets whom: by group and node, in the order of walkers.
            met.clear();
            met.extend(alive.iter().map(|&lane| {
                let Lane { group, node, .. } = lanes[lane as usize];
                (u64::from(group) << 32 | u64::from(node), lane)
            }));
            order::sort(&mut met, Ord::cmp, run.serial())?;

            // 3. Every group shares the arcs of its node.
            let mut begin = 0;
            let mut groups = 0;
            while begin < met.len() {
                let key = met[begin].0;
                let end = begin + met[begin..].iter().take_while(|other| other.0 == key).count();
                let group = &met[begin..end];
                begin = end;
                let row = self.graph.row(key as u32);
                if row.degree == 0 {
                    for &(_, lane) in group {
                        self.at_dead_end(&mut lanes[lane as usize], lane, t, part)?;
                    }
                } else {
                    words.clear();
                    words.extend(group.iter().map(|x| lanes[x.1 as usize].words[t % 2]));
                    if let [word] = words[..] {
                        hand.arcs.clear();
                        reserve(&mut hand.arcs, 1, "arcs")?;
                        hand.arcs.push(self.alone(row, word));
                    } else {
                        let entity = lanes[group[0].1 as usize].entity;
                        let mut draws = rounds.draws(Purpose::Group, entity, t as u32);
                        match (self.repulsion.scheme, self.sums) {
                            (Scheme::Rotation, _) => {
                                hand.rotating(row.degree, words.len(), &mut draws)?;
                            }
                            (_, None) => hand.evenly(row.degree, &words, &mut draws)?,
                            (_, Some(sums)) => {
                                hand.pivotally(&sums[row.range()], &words, &mut draws)?;
                            }
                        }
                    }
                    for (&(_, lane), &arc) in group.iter().zip(&hand.arcs) {
                        let lane = &mut lanes[lane as usize];
                        let arc = row.start + arc;
                        lane.node = self.graph.neighbours()[arc as usize];
                        self.graph.prefetch_row(lane.node);
                        part.nodes[lane.place.nodes_at + t + 1] = O::of(lane.node);
                        if !part.edges.is_empty() {
                            let id = self.graph.edge_id(arc);
                            part.edges[lane.place.edges_at + t] = i64::from(id);
                        }
                    }
                }
                if self.repulsion.transient {
                    for &(_, lane) in group {
                        lanes[lane as usize].group = groups;
                    }
                }
                groups += 1;
            }
        }
        Ok(())
    }

    /// The arc of a walker that is alone at its node, counted from the first of the row.
    fn alone(&self, row: Row, word: u64) -> u32 {
        let aim = aim(0, row.degree, word);
        match self.graph.slots() {
            None => aim.arc,
            Some(slots) => {
                let slot = slots[row.range()][aim.arc as usize];
                if aim.fraction < slot.threshold { aim.arc } else { slot.alias }
            }
        }
    }

    fn at_dead_end<O: Id>(
        &self,
        lane: &mut Lane,
        number: u32,
        t: usize,
        part: &mut Part<'_, O>,
    ) -> Result<()> {
        match self.plan.dangling {
            Dangling::Error => return Err(dead_end(lane.entity, lane.node)),
            Dangling::Stop => {
                part.end(self.first + number as usize, lane.place, t);
                lane.place.moves = t;
                return Ok(());
            }
            Dangling::Stay => {}
            Dangling::Restart => lane.node = lane.place.node,
        }
        part.nodes[lane.place.nodes_at + t + 1] = O::of(lane.node);
        if !part.edges.is_empty() {
            part.edges[lane.place.edges_at + t] = -1;
        }
        Ok(())
    }
}
