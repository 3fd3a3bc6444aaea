//! Markov chains: draws from a density that is known up to a factor.
//!
//! | module | holds |
//! |---|---|
//! | [`kernel`] | what a transition is: a machine that asks for densities |
//! | [`slice`] | slice samplers: by coordinates, along a line, on an ellipse, in polar coordinates |
//! | [`chain`] | chains of transitions, and who evaluates densities for them |
//! | [`targets`] | densities |
//! | [`draws`] | where transitions get random numbers |
//! | [`diagnostics`] | effective sample sizes and R-hat of several chains |
//! | [`polya_gamma`] | Polya-Gamma variables, exact for every shape |
//! | [`spins`] | Ising and Potts models, restricted Boltzmann machines |

pub mod chain;
pub mod diagnostics;
pub mod draws;
mod fourier;
pub mod kernel;
pub mod polya_gamma;
pub mod slice;
mod special;
pub mod spins;
pub mod targets;
