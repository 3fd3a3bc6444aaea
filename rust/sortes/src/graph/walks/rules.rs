//! Where a walker goes from a node: the laws of a step.

use super::super::structure::{Graph, Row};

/// What is no node: the one before the first.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What a walker does in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Move,
    Stay,
    GoHome,
}

/// Where a walker stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// The arcs of its node, of which there are some.
    pub(super) row: Row,
    pub(super) node: u32,
    /// The node before, or [`NOWHERE`].
    pub(super) before: u32,
}

/// An arc of a row, and where within its share the draw came down, in units of `2^-32`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim {
    pub(super) arc: u32,
    pub(super) fraction: u32,
}

/// One of `count` arcs from `start` on, each as likely.
#[inline(always)]
pub(super) fn aim(start: u32, count: u32, word: u64) -> Aim {
    let product = u128::from(word) * u128::from(count);
    Aim { arc: start + (product >> 64) as u32, fraction: (product as u64 >> 32) as u32 }
}

/// The law of a step.
pub(super) trait Rule: Sync {
    /// Whether it needs a second word for each step, the coin.
    const TOSSES: bool = false;
    /// Whether what it aims at is a slot where arcs have weights, or the arc itself.
    const WEIGHS: bool = true;
    /// Whether a walker at a node without arcs stays there, by the law itself.
    const RESTS: bool = false;

    /// Whether the walker moves at all.
    #[inline(always)]
    fn turn(&self, _coin: u64) -> Turn {
        Turn::Move
    }

    /// The arc that it takes, or the slot of one if arcs are weighed later; none if it stays.
    #[inline(always)]
    fn aim(&self, _graph: &Graph, Site { row, .. }: Site, word: u64, _coin: u64) -> Option<Aim> {
        Some(aim(row.start, row.degree, word))
    }

    /// Whether it goes where the arc leads, and does not stay.
    #[inline(always)]
    fn accepts(&self, _graph: &Graph, _from: u32, _to: u32, _coin: u64) -> bool {
        true
    }
}

/// An arc of the row, in proportion to its weight.
pub(super) struct Simple;

impl Rule for Simple {}

/// The simple step, but before it the walker may stay.
pub(super) struct Lazy {
    /// The chance to stay, as a share of all words.
    pub(super) stay: u64,
}

impl Rule for Lazy {
    const TOSSES: bool = true;

    #[inline(always)]
    fn turn(&self, coin: u64) -> Turn {
        if coin < self.stay { Turn::Stay } else { Turn::Move }
    }
}

/// The simple step, or back to the start.
pub(super) struct Restart {
    /// The chance of that, as a share of all words.
    pub(super) home: u64,
}

impl Rule for Restart {
    const TOSSES: bool = true;

    #[inline(always)]
    fn turn(&self, coin: u64) -> Turn {
        if coin < self.home { Turn::GoHome } else { Turn::Move }
    }
}

/// The arcs of a node that are no loops: how many there are, where the loops begin, and how many these
/// are.
#[inline(always)]
fn without_loops(graph: &Graph, row: Row, node: u32, has_loops: bool) -> (u32, u32, u32) {
    if !has_loops {
        return (row.degree, row.degree, 0);
    }
    let loops = graph.stretch(row, node);
    (row.degree - loops.len() as u32, loops.start, loops.len() as u32)
}

/// An arc that is no loop, each as likely.
#[inline(always)]
fn proper(graph: &Graph, site: Site, word: u64, has_loops: bool) -> Option<Aim> {
    let Site { row, node, .. } = site;
    let (degree, first, loops) = without_loops(graph, row, node, has_loops);
    if degree == 0 {
        return None;
    }
    let mut found = aim(0, degree, word);
    if found.arc >= first {
        found.arc += loops;
    }
    Some(Aim { arc: row.start + found.arc, ..found })
}

/// Whether a word, as a share of `of`, is below `count`.
#[inline(always)]
fn is_below(coin: u64, count: u32, of: u32) -> bool {
    (u128::from(coin) * u128::from(of)) >> 64 < u128::from(count)
}

/// A uniform neighbour, accepted with the chance `min(1, d_u / d_v)`: uniform in the long run.
pub(super) struct MetropolisHastings {
    pub(super) has_loops: bool,
}

impl Rule for MetropolisHastings {
    const TOSSES: bool = true;
    const WEIGHS: bool = false;
    const RESTS: bool = true;

    #[inline(always)]
    fn aim(&self, graph: &Graph, site: Site, word: u64, _coin: u64) -> Option<Aim> {
        proper(graph, site, word, self.has_loops)
    }

    #[inline(always)]
    fn accepts(&self, graph: &Graph, from: u32, to: u32, coin: u64) -> bool {
        let degree = |node| without_loops(graph, graph.row(node), node, self.has_loops).0;
        is_below(coin, degree(from), degree(to))
    }
}

/// A uniform neighbour with the chance `d_u / d_max`: uniform in the long run.
pub(super) struct MaxDegree {
    pub(super) has_loops: bool,
    pub(super) largest: u32,
}

impl Rule for MaxDegree {
    const TOSSES: bool = true;
    const WEIGHS: bool = false;
    const RESTS: bool = true;

    #[inline(always)]
    fn aim(&self, graph: &Graph, site: Site, word: u64, _coin: u64) -> Option<Aim> {
        proper(graph, site, word, self.has_loops)
    }

    #[inline(always)]
    fn accepts(&self, graph: &Graph, from: u32, _to: u32, coin: u64) -> bool {
        let row = graph.row(from);
        is_below(coin, without_loops(graph, row, from, self.has_loops).0, self.largest)
    }
}

/// Any arc but those back to the node before, each as likely; back if there are no others.
pub(super) struct NonBacktracking;

impl Rule for NonBacktracking {
    const WEIGHS: bool = false;

    #[inline(always)]
    fn aim(&self, graph: &Graph, site: Site, word: u64, _coin: u64) -> Option<Aim> {
        let Site { row, before, .. } = site;
        if before == NOWHERE {
            return Some(aim(row.start, row.degree, word));
        }
        let back = graph.stretch(row, before);
        let count = back.len() as u32;
        if count == row.degree {
            return Some(aim(row.start, row.degree, word));
        }
        let mut found = aim(0, row.degree - count, word);
        if found.arc >= back.start {
            found.arc += count;
        }
        Some(Aim { arc: row.start + found.arc, ..found })
    }
}
