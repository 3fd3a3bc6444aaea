"""Samples that merge."""

__all__: list[str] = []
