"""Points and subsets from data."""
