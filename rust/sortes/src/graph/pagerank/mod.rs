//! PageRank by walks: of the whole graph with standard errors, and of single nodes as sparse rows.
//!
//! A surfer starts at a node drawn by `v`, and halts before each move with probability `p`. The chance
//! that it halts at a node is that node's PageRank, `p sum_t (1 - p)^t v P^t`; so is `p` times the
//! expected number of its visits.
//!
//! | file | holds |
//! |---|---|
//! | [`ranks`] | PageRank, and how sure it is |
//! | [`personal`] | that of single nodes |
//! | [`starts`] | how walkers are shared out over the nodes that they start from |

mod personal;
mod ranks;
mod starts;

pub use personal::{Rows, personal};
pub use ranks::{Ranks, Ways, ranks};
use sortes_core::rng::Stream;
use sortes_core::{Result, Run, order};

use super::walks::{Dangling, Jumps, Law, Moves, Plan, Repulsion, Scheme, Starts};
use super::walks::{Termination, Transition, Walks};

/// Moves of a batch, about: its walks are counted while they are in the cache.
const BATCH: f64 = 65_536.0;

/// More visits than this are sorted by what can be stopped.
const LONG: usize = 1 << 16;

/// Sorts the visits of an ensemble or a block.
fn sort<T: Ord + Copy + Send + Sync>(visits: &mut [T], run: Run<'_>) -> Result<()> {
    if visits.len() > LONG {
        return order::sort(visits, T::cmp, run.serial());
    }
    visits.sort_unstable();
    Ok(())
}

/// What is counted of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every node it is at, the start too.
    Visits,
    /// The node at which it halts.
    Endpoint,
}

/// Where a surfer goes at a node without arcs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadEnd {
    /// To a node drawn as its start was.
    Restart,
    /// To any node.
    Uniform,
    /// Nowhere: it stays until it halts.
    Stay,
}

/// The surfers.
#[derive(Debug, Clone, Copy)]
pub struct Surfers {
    /// The chance to go on before each move, in `[0, 1)`.
    pub alpha: f64,
    /// How many there are in an ensemble.
    pub num_walks: usize,
    /// What is counted.
    pub method: Method,
    /// Where they go at a node without arcs.
    pub dead_end: DeadEnd,
    /// Whether those of an ensemble repel each other.
    pub repelling: bool,
    /// How those of an ensemble end.
    pub termination: Termination,
    /// Where the random numbers come from.
    pub stream: Stream,
}

impl Surfers {
    fn law(&self) -> Law {
        Law::Geometric(1.0 - self.alpha)
    }

    /// The nodes that a surfer is expected to be at.
    fn nodes_each(&self) -> f64 {
        1.0 / (1.0 - self.alpha)
    }

    /// What a walk that is counted once contributes.
    fn share(&self) -> f64 {
        match self.method {
            Method::Visits => 1.0 - self.alpha,
            Method::Endpoint => 1.0,
        }
    }

    /// Of items with so many ensembles each, how many make a batch.
    fn batch(&self, ensembles: usize) -> usize {
        let each = ensembles as f64 * self.num_walks as f64 * self.nodes_each();
        (BATCH / each).max(1.0) as usize
    }

    /// The walks of some ensembles; `jumps` say where those go that restart, if not to their starts.
    fn plan<'a>(&self, law: &'a Law, starts: Starts<'a>) -> Plan<'a> {
        Plan {
            starts,
            num_walks: self.num_walks,
            moves: Moves::Random(law, self.termination, None),
            transition: Transition::Simple,
            repulsion: self.repelling.then_some(Repulsion {
                scheme: Scheme::Auto,
                all: false,
                transient: false,
            }),
            dangling: match self.dead_end {
                DeadEnd::Stay => Dangling::Stay,
                DeadEnd::Restart | DeadEnd::Uniform => Dangling::Restart,
            },
            stream: self.stream,
        }
    }

    /// Where those go that leave a node without arcs.
    fn jumps<'a>(&self, nodes: usize, restart: Option<Jumps<'a>>) -> Option<Jumps<'a>> {
        match self.dead_end {
            DeadEnd::Restart => restart,
            DeadEnd::Uniform => Some(Jumps::Anywhere(nodes)),
            DeadEnd::Stay => None,
        }
    }

    /// The nodes that count of a walk.
    fn counted<'a>(&self, walks: &'a Walks<i32>, walk: usize) -> &'a [i32] {
        let offsets = walks.offsets.as_deref().unwrap_or(&[]);
        let (begin, end) = (offsets[walk] as usize, offsets[walk + 1] as usize);
        match self.method {
            Method::Visits => &walks.nodes[begin..end],
            Method::Endpoint => &walks.nodes[end - 1..end],
        }
    }
}
