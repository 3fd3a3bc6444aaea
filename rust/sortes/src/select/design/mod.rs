//! Subsets with given inclusion probabilities; strata.
//!
//! | file | holds |
//! |---|---|
//! | `inclusion` | probabilities in proportion to weights, capped at one |
//! | `poisson` | independent units, random size |
//! | [`pivotal`] | duels of fractions: in sequence, over a tree, across shards |
//! | `local_pivotal`, `kd_tree` | duels of neighbours, for samples that are spread out |
//! | `conditional_poisson` | the design of maximum entropy among those of one size |
//! | `elementary_symmetric` | elementary symmetric polynomials in log space |
//! | `strata` | allocation of a sample to strata, and its draw |
//! | `masks` | masks of features whose sizes are evenly spread |
//! | `marks` | a set of units as bits |
//!
//! Sets come back in ascending order. A unit of probability 0 is never chosen, one of probability 1
//! always. Every draw is named by the unit, duel, trial or row that it decides, never by a thread.
//! Progress counts units, strata or masks; methods that pass over the units several times count each
//! pass, and raise the total by it.

mod conditional_poisson;
mod elementary_symmetric;
mod inclusion;
mod kd_tree;
mod local_pivotal;
mod marks;
mod masks;
pub mod pivotal;
mod poisson;
mod strata;

pub use conditional_poisson::ConditionalPoisson;
pub use elementary_symmetric::log_elementary_symmetric;
pub use inclusion::{Inclusion, inclusion_probabilities};
pub use local_pivotal::local_pivotal;
pub use masks::{mask_weights, stratified_masks};
pub use pivotal::Pivotal;
pub use poisson::poisson;
pub use sortes_core::resample::{start, systematic};
pub use strata::{allocate, neyman_allocation, stratified};

use sortes_core::error::shown;
use sortes_core::{Error, Result, Run};

/// Units between two looks at the stop request, where each takes a few nanoseconds.
const BLOCK: usize = 1 << 14;

/// Refuses what is not a probability.
fn check_probabilities(pi: &[f64], run: Run<'_>) -> Result<()> {
    for range in run.blocks(pi.len(), BLOCK) {
        let range = range?;
        check_block(&pi[range.clone()], range.start)?;
    }
    Ok(())
}

/// The same for a part of the probabilities, of which the first is item `first`.
fn check_block(pi: &[f64], first: usize) -> Result<()> {
    if pi.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Ok(());
    }
    let bad = pi.iter().position(|p| !(0.0..=1.0).contains(p)).unwrap_or(0);
    Err(Error::item("pi", first + bad, "[0, 1]", shown(pi[bad])))
}

/// One more pass over `units` begins: the total of the progress grows by it.
fn expect_pass(units: usize, run: Run<'_>) {
    run.expect(run.cancel.done() + units as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::cancel::Cancel;
    use sortes_core::par::Threads;
    use sortes_core::rng::Stream;

    /// Every kernel polls, and none takes being cancelled for a result.
    #[test]
    fn a_stop_request_is_heard_by_all() {
        let cancel = Cancel::default();
        cancel.cancel();
        let (run, stream) = (Run::new(Threads::SERIAL, &cancel), Stream::new(1));
        let (pi, order): (Vec<f64>, Vec<i64>) = (vec![0.5; 100], (0..100).collect());
        let merges: Vec<[i64; 2]> =
            (1..100).map(|i| [if i == 1 { 0 } else { 98 + i }, i]).collect();
        let odds = ConditionalPoisson::new(&pi, 30, Run::alone()).unwrap();
        let done = [
            inclusion_probabilities(&pi, 3.0, run).map(drop),
            poisson(&pi, stream, run).map(drop),
            systematic(&pi, 0.5, None, run).map(drop),
            pivotal::sequential(&pi, None, stream, run).map(drop),
            pivotal::sequential(&pi, Some(&order), stream, run).map(drop),
            pivotal::balanced(&pi, stream, run).map(drop),
            pivotal::over_tree(&pi, &merges, stream, run).map(drop),
            local_pivotal(&pi, &pi, 1, stream, run).map(drop),
            ConditionalPoisson::new(&pi, 3, run).map(drop),
            ConditionalPoisson::fit(&pi, None, run).map(drop),
            odds.sample(stream, run).map(drop),
            odds.probabilities(run).map(drop),
            log_elementary_symmetric(&pi, 3, run).map(drop),
            allocate(&pi, 7, None, 0, run).map(drop),
            neyman_allocation(&order, &pi, 7, 0, run).map(drop),
            stratified(&order, &[1; 100], stream, run).map(drop),
            stratified_masks(7, 5, stream, run).map(drop),
            mask_weights(7, run).map(drop),
        ];
        for (kernel, done) in done.into_iter().enumerate() {
            assert_eq!(done, Err(Error::Cancelled), "kernel {kernel}");
        }
    }
}
