"""Draws from a density that is known up to a factor, by Markov chains.

Whether chains have mixed, and what their draws are worth (`rhat`, `ess`).
"""

from sortes.mcmc.diagnostics import ess, rhat

__all__ = [
    "ess",
    "rhat",
]
