"""Graphs, and walks on them."""

from . import features as features
from . import graphlets as graphlets
from . import pagerank as pagerank
from . import structure as structure
from . import walks as walks

__all__ = ["features", "graphlets", "pagerank", "structure", "walks"]
