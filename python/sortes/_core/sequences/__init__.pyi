"""Whole texts."""

from . import arithmetic as arithmetic
from . import automaton as automaton
from . import gumbel as gumbel
from . import power as power
from . import tree as tree
from . import weights as weights

__all__ = ["arithmetic", "automaton", "gumbel", "power", "tree", "weights"]
