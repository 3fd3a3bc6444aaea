//! The k-means++ family: centres drawn in proportion to the squared distance from those before.
//!
//! | file | holds |
//! |---|---|
//! | [`points`] | what the methods ask of data; dense rows |
//! | [`csr`] | sparse rows |
//! | [`envelope`] | upper bounds of all distances, tightened as they are looked at |
//! | [`between`] | distances between centres, which spare distances to points |
//! | `lazy` | the exact law by rejection from the envelope: a fraction of the distances |
//! | `plain` | the textbook's pass over the data for each centre; greedy local trials |
//! | `rejection` | rejection from the norms alone (RS-k-means++) |
//! | `chain` | a Markov chain for each centre (AFK-MC2) |
//! | `parallel` | few rounds of many candidates (k-means||) |
//!
//! Draws are named by the number of the centre; no result depends on the number of threads.

pub mod between;
mod chain;
pub mod csr;
pub mod envelope;
mod lazy;
mod parallel;
mod plain;
pub mod points;
mod rejection;

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::rng::{Draws, Purpose, Stream};
use sortes_core::{Error, Result, Run};

use super::weighted::DynamicWeights;
use envelope::Envelope;

pub use csr::Csr;
pub use points::{Dense, Points};

/// How the centres are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The law of k-means++, by rejection from an envelope that tightens.
    Lazy,
    /// The law of k-means++, from the distances of all points. With more than one local trial, each
    /// centre is the best of so many draws (greedy k-means++).
    Plain {
        /// Candidates for each centre, at least one.
        local_trials: usize,
    },
    /// The law of k-means++, by rejection from the norms of the points.
    Rejection {
        /// Proposals for each centre; none is as many as it takes.
        max_trials: Option<u64>,
        /// What is done when they are used up.
        fallback: Fallback,
    },
    /// About the law of k-means++, by Metropolis-Hastings chains.
    Chain {
        /// Proposals for each centre, at least one.
        length: usize,
    },
    /// Oversampled candidates, reduced by weighted greedy k-means++.
    Parallel {
        /// Expected candidates of a round.
        oversampling: f64,
        /// How many rounds.
        rounds: usize,
    },
    /// Distinct points in proportion to their weights alone.
    Random,
}

impl Method {
    /// How many distances may have to be computed, about and at most, for `k` centres of `n` points.
    #[must_use]
    pub fn distances(self, n: usize, k: usize) -> f64 {
        let (n, k) = (n as f64, k as f64);
        match self {
            Method::Lazy => n * k,
            Method::Plain { local_trials } => n * k * local_trials as f64,
            Method::Rejection { max_trials, .. } => {
                let limit = max_trials.unwrap_or(rejection::patience(n as usize, k as usize));
                n * k + limit as f64 * k * k
            }
            Method::Chain { length } => n + length as f64 * k * k,
            Method::Parallel { oversampling, rounds } => {
                let candidates = (oversampling * rounds as f64).min(n) + k;
                // In each round every point draws, which takes as long as some distances.
                n * 4.0 * rounds as f64 + candidates * (candidates + k * parallel::local_trials(k))
            }
            Method::Random => k,
        }
    }
}

/// What rejection does when its trials are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Computes all distances, and draws from them.
    Exact,
    /// Takes a point that is no centre yet, each as likely.
    Uniform,
}

/// Centres, and what they cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeding {
    /// The rows that became centres, in order.
    pub indices: Vec<usize>,
    /// Proposals, accepted or not.
    pub trials: u64,
    /// Squared distances computed, those between centres included.
    pub evaluations: u64,
    /// Passes that brought the bounds of all points up to date.
    pub refreshes: u64,
    /// How many centres were filled in because every point coincided with a centre.
    pub degenerate: usize,
}

/// Each point's nearest centre.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Squared distances.
    pub distances: Vec<f64>,
    /// Positions of the centres, the lowest among equals.
    pub labels: Vec<u32>,
}

/// Names of the sequences of draws of one centre.
mod step {
    /// Proposals and their acceptance.
    pub(super) const TRIALS: u32 = 0;
    /// Points that fill in.
    pub(super) const FILL: u32 = 1;
    /// The rounds of k-means||, where the entity is the point, and then the reduction's key.
    pub(super) const ROUNDS: u32 = 2;
}

/// What every method works with.
struct Problem<'a, P> {
    points: &'a P,
    /// Relative weights, at most one.
    weights: Option<&'a [f64]>,
    k: usize,
    stream: Stream,
    threads: Threads<'a>,
    cancel: &'a Cancel,
}

impl<P: Points> Problem<'_, P> {
    fn trials(&self, centre: usize) -> Draws {
        self.stream.at_step(step::TRIALS).draws(Purpose::Centre, centre as u64)
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// The squared distances of all points to a target.
    fn distances(&self, target: &P::Target) -> Vec<f64> {
        const BLOCK: usize = 4096;
        let mut out = vec![0.0; self.points.len()];
        self.threads.fill_chunks(&mut out, BLOCK, |block, out| {
            self.points.distances(block * BLOCK..block * BLOCK + out.len(), target, out);
        });
        out
    }

    /// The first centre: a point in proportion to its weight.
    fn first(&self) -> Result<usize> {
        let mut draws = self.trials(0);
        match self.weights {
            None => Ok(draws.below(self.points.len() as u64) as usize),
            Some(weights) => {
                let run = Run::new(self.threads, self.cancel);
                let weights = DynamicWeights::new(weights.to_vec(), run)?;
                Ok(weights.pick(draws.uniform()).unwrap_or(0))
            }
        }
    }

    /// The distances to the first centre, of which there will be about `expected`.
    fn envelope(&self, expected: usize) -> Result<Envelope<'_, P>> {
        let Self { points, weights, threads, cancel, .. } = *self;
        Envelope::new(points, weights, self.first()?, expected, threads, cancel)
    }

    /// A point that is none of `chosen`, each as likely: what is taken where all distances are zero.
    /// Points without weight are taken when there are no others.
    fn fill(&self, chosen: &[usize]) -> usize {
        let n = self.points.len();
        let weights = self.weights.into_iter().flatten().enumerate();
        let weightless = weights.filter(|&(_, &weight)| weight == 0.0).map(|(row, _)| row);
        let mut taken = ascending(chosen.iter().copied().chain(weightless));
        if taken.len() == n {
            taken = ascending(chosen.iter().copied());
        }
        let mut draws = self.stream.at_step(step::FILL).draws(Purpose::Centre, chosen.len() as u64);
        let mut row = draws.below((n - taken.len()) as u64) as usize;
        for taken in taken {
            row += usize::from(taken <= row);
        }
        row
    }
}

/// The different ones of some numbers, in order.
fn ascending(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut out: Vec<usize> = numbers.collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Draws `k` centres.
///
/// `weights` are finite and not negative, and some are positive.
///
/// # Errors
/// [`Error::Argument`] if `k` is zero or exceeds the number of points; [`Error::Cancelled`].
pub fn seed<P: Points>(
    points: &P,
    weights: Option<&[f64]>,
    k: usize,
    method: Method,
    stream: Stream,
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Seeding> {
    let n = points.len();
    if k == 0 || k > n {
        let reason = format!("must be in [1, {n}], the number of points, got {k}");
        return Err(Error::argument("n_clusters", reason));
    }
    cancel.expect(k as u64);
    // Weights of any size: only their ratios count, and products with distances stay finite.
    let relative: Option<Vec<f64>> = weights.map(|weights| {
        let largest = weights.iter().copied().fold(0.0, f64::max);
        weights.iter().map(|w| w / largest).collect()
    });
    let problem = Problem { points, weights: relative.as_deref(), k, stream, threads, cancel };
    match method {
        Method::Lazy => lazy::seed(&problem),
        Method::Plain { local_trials } => plain::seed(&problem, local_trials),
        Method::Rejection { max_trials, fallback } => {
            rejection::seed(&problem, max_trials, fallback)
        }
        Method::Chain { length } => chain::seed(&problem, length),
        Method::Parallel { oversampling, rounds } => parallel::seed(&problem, oversampling, rounds),
        Method::Random => random(&problem),
    }
}

/// Distinct points one after the other, in proportion to their weights; then the weightless.
fn random<P: Points>(problem: &Problem<'_, P>) -> Result<Seeding> {
    let n = problem.points.len();
    let mut rest = DynamicWeights::new(
        (0..n).map(|row| problem.weight(row)).collect(),
        Run::new(problem.threads, problem.cancel),
    )?;
    let mut out = Seeding::of(Vec::with_capacity(problem.k));
    while out.indices.len() < problem.k {
        problem.cancel.check()?;
        let row = rest.pick(problem.trials(out.indices.len()).uniform()).unwrap_or_else(|| {
            out.degenerate += 1;
            problem.fill(&out.indices)
        });
        rest.set(row, 0.0);
        out.indices.push(row);
        problem.cancel.advance(1);
    }
    Ok(out)
}

impl Seeding {
    fn of(indices: Vec<usize>) -> Self {
        Self { indices, trials: 0, evaluations: 0, refreshes: 0, degenerate: 0 }
    }
}

/// Each point's nearest among the given rows.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn assign<P: Points>(
    points: &P,
    centres: &[usize],
    threads: Threads<'_>,
    cancel: &Cancel,
) -> Result<Assignment> {
    let mut envelope = Envelope::new(points, None, centres[0], centres.len(), threads, cancel)?;
    for &row in &centres[1..] {
        envelope.join(row);
    }
    envelope.refresh()?;
    Ok(envelope.into_assignment())
}

#[cfg(test)]
mod tests;
