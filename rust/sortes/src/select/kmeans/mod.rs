//! The k-means++ family: centres drawn in proportion to the squared distance from those before.
//!
//! | file | holds |
//! |---|---|
//! | `points` | what the methods ask of data; dense rows |
//! | `sparse` | sparse rows |
//! | `blocks` | points in blocks of neighbours, side by side |
//! | `screening` | what a quick look in single precision says of distances |
//! | `neighbours` | an order of points in which neighbours come together |
//! | `envelope` | upper bounds of all distances, tightened as they are looked at |
//! | `centre_distances` | distances between centres, which spare distances to points |
//! | `lazy` | the exact law by rejection from the envelope: a fraction of the distances |
//! | `plain` | the textbook's pass over the data for each centre |
//! | `greedy` | the best of several draws for each centre |
//! | `rejection` | rejection from the norms alone (RS-k-means++) |
//! | `chain` | a Markov chain for each centre (AFK-MC2) |
//! | `parallel` | few rounds of many candidates (k-means||) |
//!
//! Draws are named by the number of the centre; no result depends on the number of threads. Progress
//! counts centres.

mod blocks;
mod centre_distances;
mod chain;
mod envelope;
mod greedy;
mod lazy;
mod neighbours;
mod parallel;
mod plain;
mod points;
mod rejection;
mod screening;
mod sparse;

use sortes_core::csr::{Csr, Index};
use sortes_core::error::shown;
use sortes_core::memory::{copied, reserve, with_capacity, zeroed};
use sortes_core::rng::{Draws, Purpose, Rounds, Stream};
use sortes_core::simd::distance::Coordinate;
use sortes_core::weights::DynamicWeights;
use sortes_core::{Error, Result, Run};

use envelope::Envelope;
use points::{Dense, Points};
use sparse::Sparse;

pub use points::Real;

/// Points between two looks at the stop request, where each takes a few nanoseconds.
const BLOCK: usize = 1 << 12;

/// How the centres are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// The law of k-means++, by rejection from an envelope that tightens.
    Lazy,
    /// The law of k-means++, from the distances of all points. With more than one local trial, each
    /// centre is the best of several draws (greedy k-means++).
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
    fn distances(self, n: usize, k: usize) -> f64 {
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

/// What is asked of some points.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// How many centres.
    pub n_clusters: usize,
    /// How they are drawn.
    pub method: Method,
    /// One for each point, if points have weights.
    pub sample_weight: Option<&'a [f64]>,
    /// Where the draws come from.
    pub stream: Stream,
    /// Whether the nearest centre of each point is asked for as well.
    pub assign: bool,
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

impl Request<'_> {
    /// About how many numbers are looked at, at most, for `n` points of `numbers` numbers in all.
    #[must_use]
    pub fn cost(&self, n: usize, numbers: usize) -> f64 {
        let width = numbers.div_ceil(n.max(1)).max(1) as f64;
        let assignment = if self.assign { n as f64 * self.n_clusters as f64 } else { 0.0 };
        numbers as f64 + (self.method.distances(n, self.n_clusters) + assignment) * width
    }

    /// Draws centres among the rows of a matrix of `dim` columns, given row after row.
    ///
    /// # Errors
    /// [`Error::Row`] or [`Error::Argument`] if a value is NaN, infinite or has a square beyond the
    /// range of `f64`, there are more centres than points or none, or weights are not finite,
    /// negative, all zero or not as many as points; if there is no memory, or the work is cancelled.
    pub fn dense<T: Real>(
        &self,
        data: &[T],
        dim: usize,
        run: Run<'_>,
    ) -> Result<(Seeding, Option<Assignment>)> {
        let mut points = Dense::new(data, dim);
        match points.checked(run)? {
            None => self.answer(&points, run),
            Some(wider) => self.answer(&wider, run),
        }
    }

    /// Draws centres among sparse rows.
    ///
    /// # Errors
    /// As [`dense`](Self::dense).
    pub fn sparse<T: Coordinate, I: Index>(
        &self,
        rows: Csr<'_, I, T>,
        run: Run<'_>,
    ) -> Result<(Seeding, Option<Assignment>)> {
        self.answer(&Sparse::new(rows, run)?, run)
    }

    fn answer<P: Points>(&self, points: &P, run: Run<'_>) -> Result<(Seeding, Option<Assignment>)> {
        let seeding = self.seed(points, run)?;
        let assignment =
            if self.assign { Some(assign(points, &seeding.indices, run)?) } else { None };
        Ok((seeding, assignment))
    }

    fn seed<P: Points>(&self, points: &P, run: Run<'_>) -> Result<Seeding> {
        let (n, n_clusters) = (points.len(), self.n_clusters);
        if n_clusters == 0 || n_clusters > n {
            let reason = format!("must be in [1, {n}], the number of points, got {n_clusters}");
            return Err(Error::argument("n_clusters", reason));
        }
        let relative = match self.sample_weight {
            None => None,
            Some(weights) => Some(relative(weights, n, run)?),
        };
        let (weights, rounds) = (relative.as_deref(), self.stream.rounds());
        let problem = Problem { points, weights, n_clusters, rounds, run, reports: true };
        match self.method {
            Method::Lazy => lazy::seed(&problem),
            Method::Plain { local_trials: 1 } => plain::seed(&problem),
            Method::Plain { local_trials } => greedy::seed(&problem, local_trials),
            Method::Rejection { max_trials, fallback } => {
                rejection::seed(&problem, max_trials, fallback)
            }
            Method::Chain { length } => chain::seed(&problem, length),
            Method::Parallel { oversampling, rounds } => {
                parallel::seed(&problem, oversampling, rounds)
            }
            Method::Random => random(&problem),
        }
    }
}

/// The weights relative to the largest: only their ratios count, and products with distances stay
/// finite.
fn relative(weights: &[f64], n: usize, run: Run<'_>) -> Result<Vec<f64>> {
    if weights.len() != n {
        let (expected, got) = (format!("({n},)"), format!("({},)", weights.len()));
        return Err(Error::Shape { name: "sample_weight", expected, got });
    }
    let mut largest = 0.0;
    for range in run.blocks(n, BLOCK) {
        for i in range? {
            if !(0.0..=f64::MAX).contains(&weights[i]) {
                return Err(Error::item("sample_weight", i, "[0, inf)", shown(weights[i])));
            }
            largest = weights[i].max(largest);
        }
    }
    if largest == 0.0 {
        return Err(Error::argument("sample_weight", "must hold a positive item, all are zero"));
    }
    let mut out = with_capacity(n, "weights")?;
    for range in run.blocks(n, BLOCK) {
        out.extend(weights[range?].iter().map(|w| w / largest));
    }
    Ok(out)
}

impl Seeding {
    fn of(indices: Vec<usize>) -> Self {
        Self { indices, trials: 0, evaluations: 0, refreshes: 0, degenerate: 0 }
    }

    fn push(&mut self, row: usize) -> Result<()> {
        reserve(&mut self.indices, 1, "centres")?;
        self.indices.push(row);
        Ok(())
    }
}

/// Each point's nearest among the given rows.
fn assign<P: Points>(points: &P, centres: &[usize], run: Run<'_>) -> Result<Assignment> {
    let mut envelope = Envelope::new(points, None, centres[0], centres.len(), run)?;
    for &row in &centres[1..] {
        envelope.join(row)?;
    }
    envelope.refresh()?;
    envelope.into_assignment()
}

/// The rounds that draws of a centre are counted by.
mod round {
    /// Proposals and their acceptance.
    pub(super) const TRIALS: u32 = 0;
    /// Points that fill in.
    pub(super) const FILL: u32 = 1;
    /// The first round of k-means||, where the entity is the point. After the last one comes the
    /// key of the reduction.
    pub(super) const OVERSAMPLING: u32 = 2;
}

/// What every method works with.
struct Problem<'a, P> {
    points: &'a P,
    /// Relative weights, at most one.
    weights: Option<&'a [f64]>,
    n_clusters: usize,
    rounds: Rounds,
    run: Run<'a>,
    /// Whether its centres are those of the call.
    reports: bool,
}

impl<P: Points> Problem<'_, P> {
    /// A centre has been drawn.
    fn advance(&self) {
        if self.reports {
            self.run.advance(1);
        }
    }

    fn trials(&self, centre: usize) -> Draws {
        self.rounds.draws(Purpose::Centre, centre as u64, round::TRIALS)
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// The squared distances of all points to a target.
    fn distances(&self, target: &P::Target) -> Result<Vec<f64>> {
        let mut out = zeroed(self.points.len(), "distances")?;
        self.run.fill_chunks(&mut out, BLOCK, |block, out| {
            self.points.distances(block * BLOCK..block * BLOCK + out.len(), target, out);
        })?;
        Ok(out)
    }

    /// The first centre: a point in proportion to its weight.
    fn first(&self) -> Result<usize> {
        let mut draws = self.trials(0);
        match self.weights {
            None => Ok(draws.below(self.points.len() as u64) as usize),
            Some(weights) => {
                let weights = copied(weights, "weights", self.run)?;
                let weights = DynamicWeights::new(weights, self.run)?;
                Ok(weights.pick(draws.uniform()).unwrap_or(0))
            }
        }
    }

    /// The distances to the first centre, of which there will be about `expected`.
    fn envelope(&self, expected: usize) -> Result<Envelope<'_, P>> {
        Envelope::new(self.points, self.weights, self.first()?, expected, self.run)
    }

    /// A point that is none of `chosen`, each as likely: what is taken where all distances are zero.
    /// Points without weight are taken when there are no others.
    fn fill(&self, chosen: &[usize]) -> Result<usize> {
        let n = self.points.len();
        let mut taken = copied(chosen, "points", self.run)?;
        for range in self.run.blocks(self.weights.map_or(0, <[f64]>::len), BLOCK) {
            let range = range?;
            reserve(&mut taken, range.len(), "points")?;
            taken.extend(range.filter(|&row| self.weight(row) == 0.0));
        }
        ascending(&mut taken);
        if taken.len() == n {
            taken = copied(chosen, "points", self.run)?;
            ascending(&mut taken);
        }
        let centre = chosen.len() as u64;
        let mut draws = self.rounds.draws(Purpose::Centre, centre, round::FILL);
        let mut row = draws.below((n - taken.len()) as u64) as usize;
        for taken in taken {
            row += usize::from(taken <= row);
        }
        Ok(row)
    }
}

/// Brings numbers in order, each once.
fn ascending(numbers: &mut Vec<usize>) {
    numbers.sort_unstable();
    numbers.dedup();
}

/// Distinct points one after the other, in proportion to their weights; then the weightless.
fn random<P: Points>(problem: &Problem<'_, P>) -> Result<Seeding> {
    let n = problem.points.len();
    let mut weights = with_capacity(n, "weights")?;
    for range in problem.run.blocks(n, BLOCK) {
        weights.extend(range?.map(|row| problem.weight(row)));
    }
    let mut rest = DynamicWeights::new(weights, problem.run)?;
    let mut out = Seeding::of(with_capacity(problem.n_clusters, "centres")?);
    while out.indices.len() < problem.n_clusters {
        problem.run.check()?;
        let pick = rest.pick(problem.trials(out.indices.len()).uniform());
        let row = if let Some(row) = pick {
            row
        } else {
            out.degenerate += 1;
            problem.fill(&out.indices)?
        };
        rest.set(row, 0.0);
        out.push(row)?;
        problem.advance();
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
