//! The step of node2vec: it depends on the node before (Grover and Leskovec, "node2vec: scalable feature
//! learning for networks", KDD 2016, arXiv:1607.00653).
//!
//! At `v` coming from `u`, an arc to `x` has its weight times `1 / p` if `x = u`, times 1 if there is an
//! arc from `u` to `x`, and times `1 / q` otherwise. No table is made: an arc is proposed by its weight
//! and accepted by its factor, which takes memory for nothing but the graph. A factor for the way back
//! that is larger than the others would make all of them rare; the mass beyond them is laid beside the
//! proposals and drawn directly (as in Yang et al., "`KnightKing`: a fast distributed graph random walk
//! engine", SOSP 2019).

use sortes_core::rng::{Purpose, Rounds, bulk, uniform_of};
use sortes_core::vectorised;
use sortes_core::weights::first_beyond;

use super::super::structure::{Graph, Row, prefetch};
use super::LANES;
use super::rules::{NOWHERE, Rule, Site, aim};

/// After so many refusals the law of the row is computed.
const TRIALS: usize = 64;
/// A row of so many arcs is looked through as a whole.
const WINDOW: usize = 128;

/// The factors of arcs, and what else their draws need.
pub(super) struct Node2vec<'a> {
    /// Back to the node before.
    pub(super) back: f64,
    /// To a node that is no neighbour of the one before.
    pub(super) out: f64,
    /// Running sums of the weights of each row, if arcs have weights.
    pub(super) sums: Option<&'a [f64]>,
    pub(super) rounds: Rounds,
    /// Whether arcs have no weights, and every arc leads back by exactly one.
    pub(super) is_mirrored: bool,
}

impl Rule for Node2vec<'_> {
    const TOSSES: bool = true;
    const WEIGHS: bool = false;
    const TOGETHER: bool = true;

    fn aim_together(&self, graph: &Graph, sites: &[Site], words: &[[u64; 2]], arcs: &mut [u32]) {
        let ceiling = self.out.max(1.0);
        let low = self.out.min(1.0);
        let (mut words, mut given) = (Few::of(words), [[0; 2]; LANES]);
        let (mut beyond, mut heights) = ([0.0; LANES], [0.0; LANES]);
        let (mut rows, mut targets) = ([Row { start: 0, degree: 0 }; LANES], [0; LANES]);
        let (mut found, mut walkers) = ([0; LANES], [0; LANES]);
        let (mut proposing, mut refused) = (Few::default(), Few::default());
        let mut open = Few::default();

        // Those who have a choice, and come from somewhere.
        let mut trying = Few::default();
        for (i, &Site { row, before, .. }) in sites.iter().enumerate() {
            if before == NOWHERE || row.degree == 1 {
                arcs[i] = Self::propose(graph, row, words.items[i][0]);
                continue;
            }
            if self.back > ceiling {
                beyond[i] = (self.back - ceiling) * self.share(graph, row, before);
            }
            trying.push_if(true, i);
        }
        for trial in 0..TRIALS {
            // Propose: the arc is asked for.
            proposing.len = 0;
            for &i in trying.all() {
                let (Site { row, before, .. }, [word, coin]) = (sites[i], words.items[i]);
                heights[i] = uniform_of(coin) * (ceiling + beyond[i]);
                if heights[i] >= ceiling {
                    arcs[i] = Self::way_back(graph, row, before, word);
                } else {
                    arcs[i] = Self::propose(graph, row, word);
                    prefetch(graph.neighbours(), arcs[i] as usize);
                    proposing.push_if(true, i);
                }
            }
            // Compare: where the factor could be either, somebody has to look for an arc.
            (refused.len, open.len) = (0, 0);
            for &i in proposing.all() {
                let (to, before) = (graph.neighbours()[arcs[i] as usize], sites[i].before);
                let (height, is_back) = (heights[i], to == before);
                (rows[open.len], targets[open.len]) = (graph.row(before), to);
                open.push_if(!is_back && height >= low, i);
                refused.push_if(is_back && height >= self.back, i);
            }
            let count = open.len;
            find(graph.neighbours(), &rows[..count], &targets[..count], &mut found[..count]);
            for (&i, &is_found) in open.all().iter().zip(&found) {
                let factor = if is_found == 1 { 1.0 } else { self.out };
                refused.push_if(heights[i] >= factor, i);
            }
            if refused.len == 0 {
                return;
            }
            // The words of the next trial.
            std::mem::swap(&mut trying, &mut refused);
            for (walker, &i) in walkers.iter_mut().zip(trying.all()) {
                *walker = sites[i].walker;
            }
            let count = trying.len;
            let of = bulk::Ids::Listed(self.rounds.at(sites[0].step), &walkers[..count]);
            bulk::words_at(Purpose::Retry, of, trial as u32, &mut given[..count]);
            for (&i, &given) in trying.all().iter().zip(&given) {
                words.items[i] = given;
            }
        }
        for &i in trying.all() {
            let ([word, coin], Site { row, before, .. }) = (words.items[i], sites[i]);
            arcs[i] = self.exactly(graph, row, before, uniform_of(coin), word);
        }
    }
}

/// A few items, at most as many as a block has walkers.
struct Few<T> {
    len: usize,
    items: [T; LANES],
}

impl<T: Copy + Default> Default for Few<T> {
    fn default() -> Self {
        Self { len: 0, items: [T::default(); LANES] }
    }
}

impl<T: Copy + Default> Few<T> {
    fn of(items: &[T]) -> Self {
        let mut few = Self { len: items.len(), ..Self::default() };
        few.items[..items.len()].copy_from_slice(items);
        few
    }

    /// Writes an item in any case, and keeps it if that is wanted.
    #[inline(always)]
    fn push_if(&mut self, is_wanted: bool, item: T) {
        self.items[self.len] = item;
        self.len += usize::from(is_wanted);
    }

    fn all(&self) -> &[T] {
        &self.items[..self.len]
    }
}

vectorised! {
    /// For each row, whether an arc of it goes to the target: one or zero.
    fn find(neighbours: &[u32], rows: &[Row], targets: &[u32], found: &mut [u32]) {
        for ((&row, &target), found) in rows.iter().zip(targets).zip(found) {
            let mut row = &neighbours[row.range()];
            while row.len() > WINDOW {
                let (low, high) = row.split_at(row.len() / 2);
                row = if high[0] <= target { high } else { low };
            }
            // A closure would not have the instruction set.
            let mut count = 0;
            for &to in row {
                count += u32::from(to == target);
            }
            *found = u32::from(count > 0);
        }
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
        if self.is_mirrored {
            return 1.0 / f64::from(row.degree);
        }
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
