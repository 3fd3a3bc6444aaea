//! Subsets with given inclusion probabilities; strata.
