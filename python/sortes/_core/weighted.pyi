"""Draws in proportion to weights."""

__all__: list[str] = []
