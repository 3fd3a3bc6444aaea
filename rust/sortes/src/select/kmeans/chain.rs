//! k-means++ by Markov chains.
//!
//! Bachem, Lucic, Hassani and Krause, "Fast and provably good seedings for k-means" (NIPS 2016).

use sortes_core::simd::distance::Nearest;
use sortes_core::{Result, Run};

use super::{Points, Problem, Seeding};
use sortes_core::weights::DynamicWeights;

pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, length: usize) -> Result<Seeding> {
    let (points, n, k) = (problem.points, problem.points.len(), problem.k);
    let first = problem.first()?;
    let mut proposal = problem.distances(&points.target(first));
    // Half in proportion to the distance from the first centre, half to the weight alone.
    let weight = |row| problem.weight(row);
    let (mut spread, mut mass) = (0.0, 0.0);
    for (row, distance) in proposal.iter().enumerate() {
        spread += weight(row) * distance;
        mass += weight(row);
    }
    for q in &mut proposal {
        *q = if spread > 0.0 { 0.5 * *q / spread } else { 0.0 } + 0.5 / mass;
    }
    let law = DynamicWeights::new(
        (0..n).map(|row| weight(row) * proposal[row]).collect(),
        Run::new(problem.threads, problem.cancel),
    )?;

    let mut out = Seeding::of(vec![first]);
    out.evaluations = n as u64;
    let mut centres = points.centres(k);
    points.push(first, &mut centres);
    problem.cancel.advance(1);
    let mut which = vec![0];
    while out.indices.len() < k {
        let mut draws = problem.trials(out.indices.len());
        let (mut at, mut potential, mut density) = (first, 0.0, 1.0);
        for step in 0..length {
            problem.cancel.check()?;
            let Some(row) = law.pick(draws.uniform()) else { break };
            let coin = draws.uniform();
            let unknown = Nearest { distance: f64::INFINITY, centre: 0, evaluations: 0 };
            let found = points.nearest(row, &centres, &which, unknown, 0.0);
            out.evaluations += found.evaluations as u64;
            out.trials += 1;
            // Metropolis and Hastings; weights cancel. The chain begins with its first proposal.
            let moves = found.distance * density > coin * potential * proposal[row];
            if step == 0 || potential == 0.0 || moves {
                (at, potential, density) = (row, found.distance, proposal[row]);
            }
        }
        points.push(at, &mut centres);
        which.push(out.indices.len() as u32);
        out.indices.push(at);
        problem.cancel.advance(1);
    }
    Ok(out)
}
