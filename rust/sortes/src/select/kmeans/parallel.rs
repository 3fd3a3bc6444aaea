//! k-means++ in few rounds of many candidates.
//!
//! Bahmani, Moseley, Vattani, Kumar and Vassilvitskii, "Scalable k-means++" (VLDB 2012).

use sortes_core::Result;
use sortes_core::rng::Purpose;

use super::{Points, Problem, Seeding, lazy, plain, step};

pub(super) fn seed<P: Points>(
    problem: &Problem<'_, P>,
    oversampling: f64,
    rounds: usize,
) -> Result<Seeding> {
    let (n, k) = (problem.points.len(), problem.k);
    let expected = (oversampling * rounds as f64).min(n as f64) as usize;
    let mut envelope = problem.envelope(k.max(2 * expected).min(n))?;
    for round in 0..rounds {
        problem.cancel.check()?;
        envelope.refresh()?;
        let total = envelope.bounds().total();
        if total <= 0.0 {
            break;
        }
        let joining: Vec<usize> = envelope
            .bounds()
            .as_slice()
            .iter()
            .enumerate()
            .filter(|&(row, &bound)| {
                let mut draws = problem
                    .stream
                    .at_step(step::ROUNDS + round as u32)
                    .draws(Purpose::Centre, row as u64);
                bound > 0.0 && draws.uniform() * total < oversampling * bound
            })
            .map(|(row, _)| row)
            .collect();
        for row in joining {
            envelope.choose(row);
        }
    }
    let mut wanted = k;
    let (candidates, reduced) = loop {
        // Too few candidates: the rest as k-means++ would draw them.
        while envelope.chosen().len() < wanted {
            let mut draws = problem.trials(envelope.chosen().len());
            let row = lazy::next(problem, &mut envelope, &mut draws)?;
            envelope.choose(row);
        }
        envelope.refresh()?;
        let candidates = envelope.chosen().to_vec();
        let mut weights = vec![0.0; candidates.len()];
        for (row, &label) in envelope.labels().iter().enumerate() {
            weights[label as usize] += problem.weight(row);
        }
        let subset = problem.points.subset(&candidates);
        let reduced = reduce(problem, &subset, &weights, rounds)?;
        // Those of one round may coincide: then there are fewer than it seems. That more are
        // needed has nothing to do with the draws of the reduction, which is done afresh.
        if reduced.degenerate == 0 || envelope.bounds().total() <= 0.0 {
            break (candidates, reduced);
        }
        wanted = (candidates.len() + reduced.degenerate).min(n);
    };
    let mut out = envelope.into_seeding();
    out.indices = reduced.indices.into_iter().map(|i| candidates[i]).collect();
    out.trials += reduced.trials;
    out.evaluations += reduced.evaluations;
    out.degenerate = reduced.degenerate;
    Ok(out)
}

/// How many draws each step of the reduction chooses from.
pub(super) fn local_trials(k: f64) -> f64 {
    (2.0 + k.ln()).floor()
}

/// Reduces the weighted candidates to `k` centres, greedily.
fn reduce<P: Points>(
    problem: &Problem<'_, impl Points>,
    candidates: &P,
    weights: &[f64],
    rounds: usize,
) -> Result<Seeding> {
    let problem = Problem {
        points: candidates,
        weights: Some(weights),
        k: problem.k,
        stream: problem.stream.at_step(step::ROUNDS + rounds as u32).child(0),
        threads: problem.threads,
        cancel: problem.cancel,
    };
    plain::seed(&problem, local_trials(problem.k as f64) as usize)
}
