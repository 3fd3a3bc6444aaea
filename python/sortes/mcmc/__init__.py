"""Draws from a density that is known up to a factor, by Markov chains.

Whether chains have mixed, and what their draws are worth (`rhat`, `ess`). Polya-Gamma variables
(`random_polyagamma`). Particles and their weights (`resample`, `weights_ess`, `log_mean_weight`,
`next_temperature`).
"""

from sortes.mcmc.diagnostics import ess, rhat
from sortes.mcmc.polya_gamma import random_polyagamma
from sortes.mcmc.resampling import log_mean_weight, next_temperature, resample, weights_ess

__all__ = [
    "ess",
    "log_mean_weight",
    "next_temperature",
    "random_polyagamma",
    "resample",
    "rhat",
    "weights_ess",
]
