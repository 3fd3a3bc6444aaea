//! Markov chains: draws from a density that is known up to a factor.
//!
//! | module | holds |
//! |---|---|
//! | [`diagnostics`] | effective sample sizes and R-hat of several chains |

pub mod diagnostics;
mod fourier;
