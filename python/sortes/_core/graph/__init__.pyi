"""Graphs, and walks on them."""

from . import graphlets as graphlets
from . import pagerank as pagerank
from . import structure as structure
from . import walks as walks

__all__ = ["graphlets", "pagerank", "structure", "walks"]
