"""Draws from a density that is known up to a factor, by Markov chains.

`sample` runs chains of a kernel, `Slice`, `HitAndRunSlice`, `EllipticalSlice`,
`GeneralizedEllipticalSlice`, `AdaptiveEllipticalSlice` or `GibbsianPolarSlice`, several of them in
turn or a `Mixture`, for any log density: a Python function of many points, a compiled one
(`CLogp`), one of tensors (`TorchLogp`), or one that is built in (`StandardNormal`, `Normal`,
`GaussianMixture`, `StudentT`, `Funnel`, `ManyWell`, `HyperplaneDisk`, `AxialModes`,
`LogisticRegression`). The result is a `Trace`, or a `Sampling` while it runs in the background,
which hands out `ChainProgress`; `rhat` and `ess` say whether chains have mixed and what their draws
are worth. `sample_on_device` keeps many chains on a GPU.

`smc` goes from a prior to a posterior by particles, and gives the evidence; `Gibbs` draws blocks of
variables given the others, by functions of the user's, by Metropolis and Hastings (`MHBlock`) or by
slices (`Block`).

Beside them: Polya-Gamma variables (`random_polyagamma`); particles and their weights (`resample`,
`weights_ess`, `log_mean_weight`, `next_temperature`); spins on graphs (`IsingModel`, `PottsModel`)
and units in two layers (`BernoulliRBM`).
"""

from sortes._estimate import Estimate
from sortes.mcmc.blocks import Block, MHBlock
from sortes.mcmc.boltzmann import BernoulliRBM, BoltzmannTrace
from sortes.mcmc.compiled import CLogp
from sortes.mcmc.control import ChainProgress, Sampling
from sortes.mcmc.diagnostics import ess, rhat
from sortes.mcmc.ellipses import (
    AdaptiveEllipticalSlice,
    EllipticalSlice,
    GeneralizedEllipticalSlice,
)
from sortes.mcmc.gibbs import Gibbs, GibbsDraws
from sortes.mcmc.ising import IsingModel
from sortes.mcmc.kernels import Mixture
from sortes.mcmc.lines import HitAndRunSlice, Slice
from sortes.mcmc.on_device import DeviceDraws, TorchLogp, sample_on_device
from sortes.mcmc.polar import GibbsianPolarSlice
from sortes.mcmc.polya_gamma import random_polyagamma
from sortes.mcmc.potts import PottsModel
from sortes.mcmc.resampling import log_mean_weight, next_temperature, resample, weights_ess
from sortes.mcmc.sampling import sample
from sortes.mcmc.spins import SpinTrace
from sortes.mcmc.targets import (
    AxialModes,
    Funnel,
    GaussianMixture,
    HyperplaneDisk,
    LogisticRegression,
    ManyWell,
    Normal,
    StandardNormal,
    StudentT,
)
from sortes.mcmc.tempering import Particles, smc
from sortes.mcmc.trace import Trace

__all__ = [
    "AdaptiveEllipticalSlice",
    "AxialModes",
    "BernoulliRBM",
    "Block",
    "BoltzmannTrace",
    "CLogp",
    "ChainProgress",
    "DeviceDraws",
    "EllipticalSlice",
    "Estimate",
    "Funnel",
    "GaussianMixture",
    "GeneralizedEllipticalSlice",
    "Gibbs",
    "GibbsDraws",
    "GibbsianPolarSlice",
    "HitAndRunSlice",
    "HyperplaneDisk",
    "IsingModel",
    "LogisticRegression",
    "MHBlock",
    "ManyWell",
    "Mixture",
    "Normal",
    "Particles",
    "PottsModel",
    "Sampling",
    "Slice",
    "SpinTrace",
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
    "smc",
    "weights_ess",
]
