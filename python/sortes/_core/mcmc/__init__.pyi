"""Draws from a density that is known up to a factor."""

from . import diagnostics as diagnostics
from . import polya_gamma as polya_gamma
from . import resampling as resampling

__all__ = ["diagnostics", "polya_gamma", "resampling"]
