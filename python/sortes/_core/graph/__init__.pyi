"""Graphs, and walks on them."""

from . import features as features
from . import structure as structure
from . import walks as walks

__all__ = ["features", "structure", "walks"]
