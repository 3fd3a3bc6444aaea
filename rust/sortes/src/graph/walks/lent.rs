//! Walks that nobody keeps: made in memory that is used again, for what is counted of them.

use sortes_core::memory::{Zero, reserve};
use sortes_core::{Result, Run};

use super::super::structure::Graph;
use super::lengths::Lengths;
use super::{Id, Moves, Order, Part, Plan, lockstep, repelling, rules};

impl Id for u32 {
    const NONE: Self = Self::MAX;
    #[inline(always)]
    fn of(node: u32) -> Self {
        node
    }
}

/// The walks of some starts, one after the other.
#[derive(Debug, Default)]
pub(in super::super) struct Lent {
    /// How many moves each walk was to make.
    lengths: Vec<u64>,
    moves: Vec<u64>,
    nodes: Vec<u32>,
    arcs: Vec<i64>,
}

/// A walk: its nodes, and the numbers of the arcs that led to them, if they are wanted: -1 at the start.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Walk<'a> {
    pub(in super::super) nodes: &'a [u32],
    pub(in super::super) arcs: &'a [i64],
}

impl Lent {
    /// Makes the simple walks of a plan, whose lengths are random, on the calling thread. Their start
    /// counts as a node. The lengths may have been drawn before.
    ///
    /// # Errors
    /// If there is no memory for the walks, or the work is cancelled.
    pub(in super::super) fn walk(
        &mut self,
        graph: &Graph,
        plan: &Plan<'_>,
        drawn: &[u64],
        arcs: bool,
        run: Run<'_>,
    ) -> Result<()> {
        let walkers = plan.walkers();
        let first = plan.starts.first * plan.num_walks as u64;
        let total = if drawn.is_empty() {
            plan.lengths_into(&mut self.lengths)?
        } else {
            zeros(&mut self.lengths, walkers)?;
            self.lengths.copy_from_slice(drawn);
            nodes_of(drawn)
        };
        zeros(&mut self.moves, walkers)?;
        self.moves.copy_from_slice(&self.lengths);
        zeros(&mut self.nodes, total)?;
        zeros(&mut self.arcs, if arcs { total } else { 0 })?;
        let mut part = Part {
            first,
            walkers,
            nodes: &mut self.nodes[..],
            edges: &mut self.arcs,
            moves: &mut self.moves,
            next: 0,
        };
        match plan.repulsion {
            Some(repulsion) => {
                let sums = graph.running_sums(run)?;
                repelling::walk(Order::Auto, graph, plan, repulsion, sums, &mut part, run)
            }
            None => lockstep::walk(graph, plan, &rules::Simple, &mut part, run),
        }
    }

    /// How many moves the longest of them makes.
    pub(in super::super) fn longest(&self) -> usize {
        self.moves.iter().copied().max().map_or(0, |moves| moves as usize)
    }

    /// The walks, in order.
    pub(in super::super) fn walks(&self) -> impl Iterator<Item = Walk<'_>> {
        self.lengths.iter().zip(&self.moves).scan(0, |next, (&length, &moves)| {
            let begin = *next;
            *next += length as usize + 1;
            let end = begin + moves as usize + 1;
            let arcs = if self.arcs.is_empty() { &[][..] } else { &self.arcs[begin..end] };
            Some(Walk { nodes: &self.nodes[begin..end], arcs })
        })
    }
}

impl Plan<'_> {
    /// Draws the lengths of all walks; returns how many nodes they have together at most.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub(in super::super) fn lengths_into(&self, out: &mut Vec<u64>) -> Result<usize> {
        zeros(out, self.walkers())?;
        let first = self.starts.first * self.num_walks as u64;
        if let Moves::Random(law, termination, most) = self.moves {
            let most = most.map_or(u64::MAX, u64::from);
            let lengths = Lengths::new(law, termination, most, self.stream);
            lengths.fill(first, self.num_walks, out)?;
        }
        Ok(nodes_of(out))
    }
}

/// How many nodes walks of these lengths have together at most.
fn nodes_of(lengths: &[u64]) -> usize {
    lengths.iter().fold(0usize, |sum, &n| {
        sum.saturating_add(usize::try_from(n).unwrap_or(usize::MAX)).saturating_add(1)
    })
}

/// Makes a buffer hold so many zeros.
fn zeros<T: Zero + Copy + Default>(buffer: &mut Vec<T>, len: usize) -> Result<()> {
    buffer.clear();
    reserve(buffer, len, "walks of one task")?;
    buffer.resize(len, T::default());
    Ok(())
}
