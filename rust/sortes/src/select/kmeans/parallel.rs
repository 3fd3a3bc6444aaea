//! k-means++ in few rounds of many candidates.
//!
//! Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, "Scalable k-means++", VLDB 2012.

use sortes_core::Result;
use sortes_core::memory::{copied, reserve, zeroed};
use sortes_core::rng::Purpose;

use super::envelope::Envelope;
use super::{BLOCK, Points, Problem, Seeding, greedy, lazy, round};

pub(super) fn seed<P: Points>(
    problem: &Problem<'_, P>,
    oversampling: f64,
    rounds: usize,
) -> Result<Seeding> {
    let (n, k, run) = (problem.points.len(), problem.n_clusters, problem.run);
    let expected = (oversampling * rounds as f64).min(n as f64) as usize;
    let mut envelope = problem.envelope(k.max(2 * expected).min(n))?;
    // The rounds, and the reduction after them, count as equally many centres.
    let (share, mut reported) = (k / (rounds + 1), 0);
    for round in 0..rounds {
        run.check()?;
        envelope.refresh()?;
        let total = envelope.bounds().total();
        if total <= 0.0 {
            break;
        }
        for row in joining(problem, &envelope, oversampling, total, round)? {
            envelope.choose(row)?;
        }
        run.advance(share as u64);
        reported += share;
    }
    let mut wanted = k;
    let (candidates, reduced) = loop {
        // Too few candidates: the rest as k-means++ would draw them.
        while envelope.chosen().len() < wanted {
            let mut draws = problem.trials(envelope.chosen().len());
            let row = lazy::next(problem, &mut envelope, &mut draws)?;
            envelope.choose(row)?;
        }
        // The weight of a candidate is that of the points nearest to it.
        envelope.refresh()?;
        let candidates = copied(envelope.chosen(), "candidates", run)?;
        let mut weights: Vec<f64> = zeroed(candidates.len(), "weights of candidates")?;
        for range in run.blocks(n, BLOCK) {
            for row in range? {
                weights[envelope.labels()[row] as usize] += problem.weight(row);
            }
        }
        let subset = problem.points.subset(&candidates, run)?;
        let reduced = reduce(problem, &subset, &weights, rounds)?;
        // Those of one round may coincide: then there are fewer than it seems. That more are
        // needed has nothing to do with the draws of the reduction, which is done afresh.
        if reduced.degenerate == 0 || envelope.bounds().total() <= 0.0 {
            break (candidates, reduced);
        }
        wanted = (candidates.len() + reduced.degenerate).min(n);
    };
    run.advance((k - reported) as u64);
    let mut out = envelope.into_seeding();
    out.indices = reduced.indices;
    for row in &mut out.indices {
        *row = candidates[*row];
    }
    out.trials += reduced.trials;
    out.evaluations += reduced.evaluations;
    out.degenerate = reduced.degenerate;
    Ok(out)
}

/// The points that one round adds to the candidates: each independently, with a probability in
/// proportion to its bound.
fn joining<P: Points>(
    problem: &Problem<'_, P>,
    envelope: &Envelope<'_, P>,
    oversampling: f64,
    total: f64,
    round: usize,
) -> Result<Vec<usize>> {
    let bounds = envelope.bounds().as_slice();
    let mut joining = Vec::new();
    for range in problem.run.blocks(bounds.len(), BLOCK) {
        let range = range?;
        reserve(&mut joining, range.len(), "candidates")?;
        joining.extend(range.filter(|&row| {
            let round = round::OVERSAMPLING + round as u32;
            let mut draws = problem.rounds.draws(Purpose::Centre, row as u64, round);
            bounds[row] > 0.0 && draws.uniform() * total < oversampling * bounds[row]
        }));
    }
    Ok(joining)
}

/// How many draws each step of the reduction chooses from.
pub(super) fn local_trials(k: f64) -> f64 {
    (2.0 + k.ln()).floor()
}

/// Reduces the weighted candidates to the wanted centres, greedily.
fn reduce<P: Points>(
    problem: &Problem<'_, impl Points>,
    candidates: &P,
    weights: &[f64],
    rounds: usize,
) -> Result<Seeding> {
    let round = round::OVERSAMPLING + rounds as u32;
    let problem = Problem {
        points: candidates,
        weights: Some(weights),
        n_clusters: problem.n_clusters,
        rounds: problem.rounds.child(0, round),
        run: problem.run,
        reports: false,
    };
    greedy::seed(&problem, local_trials(problem.n_clusters as f64) as usize)
}
