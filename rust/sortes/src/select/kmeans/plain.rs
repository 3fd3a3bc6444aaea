//! k-means++ as in the textbook.
//!
//! Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

use sortes_core::Result;

use super::{Points, Problem, Seeding, lazy};

/// Draws all centres, with the distances of all points at hand for each.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>) -> Result<Seeding> {
    let mut envelope = problem.envelope(problem.n_clusters)?;
    problem.advance();
    while envelope.chosen().len() < problem.n_clusters {
        envelope.refresh()?;
        let mut draws = problem.trials(envelope.chosen().len());
        // With exact bounds the first trial succeeds.
        let row = lazy::next(problem, &mut envelope, &mut draws)?;
        envelope.choose(row)?;
        problem.advance();
    }
    Ok(envelope.into_seeding())
}
