//! The step of node2vec: it depends on the node before (Grover and Leskovec, "node2vec: scalable feature
//! learning for networks", KDD 2016, arXiv:1607.00653).
//!
//! At `v` coming from `u`, an arc to `x` has its weight times `1 / p` if `x = u`, times 1 if there is an
//! arc from `u` to `x`, and times `1 / q` otherwise. No table is made, which takes memory for nothing but
//! the graph. One uniform is laid over three areas, as wide as their mass at most:
//!
//! | area | what is proposed | when it is taken |
//! |---|---|---|
//! | beyond | the way back, as far as its factor is above all others | always |
//! | base | an arc by its weight, by the smaller of the factors 1 and `1 / q` | always, but for a rare way back |
//! | rest | an arc, by the difference of these factors | if it has the larger one |
//!
//! So somebody looks for an arc in the last area alone (Yang et al., "`KnightKing`: a fast distributed
//! graph random walk engine", SOSP 2019, lay the way back beside the proposals too, and test all others).
//! If common neighbours have the larger factor and `u` has fewer arcs than `v`, the rest is proposed from
//! those of `u`, which makes the area as much smaller.
//!
//! Where every arc leads back, one bit for each says whether its ends are known to have no neighbour in
//! common. After such an arc all arcs but the way back have the factor `1 / q`: there is no rest, and no
//! trial is refused. And nobody has to look for a neighbour that such an arc proposes.
//!
//! A walker's trials are numbered through its walk, and trial `n` reads draw `n` of its sequence. So no
//! walker waits for another: in each round all make one trial, whatever step they are at.

#![allow(clippy::needless_bitwise_bool)] // the other operator is a branch

use sortes_core::rng::{Purpose, bulk, uniform_of};
use sortes_core::weights::first_beyond;
use sortes_core::{Result, Run, vectorised};

use super::super::structure::{Bits, Graph, Row, prefetch};
use super::rules::{NOWHERE, aim};
use super::{Dangling, Id, LANES, Part, Place, Plan, dead_end};

/// After so many refusals the law of the row is computed.
const TRIALS: u32 = 64;
/// Rounds between two looks at the stop request.
const POLL: usize = 1 << 10;

/// The factors of arcs, and what else their draws need.
pub(super) struct Node2vec<'a> {
    /// Back to the node before.
    pub(super) back: f64,
    /// To a node that is no neighbour of the one before.
    pub(super) out: f64,
    /// Running sums of the weights of each row, if arcs have weights.
    pub(super) sums: Option<&'a [f64]>,
    /// If arcs have no weights, and every arc leads back by exactly one: which of them join nodes without
    /// common neighbours, as far as that is known.
    pub(super) apart: Option<&'a Bits>,
}

/// The factors in units of the largest, so that no mass overflows.
struct Factors {
    back: f64,
    /// That of the nodes that are no neighbours of the one before; this and one in ascending order.
    out: f64,
    low: f64,
    high: f64,
    /// Whether the rest belongs to common neighbours.
    is_common: bool,
}

impl Factors {
    fn of(back: f64, out: f64) -> Self {
        let top = back.max(out).max(1.0);
        let (low, high) = (out.min(1.0) / top, out.max(1.0) / top);
        Self { back: back / top, out: out / top, low, high, is_common: out < 1.0 }
    }

    /// The mass of ways back beyond all others.
    fn beyond(&self) -> f64 {
        (self.back - self.high).max(0.0)
    }
}

/// The walkers that are under way.
struct Lanes {
    active: usize,
    node: [u32; LANES],
    before: [u32; LANES],
    /// The arcs of the node, and of the node before: where they start, and how many there are.
    start: [[u32; LANES]; 2],
    degree: [[u32; LANES]; 2],
    /// The mass of the ways back that lie beyond, if it has to be counted.
    beyond: [f64; LANES],
    /// Where the next node and the next edge go, and the end of the nodes.
    at: [usize; LANES],
    edge_at: [usize; LANES],
    end: [usize; LANES],
    /// Whether the node and the one before are known to have no common neighbour: one or zero.
    apart: [u32; LANES],
    /// Trials of the step.
    tries: [u32; LANES],
    entity: [u64; LANES],
    /// The block of the sequence that comes next, and the last that was drawn.
    block: [u32; LANES],
    words: [[u64; 2]; LANES],
    uniform: [f64; LANES],
    place: [(u32, Place); LANES],
    /// Of the trial: the arc, where in its share the draw came down, and what follows, by the bits below.
    arc: [u32; LANES],
    share: [f64; LANES],
    follows: [u32; LANES],
    /// Whether the ends of the arc are known to have no common neighbour: one or zero.
    is_apart: [u32; LANES],
    /// Where the arc goes; the node that is proposed, and whether it is taken: one or zero.
    to: [u32; LANES],
    next: [u32; LANES],
    taken: [u32; LANES],
}

/// An arc that is no way back is taken.
const OTHER: u32 = 1;
/// Of such an arc somebody has to look for a neighbour.
const LOOK: u32 = 2;
/// The arc is one of the node before.
const TURNED: u32 = 4;
/// The walker goes back, whatever the arc.
const BEYOND: u32 = 8;
/// A way back is taken.
const BACK: u32 = 16;
/// The degree of the node before where there is none: it is never the smaller one.
const NO_DEGREE: u32 = u32::MAX;

impl Lanes {
    fn new() -> Self {
        Self {
            active: 0,
            node: [0; LANES],
            before: [NOWHERE; LANES],
            start: [[0; LANES]; 2],
            degree: [[NO_DEGREE; LANES]; 2],
            beyond: [0.0; LANES],
            at: [0; LANES],
            edge_at: [0; LANES],
            end: [0; LANES],
            apart: [0; LANES],
            tries: [0; LANES],
            entity: [0; LANES],
            block: [0; LANES],
            words: [[0; 2]; LANES],
            uniform: [0.0; LANES],
            place: [(0, Place::default()); LANES],
            arc: [0; LANES],
            share: [0.0; LANES],
            follows: [0; LANES],
            is_apart: [0; LANES],
            to: [0; LANES],
            next: [0; LANES],
            taken: [0; LANES],
        }
    }

    /// A walker at its start, which has moves to make.
    fn push(&mut self, walker: usize, entity: u64, place: Place) {
        let lane = self.active;
        self.node[lane] = place.node;
        self.before[lane] = NOWHERE;
        self.degree[1][lane] = NO_DEGREE;
        self.at[lane] = place.nodes_at + 1;
        self.edge_at[lane] = place.edges_at;
        self.end[lane] = place.nodes_at + 1 + place.moves;
        self.tries[lane] = 0;
        self.entity[lane] = entity;
        self.block[lane] = 0;
        self.place[lane] = (walker as u32, place);
        self.active += 1;
    }

    /// Takes a walker out; the last one comes in its place.
    fn remove(&mut self, lane: usize) {
        let last = self.active - 1;
        self.node[lane] = self.node[last];
        self.before[lane] = self.before[last];
        self.start[1][lane] = self.start[1][last];
        self.degree[1][lane] = self.degree[1][last];
        self.beyond[lane] = self.beyond[last];
        self.at[lane] = self.at[last];
        self.edge_at[lane] = self.edge_at[last];
        self.end[lane] = self.end[last];
        self.apart[lane] = self.apart[last];
        self.tries[lane] = self.tries[last];
        self.entity[lane] = self.entity[last];
        self.block[lane] = self.block[last];
        self.words[lane] = self.words[last];
        self.place[lane] = self.place[last];
        self.active = last;
    }

    /// The arcs of the node of a walker.
    fn row(&self, lane: usize) -> Row {
        Row { start: self.start[0][lane], degree: self.degree[0][lane] }
    }

    /// How many moves a walker has made.
    fn made(&self, lane: usize) -> usize {
        self.at[lane] - self.place[lane].1.nodes_at - 1
    }
}

/// Walks all walkers of a part.
pub(super) fn walk<O: Id>(
    graph: &Graph,
    plan: &Plan<'_>,
    law: &Node2vec<'_>,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    match (graph.slots().is_some(), law.apart.is_some(), part.edges.is_empty()) {
        (false, false, false) => rounds::<O, false, false, true>(graph, plan, law, part, run),
        (false, false, true) => rounds::<O, false, false, false>(graph, plan, law, part, run),
        (false, true, false) => rounds::<O, false, true, true>(graph, plan, law, part, run),
        (false, true, true) => rounds::<O, false, true, false>(graph, plan, law, part, run),
        (true, _, false) => rounds::<O, true, false, true>(graph, plan, law, part, run),
        (true, _, true) => rounds::<O, true, false, false>(graph, plan, law, part, run),
    }
}

fn rounds<O: Id, const WEIGHTED: bool, const MIRRORED: bool, const EDGES: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    law: &Node2vec<'_>,
    part: &mut Part<'_, O>,
    run: Run<'_>,
) -> Result<()> {
    let factors = Factors::of(law.back, law.out);
    let above = factors.beyond();
    let form = Form { is_weighted: WEIGHTED, is_mirrored: MIRRORED };
    let mut lanes = Lanes::new();
    let mut few = [0; LANES];
    let (mut begun, mut is_stuck) = (0, false);
    for round in 0.. {
        if round % POLL == POLL - 1 {
            run.check()?;
        }
        // 1. Others come in the place of those that have arrived; words for two rounds, or for one.
        let half = if WEIGHTED { 0 } else { round % 2 };
        if half == 0 {
            while lanes.active < LANES && begun < part.walkers {
                let place = part.begin(plan, begun);
                if place.moves > 0 {
                    lanes.push(begun, part.first + begun as u64, place);
                    graph.prefetch_row(place.node);
                }
                begun += 1;
            }
            if lanes.active == 0 && begun == part.walkers {
                return Ok(());
            }
            let (active, stream) = (lanes.active, plan.stream);
            let ids = bulk::Ids::Listed(stream, &lanes.entity[..active]);
            let blocks = &mut lanes.block[..active];
            bulk::words_each(Purpose::Retry, ids, blocks, &mut lanes.words[..active]);
            for block in blocks {
                *block = block.wrapping_add(1);
            }
        }
        if graph.has_dangling() {
            leave_dead_ends::<O, EDGES>(graph, plan, part, &mut lanes)?;
        }
        let active = lanes.active.min(LANES);

        // 2. Propose: the word of the node is there, the arc is asked for.
        for lane in 0..active {
            let row = graph.row(lanes.node[lane]);
            (lanes.start[0][lane], lanes.degree[0][lane]) = (row.start, row.degree);
        }
        if !MIRRORED && above > 0.0 {
            for lane in 0..active {
                if lanes.tries[lane] == 0 {
                    let (row, before) = (lanes.row(lane), lanes.before[lane]);
                    let is_free = before == NOWHERE || row.degree == 1;
                    let share = if is_free { 0.0 } else { law.share(graph, row, before) };
                    lanes.beyond[lane] = above * share;
                }
            }
        }
        propose(&mut lanes, &factors, half, form);
        for lane in 0..active {
            if WEIGHTED {
                lanes.arc[lane] = weighed(graph, lanes.row(lane), lanes.words[lane][1]);
            }
            prefetch(graph.neighbours(), lanes.arc[lane] as usize);
            if let Some(apart) = law.apart {
                apart.prefetch(lanes.arc[lane]);
            }
        }

        // 3. Compare: the arc is there; in the rest somebody has to look for another.
        for lane in 0..active {
            lanes.to[lane] = graph.neighbours()[lanes.arc[lane] as usize];
            if let Some(apart) = law.apart {
                lanes.is_apart[lane] = apart.at(lanes.arc[lane]);
            }
        }
        compare(&mut lanes, factors.is_common);
        let asked = chosen(active, &mut few, |lane| lanes.taken[lane] > 1);
        look(graph, factors.is_common, &mut lanes, &few[..asked]);
        if std::mem::take(&mut is_stuck) {
            give_up(graph, law, &mut lanes, half);
        }
        for lane in 0..active {
            if EDGES && lanes.taken[lane] == 1 && lanes.follows[lane] & (BEYOND | TURNED) != 0 {
                let (row, to) = (lanes.row(lane), lanes.next[lane]);
                lanes.arc[lane] = if MIRRORED {
                    first_to(graph.neighbours(), row, to)
                } else {
                    let u = lanes.share[lane] / lanes.beyond[lane];
                    Node2vec::way_back(graph, row, to, u)
                };
            }
            if EDGES && lanes.taken[lane] == 1 {
                let at = lanes.edge_at[lane];
                part.edges[at] = i64::from(graph.edge_id(lanes.arc[lane]));
                lanes.edge_at[lane] = at + 1;
            }
        }

        // 4. Go: the word of the next node is asked for.
        is_stuck = go(&mut lanes);
        let nodes = &mut *part.nodes;
        for lane in 0..active {
            graph.prefetch_row(lanes.node[lane]);
            let at = lanes.at[lane];
            nodes[at] = O::of(lanes.next[lane]);
            lanes.at[lane] = at + lanes.taken[lane] as usize;
        }
        let arrived = chosen(active, &mut few, |lane| lanes.at[lane] == lanes.end[lane]);
        for &lane in few[..arrived].iter().rev() {
            lanes.remove(lane as usize);
        }
    }
    Ok(())
}

/// What kind of arcs a graph has.
#[derive(Clone, Copy)]
struct Form {
    is_weighted: bool,
    is_mirrored: bool,
}

/// The one where the mask has ones, else the other. Of a plain choice the compiler makes a choice between
/// addresses, or stores of chosen lanes, which are slow.
#[inline(always)]
fn pick(mask: u32, one: u32, other: u32) -> u32 {
    other ^ ((one ^ other) & mask)
}

/// The last bits of this float plus a smaller integer are that integer.
const INTEGER: f64 = (1u64 << 52) as f64;

/// An integer as a float.
#[inline(always)]
fn float(integer: u32) -> f64 {
    f64::from_bits(INTEGER.to_bits() | u64::from(integer)) - INTEGER
}

/// A float that is an integer as one.
#[inline(always)]
fn integer(float: f64) -> u32 {
    (float + INTEGER).to_bits() as u32
}

vectorised! {
    /// Lays the uniform of each walker over its areas.
    fn propose(lanes: &mut Lanes, factors: &Factors, half: usize, form: Form) {
        let &Factors { back, out, low, high, is_common } = factors;
        let (rest, half) = (high - low, half & 1);
        let (kept_low, kept_out, kept_rest) = (back / low, back / out, (back - low) / rest);
        let (beyond_high, beyond_low) = ((back - high).max(0.0), (back - low).max(0.0));
        for (uniform, words) in lanes.uniform.iter_mut().zip(&lanes.words) {
            *uniform = uniform_of(words[half]);
        }
        for lane in 0..lanes.active.min(LANES) {
            // All in floats: masks of two widths would have to be brought to one.
            let (degree, last) = (float(lanes.degree[0][lane]), float(lanes.degree[1][lane]));
            let has_choice = (last < NO_DEGREE as f64) & (degree > 1.0);
            let is_apart = has_choice & (float(lanes.apart[lane]) > 0.0);
            let is_mixed = has_choice & !is_apart;
            let is_turned = is_mixed & form.is_mirrored & is_common & (last < degree - 1.0);

            // How wide the areas are: where there is a choice and a rest, where there is only a choice,
            // and where there is none.
            let beyond = if is_turned | (is_apart & is_common) { beyond_low } else { beyond_high };
            let beyond = if has_choice { beyond } else { 0.0 };
            let beyond = if form.is_mirrored { beyond } else { lanes.beyond[lane] };
            let factor = if is_apart { out } else { low };
            let factor = if has_choice { factor } else { 1.0 };
            let base = factor * if form.is_weighted { 1.0 } else { degree };
            let count = if is_turned { last } else { degree };
            let all_rest = rest * if form.is_weighted { 1.0 } else { count };
            let all_rest = if is_mixed { all_rest } else { 0.0 };

            // Where the draw comes down.
            let place = lanes.uniform[lane] * (beyond + base + all_rest);
            let within = place - beyond;
            let is_beyond = within < 0.0;
            let is_rest = (within >= base) & (all_rest > 0.0) & !is_beyond;
            let unit = if is_rest { rest } else { factor };
            let scaled = (within - if is_rest { base } else { 0.0 }) / unit;
            let scaled = if is_beyond { 0.0 } else { scaled };

            // The arc at that place, and where in its share it is.
            let is_turned = is_turned & is_rest;
            let count = if is_turned { last } else { degree };
            let rounded = (scaled + INTEGER) - INTEGER;
            let index = rounded - if rounded > scaled { 1.0 } else { 0.0 };
            let index = if index < count { index } else { count - 1.0 };
            let turned = integer(if is_turned { 1.0 } else { 0.0 }).wrapping_neg();
            let start = pick(turned, lanes.start[1][lane], lanes.start[0][lane]);
            lanes.arc[lane] = start.wrapping_add(integer(index));
            let share = scaled - if form.is_weighted { 0.0 } else { index };
            lanes.share[lane] = if is_beyond { place } else { share };

            // Whether a way back is taken there, and others: its factor is laid over the areas from the
            // bottom.
            let kept = if is_apart { kept_out } else { kept_low };
            let kept = if is_rest { kept_rest } else { kept };
            let is_kept = !has_choice | is_beyond | ((share < kept) & !is_turned);
            let follows = if is_rest { LOOK as f64 } else { OTHER as f64 };
            let follows = follows + if is_turned { TURNED as f64 } else { 0.0 };
            let follows = follows + if is_beyond { BEYOND as f64 } else { 0.0 };
            lanes.follows[lane] = integer(follows + if is_kept { BACK as f64 } else { 0.0 });
        }
    }

    /// Whether each walker takes what is proposed: one or zero, or two if somebody has to look.
    fn compare(lanes: &mut Lanes, is_common: bool) {
        let without = u32::from(!is_common);
        for lane in 0..lanes.active.min(LANES) {
            let (follows, before) = (lanes.follows[lane], lanes.before[lane]);
            let to = if follows & BEYOND == 0 { lanes.to[lane] } else { before };
            lanes.next[lane] = to;
            let is_known = (follows & LOOK != 0) & (lanes.is_apart[lane] != 0);
            let taken = if is_known { without } else { follows & (OTHER | LOOK) };
            lanes.taken[lane] = if to == before { follows / BACK } else { taken };
        }
    }

    /// Moves the walkers who take what is proposed. Returns whether somebody has had too many trials.
    fn go(lanes: &mut Lanes) -> bool {
        let mut most = 0;
        for lane in 0..lanes.active.min(LANES) {
            let taken = lanes.taken[lane].wrapping_neg();
            let is_new = taken & !(lanes.follows[lane] / BEYOND % 2).wrapping_neg();
            let node = lanes.node[lane];
            lanes.before[lane] = pick(taken, node, lanes.before[lane]);
            lanes.node[lane] = pick(taken, lanes.next[lane], node);
            // Back over the arc by which it came, or over another.
            lanes.apart[lane] = pick(is_new, lanes.is_apart[lane], lanes.apart[lane]);
            lanes.start[1][lane] = pick(taken, lanes.start[0][lane], lanes.start[1][lane]);
            lanes.degree[1][lane] = pick(taken, lanes.degree[0][lane], lanes.degree[1][lane]);
            let tries = (lanes.tries[lane] + 1) & !taken;
            lanes.tries[lane] = tries;
            most = most.max(tries);
        }
        most >= TRIALS
    }
}

/// An arc in proportion to its weight.
#[inline(always)]
fn weighed(graph: &Graph, row: Row, word: u64) -> u32 {
    let aim = aim(row.start, row.degree, word);
    match graph.slots() {
        None => aim.arc,
        Some(slots) => {
            let slot = slots[aim.arc as usize];
            let (own, other) = (aim.arc, row.start + slot.alias);
            std::hint::select_unpredictable(aim.fraction < slot.threshold, own, other)
        }
    }
}

/// Looks whether the nodes that are proposed to some walkers are neighbours of the nodes before; of those
/// proposed from there, whether they are neighbours of the nodes where the walkers are.
#[inline(always)]
fn look(graph: &Graph, is_common: bool, lanes: &mut Lanes, asked: &[u32]) {
    let (mut rows, mut targets) = ([Row { start: 0, degree: 0 }; LANES], [0; LANES]);
    let (mut found, count) = ([0; LANES], asked.len().min(LANES));
    for (i, &lane) in asked.iter().enumerate().take(LANES) {
        let lane = lane as usize;
        let whose = usize::from(lanes.follows[lane] & TURNED == 0);
        rows[i] = Row { start: lanes.start[whose][lane], degree: lanes.degree[whose][lane] };
        targets[i] = lanes.to[lane];
    }
    find(graph.neighbours(), &rows[..count], &targets[..count], &mut found[..count]);
    let wanted = u32::from(is_common);
    for (&lane, &found) in asked.iter().zip(&found) {
        lanes.taken[lane as usize] = u32::from(found == wanted);
    }
}

vectorised! {
    /// For each row, whether an arc of it goes to the target: one or zero. All are bisected at once, so
    /// that their loads overlap and no branch goes wrong.
    fn find(neighbours: &[u32], rows: &[Row], targets: &[u32], found: &mut [u32]) {
        let count = rows.len().min(LANES).min(targets.len()).min(found.len());
        let Some(last) = neighbours.len().checked_sub(1) else { return };
        let (mut from, mut left, mut longest) = ([0; LANES], [0; LANES], 0);
        for i in 0..count {
            (from[i], left[i]) = (rows[i].start, rows[i].degree);
            longest = longest.max(rows[i].degree);
        }
        for _ in 0..u32::BITS - longest.saturating_sub(1).leading_zeros() {
            for i in 0..count {
                let half = left[i] / 2;
                let middle = neighbours[((from[i] + half) as usize).min(last)];
                from[i] += std::hint::select_unpredictable(middle <= targets[i], half, 0);
                left[i] -= half;
            }
        }
        for i in 0..count {
            found[i] = u32::from(neighbours[(from[i] as usize).min(last)] == targets[i]);
        }
    }
}

/// The first arc of a row to a target that it has.
fn first_to(neighbours: &[u32], row: Row, target: u32) -> u32 {
    let arcs = &neighbours[row.range()];
    row.start + arcs.partition_point(|&to| to < target) as u32
}

/// Where too many trials of a step were refused, this one is not made: its words draw from the law of the
/// row.
#[cold]
fn give_up(graph: &Graph, law: &Node2vec<'_>, lanes: &mut Lanes, half: usize) {
    for lane in 0..lanes.active {
        if lanes.tries[lane] == TRIALS {
            let (row, before) = (lanes.row(lane), lanes.before[lane]);
            let arc = law.exactly(graph, row, before, lanes.words[lane][half]);
            (lanes.arc[lane], lanes.next[lane]) = (arc, graph.neighbours()[arc as usize]);
            (lanes.follows[lane], lanes.taken[lane], lanes.is_apart[lane]) = (OTHER, 1, 0);
        }
    }
}

/// Does with walkers at nodes without arcs what the plan says.
fn leave_dead_ends<O: Id, const EDGES: bool>(
    graph: &Graph,
    plan: &Plan<'_>,
    part: &mut Part<'_, O>,
    lanes: &mut Lanes,
) -> Result<()> {
    for lane in (0..lanes.active).rev() {
        while graph.row(lanes.node[lane]).degree == 0 {
            let (walker, place) = lanes.place[lane];
            let (node, at, end) = (lanes.node[lane], lanes.at[lane], lanes.end[lane]);
            let edges = lanes.edge_at[lane]..lanes.edge_at[lane] + (end - at);
            match plan.dangling {
                Dangling::Error => return Err(dead_end(lanes.entity[lane], node)),
                Dangling::Stop => part.end(walker as usize, place, lanes.made(lane)),
                Dangling::Stay => {
                    part.nodes[at..end].fill(O::of(node));
                    if EDGES {
                        part.edges[edges].fill(-1);
                    }
                }
                Dangling::Restart => {
                    let home = plan.home_of(lanes.entity[lane], lanes.made(lane));
                    part.nodes[at] = O::of(home);
                    if EDGES {
                        part.edges[edges.start] = -1;
                        lanes.edge_at[lane] += 1;
                    }
                    lanes.at[lane] += 1;
                    (lanes.node[lane], lanes.before[lane]) = (home, NOWHERE);
                    lanes.degree[1][lane] = NO_DEGREE;
                    if at + 1 < end {
                        continue;
                    }
                }
            }
            lanes.remove(lane);
            break;
        }
    }
    Ok(())
}

/// Writes the lanes that are wanted to the beginning of a list, and returns how many they are; without a
/// branch, which would go wrong.
#[inline(always)]
fn chosen(active: usize, list: &mut [u32; LANES], is_wanted: impl Fn(usize) -> bool) -> usize {
    let mut len = 0;
    for lane in 0..active {
        list[len % LANES] = lane as u32;
        len += usize::from(is_wanted(lane));
    }
    len.min(LANES)
}

impl Node2vec<'_> {
    /// The factor of an arc to `to`.
    #[inline]
    fn factor(&self, graph: &Graph, before: u32, to: u32) -> f64 {
        if to == before {
            self.back
        } else if graph.has_arc(before, to) {
            1.0
        } else {
            self.out
        }
    }

    /// The weight of an arc.
    fn weight(graph: &Graph, arc: usize) -> f64 {
        graph.weights().map_or(1.0, |weights| weights[arc])
    }

    /// The weight of the arcs back to the node before: without weights, how many there are, otherwise
    /// their share in the weight of the row.
    fn share(&self, graph: &Graph, row: Row, before: u32) -> f64 {
        let back = graph.stretch(row, before);
        let Some(sums) = self.sums else { return back.len() as f64 };
        let total = sums[row.range().end - 1];
        let arcs = back.map(|arc| (row.start + arc) as usize);
        arcs.map(|arc| Self::weight(graph, arc)).sum::<f64>() / total
    }

    /// An arc back to the node before; there is one.
    fn way_back(graph: &Graph, row: Row, before: u32, u: f64) -> u32 {
        let back = graph.stretch(row, before);
        let first = row.start + back.start;
        let weights = || back.clone().map(|arc| Self::weight(graph, (row.start + arc) as usize));
        let target = u * weights().sum::<f64>();
        first + first_beyond(weights(), 0.0, target).map_or(0, |(i, _)| i as u32)
    }

    /// An arc by the law of the row; by weights alone if no arc has a factor above zero.
    fn exactly(&self, graph: &Graph, row: Row, before: u32, word: u64) -> u32 {
        let factors = || graph.of(row).iter().map(|&to| self.factor(graph, before, to));
        // Relative to the largest, so that no mass overflows.
        let largest = factors().fold(0.0, f64::max);
        let masses = || {
            let weights = row.range().map(|arc| Self::weight(graph, arc));
            weights.zip(factors()).map(|(weight, factor)| weight * (factor / largest))
        };
        let total: f64 = masses().sum();
        match first_beyond(masses(), 0.0, uniform_of(word) * total) {
            Some((arc, _)) => row.start + arc as u32,
            None => weighed(graph, row, word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::structure::{Arcs, build};
    use super::super::{Moves, Starts, Transition, Walks, walks};
    use super::*;
    use sortes_core::rng::Stream;
    use std::collections::HashMap;

    const NODES: usize = 14;

    /// A hub, whose neighbours have triangles, pendants and a path: each arc leads back by one.
    fn hub() -> (Vec<i64>, Vec<i64>) {
        let pairs =
            (1..12).map(|i| (0, i)).chain([(1, 2), (2, 3), (1, 3), (5, 6), (12, 1), (12, 13)]);
        pairs.flat_map(|(u, v)| [(u, v), (v, u)]).unzip()
    }

    /// The law of an arc from `node`, by the definition.
    fn law(graph: &Graph, before: u32, node: u32, p: f64, q: f64) -> Vec<f64> {
        let mut masses = [0.0; NODES];
        for &to in graph.of(graph.row(node)) {
            let is_near = graph.of(graph.row(before)).contains(&to);
            let factor = if is_near { 1.0 } else { 1.0 / q };
            masses[to as usize] += if to == before { 1.0 / p } else { factor };
        }
        let total: f64 = masses.iter().sum();
        masses.iter().map(|mass| mass / total).collect()
    }

    /// The logarithm of Chernoff's bound for the tail of a binomial count, negated: of `n` trials of
    /// this chance.
    fn surprise(count: f64, n: f64, chance: f64) -> f64 {
        let term = |k: f64, p: f64| if k == 0.0 { 0.0 } else { k * (k / (n * p)).ln() };
        term(count, chance) + term(n - count, 1.0 - chance)
    }

    /// Each step after each arc has its law: some 3,000 counts, each of which is off with a chance of
    /// 2 exp(-23) at most, so that false alarms have less than 1e-6 in all. Seeds are fixed.
    #[test]
    fn steps_have_the_law_wherever_the_rest_is_proposed_from() {
        let (sources, targets) = hub();
        let arcs = Arcs::Pairs { sources: &sources, targets: &targets };
        let graph = build(NODES, arcs, "edge_index", None, None, false, Run::alone()).unwrap();
        assert!(graph.is_mirrored(Run::alone()).unwrap());
        // The way back above both other factors, between them, and below both.
        let factors = [(0.25, 4.0), (2.0, 4.0), (8.0, 4.0), (0.1, 0.25), (0.5, 0.25), (4.0, 0.25)];
        for (seed, (p, q)) in factors.into_iter().enumerate() {
            let plan = Plan {
                starts: Starts { count: NODES, ..Starts::default() },
                num_walks: 500,
                moves: Moves::Fixed(60),
                transition: Transition::Node2vec { p, q },
                repulsion: None,
                dangling: Dangling::Error,
                stream: Stream::new(seed as u64),
            };
            let Walks { nodes, edges, .. } =
                walks::<i64>(&graph, &plan, true, Run::alone()).unwrap();
            let plain = walks::<i64>(&graph, &plan, false, Run::alone()).unwrap();
            assert_eq!(nodes, plain.nodes);
            let edges = edges.unwrap();
            let mut counts: HashMap<(u32, u32), Vec<f64>> = HashMap::new();
            for (walk, edges) in nodes.chunks(61).zip(edges.chunks(60)) {
                for (step, &edge) in walk.windows(2).zip(edges) {
                    assert_eq!([sources[edge as usize], targets[edge as usize]], *step);
                }
                for step in walk.windows(3) {
                    let after = counts.entry((step[0] as u32, step[1] as u32));
                    after.or_insert_with(|| vec![0.0; NODES])[step[2] as usize] += 1.0;
                }
            }
            for ((before, node), counts) in counts {
                let total: f64 = counts.iter().sum();
                for (count, chance) in counts.iter().zip(law(&graph, before, node, p, q)) {
                    let off = surprise(*count, total, chance);
                    assert!(off < 23.0, "{p} {q} {before} {node}: {count} of {total}, {chance}");
                }
            }
        }
    }
}
