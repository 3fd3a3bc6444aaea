//! k-means++ by Markov chains.
//!
//! Bachem, Lucic, Hassani and Krause, "Fast and provably good seedings for k-means", NIPS 2016.

use sortes_core::Result;
use sortes_core::memory::{reserve, with_capacity};
use sortes_core::simd::distance::Nearest;
use sortes_core::weights::DynamicWeights;

use super::{BLOCK, Points, Problem, Seeding};

pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, length: usize) -> Result<Seeding> {
    let (points, n, run) = (problem.points, problem.points.len(), problem.run);
    let first = problem.first()?;
    // What chains propose: half in proportion to the distance from the first centre, half to the
    // weight alone.
    let mut proposal = problem.distances(&points.target(first)?)?;
    let weight = |row| problem.weight(row);
    let (mut spread, mut mass) = (0.0, 0.0);
    for range in run.blocks(n, BLOCK) {
        for row in range? {
            spread += weight(row) * proposal[row];
            mass += weight(row);
        }
    }
    let mut law = with_capacity(n, "proposals")?;
    for range in run.blocks(n, BLOCK) {
        for row in range? {
            let spread = if spread > 0.0 { 0.5 * proposal[row] / spread } else { 0.0 };
            proposal[row] = spread + 0.5 / mass;
            law.push(weight(row) * proposal[row]);
        }
    }
    let law = DynamicWeights::new(law, run)?;

    let mut out = Seeding::of(vec![first]);
    out.evaluations = n as u64;
    let mut centres = points.centres(problem.n_clusters)?;
    points.push(first, &mut centres)?;
    problem.advance();
    let mut which = vec![0];
    while out.indices.len() < problem.n_clusters {
        let mut draws = problem.trials(out.indices.len());
        let (mut at, mut potential, mut density) = (first, 0.0, 1.0);
        for step in 0..length {
            run.check()?;
            let Some(row) = law.pick(draws.uniform()) else { break };
            let acceptance = draws.uniform();
            let unknown = Nearest { distance: f64::INFINITY, centre: 0, evaluations: 0 };
            let found = points.nearest(row, &centres, &which, unknown, 0.0);
            out.evaluations += found.evaluations as u64;
            out.trials += 1;
            // Metropolis and Hastings; weights cancel. The chain begins with its first proposal.
            let moves = found.distance * density > acceptance * potential * proposal[row];
            if step == 0 || potential == 0.0 || moves {
                (at, potential, density) = (row, found.distance, proposal[row]);
            }
        }
        points.push(at, &mut centres)?;
        reserve(&mut which, 1, "centres")?;
        which.push(out.indices.len() as u32);
        out.push(at)?;
        problem.advance();
    }
    Ok(out)
}
