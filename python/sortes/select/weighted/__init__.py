"""Draws in proportion to weights: with and without replacement, from arrays and from streams."""
