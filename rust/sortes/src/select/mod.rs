//! Points and subsets from data.
//!
//! | module | holds |
//! |---|---|
//! | [`weighted`] | draws in proportion to weights, with and without replacement, from arrays and streams |
//! | [`acquisition`] | batches by scores, for active learning |
//! | [`sketch`] | samples that merge, with unbiased estimates of sums |
//! | [`design`] | subsets with given inclusion probabilities; strata |
//! | [`kmeans`] | the k-means++ family |
//! | [`rs2`] | what each epoch of a training run sees |

pub mod acquisition;
pub mod design;
pub mod kmeans;
pub mod rs2;
pub mod sketch;
pub mod weighted;
