//! k-means++ as in the textbook, and its greedy form.
//!
//! Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007. The greedy
//! form draws several candidates for each centre and keeps the one that helps most.

use sortes_core::Result;
use sortes_core::rng::Draws;

use super::envelope::Envelope;
use super::{Points, Problem, Seeding, lazy};

/// Candidates that are compared at once: any number of them takes no more memory than these.
const BATCH: usize = 64;

/// Draws all centres, with the distances of all points at hand for each.
pub(super) fn seed<P: Points>(problem: &Problem<'_, P>, local_trials: usize) -> Result<Seeding> {
    let mut envelope = problem.envelope(problem.n_clusters)?;
    problem.advance();
    while envelope.chosen().len() < problem.n_clusters {
        envelope.refresh()?;
        let mut draws = problem.trials(envelope.chosen().len());
        let row = if local_trials == 1 {
            // With exact bounds the first trial succeeds.
            lazy::next(problem, &mut envelope, &mut draws)?
        } else {
            best(problem, &mut envelope, local_trials, &mut draws)?
        };
        envelope.choose(row)?;
        problem.advance();
    }
    Ok(envelope.into_seeding())
}

/// The best of `local_trials` independent draws, the first among equals.
fn best<P: Points>(
    problem: &Problem<'_, P>,
    envelope: &mut Envelope<'_, P>,
    local_trials: usize,
    draws: &mut Draws,
) -> Result<usize> {
    let (mut best, mut most) = (None, -1.0);
    let mut left = local_trials;
    while left > 0 {
        let batch = left.min(BATCH);
        let picks: Option<Vec<usize>> =
            (0..batch).map(|_| envelope.bounds().pick(draws.uniform())).collect();
        let Some(picks) = picks else { break };
        envelope.counts().trials += batch as u64;
        for (&pick, gain) in picks.iter().zip(envelope.gains(&picks)?) {
            if gain > most {
                (best, most) = (Some(pick), gain);
            }
        }
        left -= batch;
    }
    best.map_or_else(|| lazy::next(problem, envelope, draws), Ok)
}
