//! k-means++ as in the textbook, and its greedy form.
//!
//! Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding" (SODA 2007). The greedy
//! form draws several candidates for each centre and keeps the one that helps most.

use sortes_core::Result;
use sortes_core::rng::Draws;

use super::envelope::Envelope;
use super::{Points, Problem, Seeding, lazy};

/// Draws all centres, with the distances of all points at hand for each.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, local_trials: usize) -> Result<Seeding> {
    let mut envelope = problem.envelope()?;
    while envelope.chosen().len() < problem.k {
        envelope.refresh()?;
        let mut draws = problem.trials(envelope.chosen().len());
        let row = if local_trials == 1 {
            // With exact bounds the first trial succeeds.
            lazy::next(problem, &mut envelope, &mut draws)?
        } else {
            best(problem, &mut envelope, local_trials, &mut draws)?
        };
        envelope.choose(row);
        problem.cancel.advance(1);
    }
    Ok(envelope.into_seeding())
}

/// The best of so many independent draws, the first among equals.
fn best<P: Points>(
    problem: &Problem<'_, P>,
    envelope: &mut Envelope<'_, P>,
    local_trials: usize,
    draws: &mut Draws,
) -> Result<usize> {
    let picks: Option<Vec<usize>> =
        (0..local_trials).map(|_| envelope.bounds().pick(draws.uniform())).collect();
    let Some(picks) = picks else { return lazy::next(problem, envelope, draws) };
    envelope.counts().trials += local_trials as u64;
    let gains = envelope.gains(&picks)?;
    let best = (1..gains.len()).fold(0, |best, i| if gains[i] > gains[best] { i } else { best });
    Ok(picks[best])
}
