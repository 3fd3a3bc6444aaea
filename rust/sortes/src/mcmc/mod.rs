//! Markov chains: draws from a density that is known up to a factor.
//!
//! | module | holds |
//! |---|---|
//! | [`diagnostics`] | effective sample sizes and R-hat of several chains |
//! | [`polya_gamma`] | Polya-Gamma variables, exact for every shape |

pub mod diagnostics;
mod fourier;
pub mod polya_gamma;
mod special;
