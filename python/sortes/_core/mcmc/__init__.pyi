"""Draws from a density that is known up to a factor."""

from . import diagnostics as diagnostics
from . import engine as engine
from . import polya_gamma as polya_gamma
from . import resampling as resampling
from . import spins as spins
from . import targets as targets

__all__ = ["diagnostics", "engine", "polya_gamma", "resampling", "spins", "targets"]
