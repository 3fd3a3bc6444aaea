//! Samples that merge, with unbiased estimates of sums.
