"""Graphs, and walks on them."""

from . import structure as structure
from . import walks as walks

__all__ = ["structure", "walks"]
