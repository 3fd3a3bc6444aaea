"""Draws from a density that is known up to a factor."""

from . import diagnostics as diagnostics
from . import engine as engine
from . import targets as targets

__all__ = ["diagnostics", "engine", "targets"]
