//! Exact k-means++ by rejection from an envelope.

use sortes_core::Result;
use sortes_core::rng::Draws;

use super::envelope::{Envelope, Trial};
use super::{Points, Problem, Seeding};

/// Draws all centres; looks at every point once, and again only where that is cheaper than trials.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>) -> Result<Seeding> {
    let mut envelope = problem.envelope(problem.n_clusters)?;
    problem.advance();
    while envelope.chosen().len() < problem.n_clusters {
        let mut draws = problem.trials(envelope.chosen().len());
        let row = next(problem, &mut envelope, &mut draws)?;
        envelope.choose(row)?;
        problem.advance();
    }
    Ok(envelope.into_seeding())
}

/// The next centre, by as many trials as it takes.
pub(super) fn next<P: Points>(
    problem: &Problem<'_, P>,
    envelope: &mut Envelope<'_, P>,
    draws: &mut Draws,
) -> Result<usize> {
    loop {
        problem.run.check()?;
        if envelope.is_stale() {
            envelope.refresh()?;
        }
        match envelope.trial(draws) {
            Trial::Accepted(row) => return Ok(row),
            Trial::Rejected => {}
            Trial::Exhausted => {
                envelope.counts().degenerate += 1;
                return problem.fill(envelope.chosen());
            }
        }
    }
}
