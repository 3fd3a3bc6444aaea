//! Markov chains: draws from a density that is known up to a factor.
//!
//! | module | holds |
//! |---|---|
//! | [`kernel`] | what a transition is: a machine that asks for densities |
//! | [`slice`] | slice samplers: by coordinates, along a line, on an ellipse, in polar coordinates |
//! | [`composite`] | kernels in turn, and mixtures of them |
//! | [`chain`] | chains of transitions, and who evaluates densities for them |
//! | [`moments`] | what warm-up learns from the states of all chains |
//! | [`watch`] | what others may see of chains while they run |
//! | [`targets`] | densities |
//! | [`draws`] | where transitions get random numbers |
//! | [`diagnostics`] | effective sample sizes and R-hat of several chains |
//! | [`polya_gamma`] | Polya-Gamma variables, exact for every shape |
//! | [`spins`] | Ising and Potts models, restricted Boltzmann machines |

pub mod chain;
pub mod composite;
pub mod diagnostics;
pub mod draws;
mod fourier;
pub mod kernel;
pub mod moments;
pub mod polya_gamma;
pub mod slice;
pub mod spins;
pub mod targets;
pub mod watch;
