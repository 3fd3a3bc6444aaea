"""Whole texts."""

from . import arithmetic as arithmetic
from . import automaton as automaton
from . import draft_trees as draft_trees
from . import gumbel as gumbel
from . import power as power
from . import suffix as suffix
from . import tree as tree
from . import verify as verify
from . import weights as weights

__all__ = [
    "arithmetic",
    "automaton",
    "draft_trees",
    "gumbel",
    "power",
    "suffix",
    "tree",
    "verify",
    "weights",
]
