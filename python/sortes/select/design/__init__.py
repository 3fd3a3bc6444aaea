"""Designs: subsets with given inclusion probabilities, strata, and masks of features."""
