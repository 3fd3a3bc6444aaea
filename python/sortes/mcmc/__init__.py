"""Draws from a density that is known up to a factor, by Markov chains.

`sample` runs chains of a kernel, `Slice`, `HitAndRunSlice`, `EllipticalSlice` or
`GibbsianPolarSlice`, for any log density: a Python function of many points, a compiled one
(`CLogp`), or one that is built in (`StandardNormal`, `StudentT`, `Funnel`). The result is a
`Trace`, or a `Sampling` while it runs in the background, which hands out `ChainProgress`; `rhat`
and `ess` say whether chains have mixed and what their draws are worth.

Beside them: Polya-Gamma variables (`random_polyagamma`); particles and their weights (`resample`,
`weights_ess`, `log_mean_weight`, `next_temperature`).
"""

from sortes.mcmc.control import ChainProgress, Sampling
from sortes.mcmc.diagnostics import ess, rhat
from sortes.mcmc.kernels import EllipticalSlice, GibbsianPolarSlice, HitAndRunSlice, Slice
from sortes.mcmc.on_device import DeviceDraws, TorchLogp, sample_on_device
from sortes.mcmc.polya_gamma import random_polyagamma
from sortes.mcmc.resampling import log_mean_weight, next_temperature, resample, weights_ess
from sortes.mcmc.sampling import sample
from sortes.mcmc.targets import CLogp, Funnel, StandardNormal, StudentT
from sortes.mcmc.trace import Trace

__all__ = [
    "CLogp",
    "ChainProgress",
    "DeviceDraws",
    "EllipticalSlice",
    "Funnel",
    "GibbsianPolarSlice",
    "HitAndRunSlice",
    "Sampling",
    "Slice",
    "StandardNormal",
    "StudentT",
    "TorchLogp",
    "Trace",
    "ess",
    "log_mean_weight",
    "next_temperature",
    "random_polyagamma",
    "resample",
    "rhat",
    "sample",
    "sample_on_device",
    "weights_ess",
]
