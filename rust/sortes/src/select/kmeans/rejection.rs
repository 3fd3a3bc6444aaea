//! Exact k-means++ by rejection from the norms.
//!
//! Shah, Agrawal and Jaiswal, "A new rejection sampling approach to k-means++ with improved
//! trade-offs", 2025, arXiv:2502.02085. With distances taken to any fixed reference, here the mean,
//! `D(x) <= |x - c1|^2 <= 2 (|x|^2 + |c1|^2)`: a law that never changes covers those of all centres.

use sortes_core::Result;
use sortes_core::memory::{reserve, with_capacity};
use sortes_core::rng::Draws;
use sortes_core::simd::distance::Nearest;
use sortes_core::weights::DynamicWeights;

use super::envelope::Envelope;
use super::{BLOCK, Fallback, Points, Problem, Seeding, lazy};

/// After this many trials in a row, all distances are computed, and if they are zero the law has no
/// mass left. The law does not change by it: what is accepted later has the law of what is drawn.
pub(super) fn patience(n: usize, k: usize) -> u64 {
    1000 + 64 * (n / k) as u64
}

pub(super) fn seed<P: Points>(
    problem: &Problem<'_, P>,
    max_trials: Option<u64>,
    fallback: Fallback,
) -> Result<Seeding> {
    let (points, n, run) = (problem.points, problem.points.len(), problem.run);
    let k = problem.n_clusters;
    let norms = problem.distances(&points.mean(problem.weights, run)?)?;
    let first = problem.first()?;
    // The envelope of a point: w (|x|^2 + |c1|^2).
    let around = norms[first];
    let mut bounds = with_capacity(n, "bounds")?;
    for range in run.blocks(n, BLOCK) {
        bounds.extend(range?.map(|row| problem.weight(row) * (norms[row] + around)));
    }
    let proposals = DynamicWeights::new(bounds, run)?;

    let mut out = Seeding::of(vec![first]);
    out.evaluations = n as u64;
    let mut centres = points.centres(k)?;
    points.push(first, &mut centres)?;
    problem.advance();
    let mut which = vec![0];
    while out.indices.len() < k {
        let mut draws = problem.trials(out.indices.len());
        let limit = max_trials.unwrap_or(patience(n, k));
        let (mut accepted, mut trials) = (None, 0);
        while trials < limit && accepted.is_none() && out.degenerate == 0 {
            run.check()?;
            let Some(row) = proposals.pick(draws.uniform()) else { break };
            trials += 1;
            let threshold = draws.uniform() * 2.0 * (norms[row] + around);
            let unknown = Nearest { distance: f64::INFINITY, centre: 0, evaluations: 0 };
            let found = points.nearest(row, &centres, &which, unknown, threshold);
            out.evaluations += found.evaluations as u64;
            accepted = (found.distance > threshold).then_some(row);
        }
        out.trials += trials;
        let row = match accepted {
            Some(row) => row,
            None if max_trials.is_some() && fallback == Fallback::Uniform => {
                problem.fill(&out.indices)?
            }
            // What has no mass left will not have any.
            None if out.degenerate > 0 => {
                out.degenerate += 1;
                problem.fill(&out.indices)?
            }
            None => exactly(problem, &mut out, &mut draws)?,
        };
        points.push(row, &mut centres)?;
        reserve(&mut which, 1, "centres")?;
        which.push(out.indices.len() as u32);
        out.push(row)?;
        problem.advance();
    }
    Ok(out)
}

/// The next centre from the distances of all points. The draws are those after the trials that
/// failed: drawn again, they would know of the failure.
fn exactly<P: Points>(
    problem: &Problem<'_, P>,
    out: &mut Seeding,
    draws: &mut Draws,
) -> Result<usize> {
    let Problem { points, weights, run, .. } = *problem;
    let mut envelope = Envelope::new(points, weights, out.indices[0], out.indices.len(), run)?;
    for &row in &out.indices[1..] {
        envelope.choose(row)?;
    }
    envelope.refresh()?;
    let row = lazy::next(problem, &mut envelope, draws)?;
    let spent = envelope.into_seeding();
    out.evaluations += spent.evaluations;
    out.refreshes += spent.refreshes;
    out.degenerate += spent.degenerate;
    Ok(row)
}
