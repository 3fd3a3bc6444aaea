//! The step of node2vec: it depends on the node before (Grover and Leskovec, "node2vec: scalable feature
//! learning for networks", KDD 2016, arXiv:1607.00653).
//!
//! At `v` coming from `u`, an arc to `x` has its weight times `1 / p` if `x = u`, times 1 if there is an
//! arc from `u` to `x`, and times `1 / q` otherwise. No table is made: an arc is proposed by its weight
//! and accepted by its factor, which takes memory for nothing but the graph. A factor for the way back
//! that is larger than the others would make all of them rare; the mass beyond them is laid beside the
//! proposals and drawn directly (as in Yang et al., "`KnightKing`: a fast distributed graph random walk
//! engine", SOSP 2019).

use sortes_core::rng::{Purpose, Rounds, uniform_of};
use sortes_core::weights::first_beyond;

use super::super::structure::{Graph, Row};
use super::rules::{Aim, NOWHERE, Rule, Site, aim};

/// After so many refusals the law of the row is computed.
const TRIALS: usize = 64;

/// The factors of arcs, and what else their draws need.
pub(super) struct Node2vec<'a> {
    /// Back to the node before.
    pub(super) back: f64,
    /// To a node that is no neighbour of the one before.
    pub(super) out: f64,
    /// Running sums of the weights of each row, if arcs have weights.
    pub(super) sums: Option<&'a [f64]>,
    pub(super) rounds: Rounds,
}

impl Rule for Node2vec<'_> {
    const TOSSES: bool = true;
    const WEIGHS: bool = false;

    #[inline]
    fn aim(&self, graph: &Graph, site: Site, word: u64, coin: u64) -> Option<Aim> {
        let Site { row, before, walker, step, .. } = site;
        let sure = |arc| Some(Aim { arc, fraction: 0 });
        if before == NOWHERE || row.degree == 1 {
            return sure(Self::propose(graph, row, word));
        }
        let ceiling = self.out.max(1.0);
        let beyond = if self.back > ceiling {
            (self.back - ceiling) * self.share(graph, row, before)
        } else {
            0.0
        };
        let (mut word, mut coin) = (word, coin);
        let mut retries = None;
        for _ in 0..TRIALS {
            let height = uniform_of(coin) * (ceiling + beyond);
            if height >= ceiling {
                return sure(Self::way_back(graph, row, before, word));
            }
            let arc = Self::propose(graph, row, word);
            if self.is_below(graph, height, before, graph.neighbours()[arc as usize]) {
                return sure(arc);
            }
            let retries =
                retries.get_or_insert_with(|| self.rounds.draws(Purpose::Retry, walker, step));
            (word, coin) = (retries.u64(), retries.u64());
        }
        sure(self.exactly(graph, row, before, uniform_of(coin), word))
    }
}

impl Node2vec<'_> {
    /// An arc in proportion to its weight.
    #[inline]
    fn propose(graph: &Graph, row: Row, word: u64) -> u32 {
        let aim = aim(row.start, row.degree, word);
        match graph.slots() {
            None => aim.arc,
            Some(slots) => {
                let slot = slots[aim.arc as usize];
                if aim.fraction < slot.threshold { aim.arc } else { row.start + slot.alias }
            }
        }
    }

    /// Whether a height is below the factor of an arc to `to`.
    #[inline]
    fn is_below(&self, graph: &Graph, height: f64, before: u32, to: u32) -> bool {
        if to == before {
            return height < self.back;
        }
        let (low, high) = (self.out.min(1.0), self.out.max(1.0));
        height < low || (height < high && height < self.factor(graph, before, to))
    }

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

    /// The weight of an arc of a row, all of which are below `row`.
    fn weight(graph: &Graph, arc: usize) -> f64 {
        graph.weights().map_or(1.0, |weights| weights[arc])
    }

    /// The share of the arcs back to the node before in the weight of the row.
    fn share(&self, graph: &Graph, row: Row, before: u32) -> f64 {
        let back = graph.stretch(row, before);
        let Some(sums) = self.sums else { return back.len() as f64 / f64::from(row.degree) };
        let total = sums[row.range().end - 1];
        let arcs = back.map(|arc| (row.start + arc) as usize);
        arcs.map(|arc| Self::weight(graph, arc)).sum::<f64>() / total
    }

    /// An arc back to the node before; there is one.
    fn way_back(graph: &Graph, row: Row, before: u32, word: u64) -> u32 {
        let back = graph.stretch(row, before);
        let first = row.start + back.start;
        let weights = || back.clone().map(|arc| Self::weight(graph, (row.start + arc) as usize));
        let target = uniform_of(word) * weights().sum::<f64>();
        first + first_beyond(weights(), 0.0, target).map_or(0, |(i, _)| i as u32)
    }

    /// An arc by the law of the row; by weights alone if no arc has a factor above zero.
    fn exactly(&self, graph: &Graph, row: Row, before: u32, u: f64, word: u64) -> u32 {
        let factors = || graph.of(row).iter().map(|&to| self.factor(graph, before, to));
        // Relative to the largest, so that no mass overflows.
        let largest = factors().fold(0.0, f64::max);
        let masses = || {
            let weights = row.range().map(|arc| Self::weight(graph, arc));
            weights.zip(factors()).map(|(weight, factor)| weight * (factor / largest))
        };
        let total: f64 = masses().sum();
        match first_beyond(masses(), 0.0, u * total) {
            Some((arc, _)) => row.start + arc as u32,
            None => Self::propose(graph, row, word),
        }
    }
}
