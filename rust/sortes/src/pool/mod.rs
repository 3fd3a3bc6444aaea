//! Using many samples of each problem: pass@k and its relatives, votes, coverage.
//!
//! | module | holds |
//! |---|---|
//! | [`passes`] | the chance that some, or all, of k samples are right, from counts |
//! | [`best`] | the expected score of the best of k samples |
//! | [`votes`] | the chance that k samples vote for the right answer |
//! | [`distinct`] | pass@k from distinct samples of known probability |
//! | [`coverage`] | a beta law of difficulty, fitted to counts and extrapolated |

pub mod best;
pub mod coverage;
pub mod distinct;
mod gamma;
mod laws;
pub mod passes;
pub mod votes;

/// The largest count: above it, not all integers are floats.
pub const LARGEST: i64 = 1 << 53;
