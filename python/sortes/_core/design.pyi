"""Subsets with given inclusion probabilities, strata."""

__all__: list[str] = []
