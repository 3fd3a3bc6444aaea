//! What a window shows, and what it counts for.

use super::super::structure::Graph;

/// The most types of graphlets with as many nodes.
pub const MOST_TYPES: usize = 6;

const OF_3: &[&str] = &["wedge", "triangle"];
const OF_4: &[&str] = &["path4", "star4", "cycle4", "tailed_triangle", "diamond", "clique4"];

/// What graphlets with `k` nodes are called.
pub fn names(k: usize) -> &'static [&'static str] {
    if k == 3 { OF_3 } else { OF_4 }
}

/// What a window counts for. All of them are unbiased, once divided by the chance of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// The inverse of its own chance, shared by the windows that a graphlet of its type has.
    Plain,
    /// The inverse of the chance of all windows that cover the same nodes.
    Css,
}

/// How many windows each type has.
fn windows(k: usize, d: usize) -> [f64; MOST_TYPES] {
    match (k, d) {
        (3, _) => [2.0, 6.0, 0.0, 0.0, 0.0, 0.0],
        (_, 1) => [2.0, 0.0, 8.0, 4.0, 12.0, 24.0],
        (_, 2) => [2.0, 6.0, 8.0, 10.0, 24.0, 48.0],
        (_, _) => [2.0, 6.0, 12.0, 6.0, 12.0, 12.0],
    }
}

/// The subgraph of the nodes of a window.
struct Induced<'a> {
    nodes: &'a [u32],
    has: [[bool; 4]; 4],
    degrees: [u8; 4],
}

impl<'a> Induced<'a> {
    fn new(graph: &Graph, nodes: &'a [u32]) -> Self {
        let (mut has, mut degrees) = ([[false; 4]; 4], [0; 4]);
        for i in 0..nodes.len() {
            for j in 0..i {
                let (a, b) = (nodes[i], nodes[j]);
                // The shorter row is looked through.
                let is_shorter = graph.row(a).degree < graph.row(b).degree;
                if if is_shorter { graph.has_arc(a, b) } else { graph.has_arc(b, a) } {
                    (has[i][j], has[j][i]) = (true, true);
                    degrees[i] += 1;
                    degrees[j] += 1;
                }
            }
        }
        Self { nodes, has, degrees }
    }

    /// Its place among the types.
    fn kind(&self) -> usize {
        let most = self.degrees.iter().copied().max().unwrap_or(0);
        match (self.nodes.len(), self.degrees.iter().sum::<u8>() / 2, most) {
            (3, 2, _) | (4, 3, 2) => 0,
            (3, ..) | (4, 3, _) => 1,
            (_, 4, 2) => 2,
            (_, 4, _) => 3,
            (_, 5, _) => 4,
            _ => 5,
        }
    }

    /// The sum over all windows that cover these nodes of the inverse degrees of their inner states;
    /// `of` says that of a node.
    fn covering(&self, d: usize, of: impl Fn(usize) -> f64) -> f64 {
        let (k, has) = (self.nodes.len(), &self.has);
        let mut sum = 0.0;
        match (k, d) {
            // Paths through all three nodes, in both directions.
            (3, 1) => {
                for (middle, row) in has.iter().enumerate().take(3) {
                    if row[(middle + 1) % 3] && row[(middle + 2) % 3] {
                        sum += 2.0 / of(middle);
                    }
                }
            }
            // Paths through all four, in both directions.
            (4, 1) => {
                for b in 0..4 {
                    for c in 0..4 {
                        if b == c || !has[b][c] {
                            continue;
                        }
                        for a in (0..4).filter(|&a| a != b && a != c && has[a][b]) {
                            let last = 6 - a - b - c;
                            if has[c][last] {
                                sum += 1.0 / (of(b) * of(c));
                            }
                        }
                    }
                }
            }
            // Three edges, of which the one in the middle touches both others, and these the two nodes
            // that it does not have.
            (4, 2) => {
                for u in 0..4 {
                    for v in 0..u {
                        if !has[u][v] {
                            continue;
                        }
                        let mut ways = 2.0;
                        for x in (0..4).filter(|&x| x != u && x != v) {
                            ways *= f64::from(u8::from(has[u][x]) + u8::from(has[v][x]));
                        }
                        sum += ways / (of(u) + of(v) - 2.0);
                    }
                }
            }
            // Two states: every window is as likely.
            _ => sum = windows(k, d)[self.kind()],
        }
        sum
    }
}

/// The type of the graphlet that a window of `k` nodes covers, and what it counts for; `inner` is the
/// product of the degrees of its inner states.
pub(super) fn shown(
    graph: &Graph,
    nodes: &[u32],
    d: usize,
    estimator: Estimator,
    non_backtracking: bool,
    inner: f64,
) -> (usize, f64) {
    let induced = Induced::new(graph, nodes);
    let kind = induced.kind();
    let weight = match estimator {
        Estimator::Plain => inner / windows(nodes.len(), d)[kind],
        Estimator::Css => {
            // A walker that does not turn back has a neighbour less to go to.
            let less = f64::from(u8::from(non_backtracking));
            let of = |i: usize| f64::from(graph.row(induced.nodes[i]).degree) - less;
            1.0 / induced.covering(d, of)
        }
    };
    (kind, weight)
}
