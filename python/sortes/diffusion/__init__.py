"""Noise to data, by a denoiser that is given.

A `Path` is what a sampler walks along: noise levels (`Level`) from the noisiest to the cleanest, of
one of three kinds (variance-preserving, variance-exploding, flow). A denoiser is any function of a
state and its level that predicts the data. `plan` makes the coefficients of a solver on a path, and
`sample` executes them. `paradigms` makes many steps at once (`ParallelRun`), of states at several
levels (`Levels`); `fkc_sample` draws from powers, products and rewards of models, with weights
(`WeightedSamples`).

Which levels to visit is what a schedule says:
`schedule` by ComfyUI's names, `sigmas_karras`, `sigmas_exponential`, `sigmas_polyexponential`,
`sigmas_vp`, `sigmas_gaussian`, `sigmas_ays`, `sigmas_beta`, `sigmas_flow` with `shift_sigmas`,
`sigmas_linear_quadratic`, `sigmas_bong_tangent`; `timesteps_spacing` and `timesteps_beta` among the
times of a training (`betas`, `zero_terminal_snr`).

`Denoiser` makes one of a network, whatever that predicts, with guidance (`Guided`) and learned
variances (`Learned`);
`from_diffusers` and `from_k_diffusion` know what others say about theirs. `data_and_noise` reads a
single output (`Predicted`).

Noise belongs to its image, in any batch and on any device: `noise_like`, `ImageNoise`, and
`BrownianNoise`, which agrees when steps are split.

`fit_plan`, `fit_schedule` and `fit_steps` make plans for one denoiser, `Fitted`, as near to a fine
solver's results as few evaluations come. `optimal_stepsize`, `shortest_k_path` with `ays_cost`, and
`evolutionary_search` choose among given levels; `plan_from_steps` makes plans whose steps differ
(`StepSpec`).

`GaussianMixture` has its denoiser in closed form, to check samplers with; `mmd2_to_gmm`,
`w1_to_gmm_1d` and `sliced_wasserstein` measure how far samples are from it.
"""

from sortes._estimate import Estimate
from sortes.diffusion.adapters import from_diffusers, from_k_diffusion
from sortes.diffusion.adaptive import AdaptiveRun, sample_adaptive
from sortes.diffusion.correctors import WeightedSamples, fkc_sample
from sortes.diffusion.denoisers import (
    Denoiser,
    Guided,
    Learned,
    Predicted,
    data_and_noise,
)
from sortes.diffusion.evolution import Evolved, evolutionary_search
from sortes.diffusion.fitted import Fitted
from sortes.diffusion.fitting import fit_plan, fit_schedule, fit_steps
from sortes.diffusion.levels import Levels
from sortes.diffusion.loop import sample
from sortes.diffusion.metrics import mmd2_to_gmm, sliced_wasserstein, w1_to_gmm_1d
from sortes.diffusion.mixed import StepSpec, plan_from_steps
from sortes.diffusion.mixtures import GaussianMixture
from sortes.diffusion.noise import BrownianNoise, ImageNoise, noise_like
from sortes.diffusion.parallel import ParallelRun, paradigms
from sortes.diffusion.path import Level, Path
from sortes.diffusion.plans import Plan, PlanRow, plan
from sortes.diffusion.programmes import (
    ChosenLevels,
    ays_cost,
    optimal_stepsize,
    shortest_k_path,
)
from sortes.diffusion.schedules import (
    schedule,
    shift_sigmas,
    sigmas_ays,
    sigmas_beta,
    sigmas_bong_tangent,
    sigmas_exponential,
    sigmas_flow,
    sigmas_gaussian,
    sigmas_karras,
    sigmas_linear_quadratic,
    sigmas_polyexponential,
    sigmas_vp,
)
from sortes.diffusion.solvers import ModelStatistics, solver_names
from sortes.diffusion.thresholds import DynamicThreshold
from sortes.diffusion.timesteps import betas, timesteps_beta, timesteps_spacing, zero_terminal_snr

__all__ = [
    "AdaptiveRun",
    "BrownianNoise",
    "ChosenLevels",
    "Denoiser",
    "DynamicThreshold",
    "Estimate",
    "Evolved",
    "Fitted",
    "GaussianMixture",
    "Guided",
    "ImageNoise",
    "Learned",
    "Level",
    "Levels",
    "ModelStatistics",
    "ParallelRun",
    "Path",
    "Plan",
    "PlanRow",
    "Predicted",
    "StepSpec",
    "WeightedSamples",
    "ays_cost",
    "betas",
    "data_and_noise",
    "evolutionary_search",
    "fit_plan",
    "fit_schedule",
    "fit_steps",
    "fkc_sample",
    "from_diffusers",
    "from_k_diffusion",
    "mmd2_to_gmm",
    "noise_like",
    "optimal_stepsize",
    "paradigms",
    "plan",
    "plan_from_steps",
    "sample",
    "sample_adaptive",
    "schedule",
    "shift_sigmas",
    "shortest_k_path",
    "sigmas_ays",
    "sigmas_beta",
    "sigmas_bong_tangent",
    "sigmas_exponential",
    "sigmas_flow",
    "sigmas_gaussian",
    "sigmas_karras",
    "sigmas_linear_quadratic",
    "sigmas_polyexponential",
    "sigmas_vp",
    "sliced_wasserstein",
    "solver_names",
    "timesteps_beta",
    "timesteps_spacing",
    "w1_to_gmm_1d",
    "zero_terminal_snr",
]
