"""Draws from a density that is known up to a factor."""

from . import diagnostics as diagnostics

__all__ = ["diagnostics"]
