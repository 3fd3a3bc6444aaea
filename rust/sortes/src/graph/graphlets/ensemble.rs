//! Walkers that walk together: those that are in the same state share its neighbours.

use sortes_core::memory::with_capacity;
use sortes_core::rng::{Draws, Purpose};
use sortes_core::{Result, Run};

use super::super::walks::Hand;
use super::Walkers;
use super::states::{NOBODY, Space, State, any};
use super::windows::{MOST_TYPES, shown};

/// Moves of all walkers between two looks at the stop request, about.
const POLL: usize = 1 << 12;
/// The most states of a window.
const LONGEST: usize = 4;

/// A walker: its last states, the newest first, and how many neighbours each has.
struct Walker {
    states: [State; LONGEST],
    degrees: [u32; LONGEST],
    draws: Draws,
}

impl Walker {
    /// Goes on, from a state with so many neighbours.
    fn go(&mut self, degree: u32, state: State) {
        self.degrees[0] = degree;
        self.states.rotate_right(1);
        self.degrees.rotate_right(1);
        self.states[0] = state;
    }
}

pub(super) struct Ensemble<'a> {
    space: &'a Space<'a>,
    asked: &'a Walkers,
    number: u64,
    walkers: Vec<Walker>,
    /// Draws for what all share.
    draws: Draws,
    sums: [f64; MOST_TYPES],
}

impl<'a> Ensemble<'a> {
    pub(super) fn new(space: &'a Space<'a>, asked: &'a Walkers, number: u64) -> Result<Self> {
        let count = asked.num_walkers as u64;
        let mut walkers = with_capacity(asked.num_walkers, "walkers")?;
        let start = |walker: u64| {
            let mut draws = asked.stream.draws(Purpose::Subgraph, number * count + walker);
            (space.start(&mut draws), draws)
        };
        let (first, draws) = start(0);
        walkers.extend((0..count).map(|walker| {
            let state = if asked.together || walker == 0 { first } else { start(walker).0 };
            Walker {
                states: [state; LONGEST],
                degrees: [0; LONGEST],
                draws: asked.stream.draws(Purpose::Shift, number * count + walker),
            }
        }));
        Ok(Self { space, asked, number, walkers, draws, sums: [0.0; MOST_TYPES] })
    }

    /// The means of what windows count for, by type; and what makes counts of them.
    pub(super) fn walk(mut self, run: Run<'_>) -> Result<([f64; MOST_TYPES], f64)> {
        let count = self.walkers.len();
        let steps = self.asked.num_steps;
        let factor = self.space.factor(steps, &mut self.draws, run)?;
        let mut order = with_capacity(count, "walkers")?;
        let mut words = with_capacity(count, "words of walkers")?;
        let (mut hand, mut list) = (Hand::default(), Vec::new());
        let rounds = self.asked.stream.rounds();
        let (length, every) = (self.asked.k - self.asked.d + 1, (POLL / count).max(1));
        for t in 0..steps {
            if t % every == every - 1 {
                run.check()?;
                run.advance((every * count) as u64);
            }
            // 1. Who is in the same state.
            order.clear();
            order.extend(self.walkers.iter().zip(0..).map(|(walker, i)| (walker.states[0], i)));
            if self.asked.repelling {
                order.sort_unstable();
            }
            // 2. Each group shares the neighbours of its state.
            for group in order.chunk_by(|a, b| self.asked.repelling && a.0 == b.0) {
                let (state, first) = group[0];
                let degree = self.space.open(state, &mut list)?;
                words.clear();
                words.extend(group.iter().map(|&(_, i): &(_, usize)| self.walkers[i].draws.u64()));
                if group.len() == 1 {
                    let next = self.space.neighbour(state, any(degree, words[0]), &list);
                    self.walkers[first].go(degree, next);
                    continue;
                }
                let entity = self.number * count as u64 + first as u64;
                let mut draws = rounds.draws(Purpose::Cluster, entity, t as u32);
                hand.evenly(degree, &words, &mut draws)?;
                for (&(_, i), &arc) in group.iter().zip(&hand.arcs) {
                    self.walkers[i].go(degree, self.space.neighbour(state, arc, &list));
                }
            }
            // 3. What the last states show.
            if t + 2 >= length {
                for i in 0..count {
                    self.look(i, length);
                }
            }
        }
        run.advance((steps % every * count) as u64);
        let windows = count as f64 * (steps + 2 - length) as f64;
        Ok((self.sums.map(|sum| sum / windows), factor))
    }

    /// Counts the window of a walker's last states, if it covers enough nodes.
    fn look(&mut self, walker: usize, length: usize) {
        let Walkers { k, d, estimator, non_backtracking, .. } = *self.asked;
        let walker = &self.walkers[walker];
        let (mut nodes, mut found) = ([NOBODY; 4], 0);
        for state in &walker.states[..length] {
            for &node in &state[..d] {
                if !nodes[..found].contains(&node) {
                    nodes[found] = node;
                    found += 1;
                }
            }
        }
        if found == k {
            let inner = walker.degrees[1..length - 1].iter().map(|&n| f64::from(n)).product();
            let (kind, weight) =
                shown(self.space.graph, &nodes[..k], d, estimator, non_backtracking, inner);
            self.sums[kind] += weight;
        }
    }
}
