"""Noise to data, by a denoiser that is given: levels of noise.

A `Path` is what a sampler walks along: noise levels (`Level`) from the noisiest to the cleanest, of
one of three kinds (variance-preserving, variance-exploding, flow). A denoiser is any function of a
state and its level that predicts the data.
"""

from sortes.diffusion.adaptive import AdaptiveRun, sample_adaptive
from sortes.diffusion.loop import sample
from sortes.diffusion.path import Level, Path
from sortes.diffusion.plans import Plan, PlanRow, plan
from sortes.diffusion.solvers import ModelStatistics, solver_names
from sortes.diffusion.thresholds import DynamicThreshold

__all__ = [
    "AdaptiveRun",
    "DynamicThreshold",
    "Level",
    "ModelStatistics",
    "Path",
    "Plan",
    "PlanRow",
    "plan",
    "sample",
    "sample_adaptive",
    "solver_names",
]
