//! States: connected sets of `d` nodes. They are adjacent if they share all nodes but one; a walker
//! that does not turn back is at an arc.

use sortes_core::memory::{reserve, with_capacity};
use sortes_core::rng::Draws;
use sortes_core::{Result, Run};

use super::super::structure::Graph;
use super::super::walks::index;
use super::Walkers;
use super::simple::in_large_components;

/// What stands where there is no node.
pub(super) const NOBODY: u32 = u32::MAX;
/// Nodes between two looks at the stop request.
const BLOCK: usize = 1 << 12;

/// The nodes of a state, in ascending order; then [`NOBODY`]. Of one that does not turn back, the node,
/// the node before or [`NOBODY`], and [`NOBODY`].
pub(super) type State = [u32; 3];

/// All states of a simple graph, in components that have graphlets.
pub(super) struct Space<'a> {
    pub(super) graph: &'a Graph,
    pub(super) d: usize,
    pub(super) non_backtracking: bool,
    /// Running sums over nodes of the weights by which the first node of a start is drawn: with one
    /// node its degree, with two the ordered pairs of its neighbours, with three these pairs, each as
    /// often as the three nodes have arcs.
    sums: Vec<f64>,
    /// The sum over neighbours of their degrees, for three nodes.
    around: Vec<f64>,
}

/// An unordered pair of different items below `count`.
fn pair(count: usize, draws: &mut Draws) -> (usize, usize) {
    let one = draws.below(count as u64) as usize;
    let other = draws.below(count as u64 - 1) as usize;
    (one, other + usize::from(other >= one))
}

impl<'a> Space<'a> {
    pub(super) fn new(graph: &'a Graph, walkers: &Walkers, run: Run<'_>) -> Result<Self> {
        let (nodes, d) = (graph.num_nodes(), walkers.d);
        let is_large = in_large_components(graph, walkers.k, run)?;
        let mut sums = with_capacity(nodes, "weights of nodes")?;
        let mut around = with_capacity(if d == 3 { nodes } else { 0 }, "weights of nodes")?;
        let mut sum = 0.0;
        for range in run.blocks(nodes, BLOCK) {
            for node in range? {
                let row = graph.row(node as u32);
                let degree = f64::from(row.degree);
                let pairs = (degree * (degree - 1.0)).max(0.0);
                let mut weight = match d {
                    1 => degree,
                    2 => pairs,
                    _ => {
                        let others = graph.of(row).iter();
                        let degrees = others.map(|&other| f64::from(graph.row(other).degree)).sum();
                        around.push(degrees);
                        pairs / 2.0 * degree + (degree - 1.0).max(0.0) * degrees
                    }
                };
                if !is_large[node] {
                    weight = 0.0;
                }
                sum += weight;
                sums.push(sum);
            }
        }
        Ok(Self { graph, d, non_backtracking: walkers.non_backtracking, sums, around })
    }

    fn total(&self) -> f64 {
        self.sums.last().copied().unwrap_or(0.0)
    }

    /// Whether there is no state with a neighbour.
    pub(super) fn is_empty(&self) -> bool {
        self.total() == 0.0
    }

    /// A state in proportion to the number of its neighbours.
    pub(super) fn start(&self, draws: &mut Draws) -> State {
        loop {
            let place = draws.uniform() * self.total();
            let node = self.sums.partition_point(|&sum| sum <= place).min(self.sums.len() - 1);
            let others = self.graph.of(self.graph.row(node as u32));
            let node = node as u32;
            match self.d {
                1 => return [node, NOBODY, NOBODY],
                2 => {
                    let other = others[draws.below(others.len() as u64) as usize];
                    return [node.min(other), node.max(other), NOBODY];
                }
                _ => {
                    let (state, chance) = self.three(node, others, draws);
                    if draws.uniform() < chance {
                        return state;
                    }
                }
            }
        }
    }

    /// Three nodes with `node` in the middle, and the chance to accept them.
    ///
    /// The two others are drawn in proportion to the sum `D` of the three degrees; so the state comes
    /// in proportion to `D` times the number of its nodes that can be in the middle, which is one or
    /// three. No state has more than `2 D` neighbours.
    fn three(&self, node: u32, others: &[u32], draws: &mut Draws) -> (State, f64) {
        let degree = |node: u32| f64::from(self.graph.row(node).degree);
        let count = others.len();
        let (own, around) = (degree(node), self.around[node as usize]);
        let of_middle = own * (own - 1.0) / 2.0 * own;
        let weight = of_middle + (own - 1.0) * around;
        let mut place = draws.uniform() * weight;
        let (a, b) = if place < of_middle {
            pair(count, draws)
        } else {
            place = draws.uniform() * around;
            let mut first = 0;
            while first + 1 < count && place >= degree(others[first]) {
                place -= degree(others[first]);
                first += 1;
            }
            let second = draws.below(count as u64 - 1) as usize;
            (first, second + usize::from(second >= first))
        };
        let mut state = [node, others[a], others[b]];
        let middles = if self.graph.has_arc(others[a], others[b]) { 3.0 } else { 1.0 };
        let degrees: f64 = state.iter().map(|&node| degree(node)).sum();
        state.sort_unstable();
        (state, self.count_around(state) as f64 / (2.0 * middles * degrees))
    }

    /// Twice the number of pairs of adjacent states, or from `proposals` an unbiased estimate.
    pub(super) fn factor(&self, proposals: usize, draws: &mut Draws, run: Run<'_>) -> Result<f64> {
        if self.d < 3 {
            return Ok(self.total());
        }
        let mut sum = 0.0;
        for range in run.blocks(proposals, BLOCK) {
            for _ in range? {
                let place = draws.uniform() * self.total();
                let node = self.sums.partition_point(|&sum| sum <= place).min(self.sums.len() - 1);
                let others = self.graph.of(self.graph.row(node as u32));
                sum += self.three(node as u32, others, draws).1;
            }
        }
        Ok(2.0 * self.total() * sum / proposals as f64)
    }

    /// How many neighbours a state has; those of three nodes are listed.
    pub(super) fn open(&self, state: State, list: &mut Vec<State>) -> Result<u32> {
        let degree = |node: u32| self.graph.row(node).degree;
        Ok(match self.d {
            1 if self.non_backtracking && state[1] != NOBODY => (degree(state[0]) - 1).max(1),
            1 => degree(state[0]),
            2 => degree(state[0]) + degree(state[1]) - 2,
            _ => {
                list.clear();
                let mut full = Ok(());
                self.around(state, |kept, new| {
                    let mut other = [kept.0, kept.1, new];
                    other.sort_unstable();
                    if full.is_ok() {
                        full = reserve(list, 1, "neighbours of three nodes");
                    }
                    if full.is_ok() {
                        list.push(other);
                    }
                });
                full?;
                list.len() as u32
            }
        })
    }

    /// A neighbour of a state that was opened.
    pub(super) fn neighbour(&self, state: State, arc: u32, list: &[State]) -> State {
        let graph = self.graph;
        // The neighbours of a node but one.
        let but = |node: u32, left_out: u32, mut arc: u32| {
            let row = graph.row(node);
            arc += u32::from(arc >= graph.stretch(row, left_out).start);
            graph.of(row)[arc as usize]
        };
        match self.d {
            1 if self.non_backtracking => {
                let [node, before, _] = state;
                let row = graph.row(node);
                let next = if before == NOBODY || row.degree == 1 {
                    graph.of(row)[arc as usize]
                } else {
                    but(node, before, arc)
                };
                [next, node, NOBODY]
            }
            1 => [graph.of(graph.row(state[0]))[arc as usize], NOBODY, NOBODY],
            2 => {
                let [u, v, _] = state;
                let of_first = graph.row(u).degree - 1;
                let (stays, new) = if arc < of_first {
                    (u, but(u, v, arc))
                } else {
                    (v, but(v, u, arc - of_first))
                };
                [stays.min(new), stays.max(new), NOBODY]
            }
            _ => list[arc as usize],
        }
    }

    fn count_around(&self, state: State) -> usize {
        let mut count = 0;
        self.around(state, |_, _| count += 1);
        count
    }

    /// Calls `f` for every neighbour of three nodes: the two that stay, and the new one.
    ///
    /// If those that stay are adjacent, the new one is adjacent to any of them, else to both.
    fn around(&self, [a, b, c]: State, mut f: impl FnMut((u32, u32), u32)) {
        let row = |node| self.graph.of(self.graph.row(node));
        for (x, y, gone) in [(a, b, c), (a, c, b), (b, c, a)] {
            let is_edge = self.graph.has_arc(x, y);
            let (of_x, of_y) = (row(x), row(y));
            let (mut i, mut j) = (0, 0);
            while i < of_x.len() || j < of_y.len() {
                let one = of_x.get(i).copied().unwrap_or(NOBODY);
                let other = of_y.get(j).copied().unwrap_or(NOBODY);
                let new = one.min(other);
                i += usize::from(one == new);
                j += usize::from(other == new);
                let is_new = new != x && new != y && new != gone;
                if is_new && (is_edge || one == other) {
                    f((x, y), new);
                }
            }
        }
    }
}

/// One of `count` neighbours, each as likely.
pub(super) fn any(count: u32, word: u64) -> u32 {
    index(word, count as usize) as u32
}
