"""What a run costs beside the model: 20 steps of a solver and of the same scheduler of diffusers.

The model returns the same prediction each time. Noise is drawn before, for both.
"""

import numpy as np
import pytest
import torch
from sortes.diffusion import Path, plan, sample

from benches.turns import peer, turns

# Theirs, of NumPy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STEPS = 20
TRAINED = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
#: A solver, its options, and the class and configuration of the peer.
SHARED = [
    ("ddim", {}, "DDIMScheduler", {"clip_sample": False}),
    ("ddim", {"eta": 1.0}, "DDIMScheduler", {"clip_sample": False}),
    ("ddpm", {}, "DDPMScheduler", {"clip_sample": False}),
    ("euler", {}, "EulerDiscreteScheduler", {}),
    ("euler_ancestral", {}, "EulerAncestralDiscreteScheduler", {}),
    ("flow_euler", {}, "FlowMatchEulerDiscreteScheduler", {}),
    ("heun", {"frame": "flow"}, "FlowMatchHeunDiscreteScheduler", {}),
    ("heun", {}, "HeunDiscreteScheduler", {}),
    ("dpm_2", {}, "KDPM2DiscreteScheduler", {}),
    ("lms", {}, "LMSDiscreteScheduler", {}),
    ("dpmpp_2m", {}, "DPMSolverMultistepScheduler", {}),
    ("dpmpp_3m", {}, "DPMSolverMultistepScheduler", {"solver_order": 3}),
    ("dpmpp_2m_sde", {}, "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    ("unipc", {"order": 2}, "UniPCMultistepScheduler", {}),
    ("unipc", {"order": 3}, "UniPCMultistepScheduler", {"solver_order": 3}),
    ("deis_logrho", {"order": 3}, "DEISMultistepScheduler", {"solver_order": 3}),
    ("sa_solver", {}, "SASolverScheduler", {"predictor_order": 3, "corrector_order": 3}),
]


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize(("name", "options", "cls", "config"), SHARED)
def test_overhead(benchmark, name, options, cls, config, batch, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x, d = torch.randn(2, batch, 4, 64, 64)
        ratio = np.append(np.geomspace(14.6, 0.03, STEPS), 0)
        path = Path.flow(np.linspace(1, 0, STEPS + 1)) if "Flow" in cls else Path.vp(ratio)
        made = plan(name, path, **options)
        noise = torch.randn(made.n_draws, *x.shape) if made.n_draws else None

        def ours(_):
            return sample(lambda x, level: d, x, made, noise=noise)

        def theirs(diffusers):
            trained = {"num_train_timesteps": 1000} if "Flow" in cls else TRAINED
            scheduler = getattr(diffusers, cls)(**trained, **config)
            if noise is not None:  # theirs costs the drawing otherwise, in functions of many names
                module = __import__(scheduler.__class__.__module__, fromlist=["randn_tensor"])
                monkeypatch.setattr(module, "randn_tensor", lambda *_, **__: noise[0])

            def run(_):
                scheduler.set_timesteps(STEPS)
                state = x
                given = {"eta": options["eta"]} if "eta" in options else {}
                for t in scheduler.timesteps:
                    if hasattr(scheduler, "scale_model_input"):
                        scheduler.scale_model_input(state, t)
                    state = scheduler.step(d, t, state, **given).prev_sample
                return state

            return run

        turns(
            benchmark,
            "Overhead of 20 steps beside the model",
            {"solver": name, "options": str(options or ""), "batch": batch, "scheduler": cls},
            {"sortes": ours},
            {"diffusers": peer("diffusers", theirs)},
            seconds=0.6,
        )
    finally:
        torch.set_num_threads(threads)
