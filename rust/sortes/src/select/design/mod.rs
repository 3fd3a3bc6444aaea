//! Subsets with given inclusion probabilities; strata.
//!
//! | file | holds |
//! |---|---|
//! | [`inclusion`] | probabilities in proportion to weights, capped at one |
//! | [`poisson`] | independent units, random size |
//! | [`pivotal`] | duels of fractions: in sequence, over a tree, across shards |
//! | [`local_pivotal`] | duels of neighbours, for samples that are spread out |
//! | [`conditional_poisson`] | the design of maximum entropy among those of one size |
//! | [`esp`] | elementary symmetric polynomials in log space |
//! | [`strata`] | allocation of a sample to strata, and its draw |
//! | [`masks`] | masks of features whose sizes are evenly spread |
//!
//! Sets come back in ascending order. A unit of probability 0 is never chosen, one of probability 1
//! always. Every draw is named by the unit, duel, trial or row that it decides, never by a thread.

pub mod conditional_poisson;
pub mod esp;
pub mod inclusion;
mod kd_tree;
pub mod local_pivotal;
pub mod masks;
pub mod pivotal;
pub mod poisson;
pub mod strata;

pub use conditional_poisson::ConditionalPoisson;
pub use inclusion::{Inclusion, inclusion_probabilities};
pub use pivotal::Pivotal;
pub use sortes_core::resample::{start, systematic};

use sortes_core::{Error, Result};

/// Refuses what is not a probability.
fn check_probabilities(pi: &[f64]) -> Result<()> {
    if pi.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Ok(());
    }
    let bad = pi.iter().position(|p| !(0.0..=1.0).contains(p)).unwrap_or(0);
    Err(Error::argument("pi", format!("item {bad} is not in [0, 1]: {:?}", pi[bad])))
}
