//! Points and subsets from data.
//!
//! | module | holds |
//! |---|---|
//! | [`weighted`] | draws in proportion to weights, with and without replacement, from arrays and streams |
//! | [`sketch`] | samples that merge, with unbiased estimates of sums |
//! | [`design`] | subsets with given inclusion probabilities; strata |
//! | [`seeding`] | the k-means++ family |
//! | [`epochs`] | what each epoch of a training run sees |
//! | [`permutation`] | keyed permutations of any length in constant memory |

pub mod design;
pub mod epochs;
pub mod permutation;
pub mod seeding;
pub mod sketch;
pub mod weighted;
