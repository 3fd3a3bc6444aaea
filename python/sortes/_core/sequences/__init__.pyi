"""Whole texts."""

from . import arithmetic as arithmetic
from . import automaton as automaton
from . import gumbel as gumbel
from . import tree as tree
from . import verify as verify
from . import weights as weights

__all__ = ["arithmetic", "automaton", "gumbel", "tree", "verify", "weights"]
