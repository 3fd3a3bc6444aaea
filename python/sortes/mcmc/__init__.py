"""Draws from a density that is known up to a factor, by Markov chains.

`sample` runs chains of a kernel, `Slice`, `HitAndRunSlice`, `EllipticalSlice` or
`GibbsianPolarSlice`, for any log density: a Python function of many points, a compiled one
(`CLogp`), or one that is built in (`StandardNormal`, `StudentT`, `Funnel`). The result is a
`Trace`; `rhat` and `ess` say whether its chains have mixed and what its draws are worth.
"""

from sortes.mcmc.diagnostics import ess, rhat
from sortes.mcmc.kernels import EllipticalSlice, GibbsianPolarSlice, HitAndRunSlice, Slice
from sortes.mcmc.sampling import sample
from sortes.mcmc.targets import CLogp, Funnel, StandardNormal, StudentT
from sortes.mcmc.trace import Trace

__all__ = [
    "CLogp",
    "EllipticalSlice",
    "Funnel",
    "GibbsianPolarSlice",
    "HitAndRunSlice",
    "Slice",
    "StandardNormal",
    "StudentT",
    "Trace",
    "ess",
    "rhat",
    "sample",
]
