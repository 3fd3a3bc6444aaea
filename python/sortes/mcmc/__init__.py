"""Draws from a density that is known up to a factor, by Markov chains.

`sample` runs chains of a kernel, `Slice`, `HitAndRunSlice`, `EllipticalSlice` or
`GibbsianPolarSlice`, for any log density: a Python function of many points, a compiled one
(`CLogp`), or one that is built in (`StandardNormal`, `StudentT`, `Funnel`). The result is a
`Trace`; `rhat` and `ess` say whether its chains have mixed and what its draws are worth.

Beside them: Polya-Gamma variables (`random_polyagamma`); particles and their weights (`resample`,
`weights_ess`, `log_mean_weight`, `next_temperature`); spins on graphs (`IsingModel`, `PottsModel`)
and units in two layers (`BernoulliRBM`).
"""

from sortes.mcmc.boltzmann import BernoulliRBM, BoltzmannTrace
from sortes.mcmc.diagnostics import ess, rhat
from sortes.mcmc.kernels import EllipticalSlice, GibbsianPolarSlice, HitAndRunSlice, Slice
from sortes.mcmc.polya_gamma import random_polyagamma
from sortes.mcmc.resampling import log_mean_weight, next_temperature, resample, weights_ess
from sortes.mcmc.sampling import sample
from sortes.mcmc.spins import IsingModel, PottsModel, SpinTrace
from sortes.mcmc.targets import CLogp, Funnel, StandardNormal, StudentT
from sortes.mcmc.trace import Trace

__all__ = [
    "BernoulliRBM",
    "BoltzmannTrace",
    "CLogp",
    "EllipticalSlice",
    "Funnel",
    "GibbsianPolarSlice",
    "HitAndRunSlice",
    "IsingModel",
    "PottsModel",
    "Slice",
    "SpinTrace",
    "StandardNormal",
    "StudentT",
    "Trace",
    "ess",
    "log_mean_weight",
    "next_temperature",
    "random_polyagamma",
    "resample",
    "rhat",
    "sample",
    "weights_ess",
]
