"""Valid calls of what the family offers."""

import numpy as np
from sortes.diffusion import Level, Path, plan

#: How many times as many levels there are; `public.resize` sets it.
SCALE: int = globals().get("SCALE", 1)
SIGMAS = np.append(np.geomspace(10, 0.1, 4 * SCALE), 0.0)
TRAINED = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))

NODES = np.linspace(-2, 3, 5)


class Normal:
    """A denoiser of normal data that copies as itself."""

    def __call__(self, x, level):
        """Return the prediction."""
        return x * (level.alpha / (level.alpha**2 + level.sigma**2))

    def __deepcopy__(self, memo):
        """Return the same."""
        return self


def tensor():
    """Return states at the first level."""
    import torch

    return 10 * torch.linspace(-1, 1, 6 * SCALE).reshape(2, -1)


def sampling():
    """Return calls of the loop."""
    import torch

    ve = Path.ve(SIGMAS)
    call = {"denoiser": Normal(), "x": tensor()}
    noise = torch.ones(4 * SCALE, 2, 3 * SCALE)
    return [
        {**call, "plan": plan("unipc", ve), "return_trajectory": True},
        {**call, "plan": plan("ddpm", ve), "rng": 3, "rows": [4, 2]},
        {**call, "plan": plan("ddpm", ve), "noise": noise},
    ]


def adapting():
    """Return calls of the adaptive solver."""
    call = {"denoiser": Normal(), "x": tensor(), "path": Path.ve([10.0, 0.1, 0.0])}
    return [{**call, "order": 2}, {**call, "eta": 1.0, "rng": 3, "rows": [4, 2]}]


CALLS = {
    "AdaptiveRun": {"x": None, "lam": NODES, "n_evaluations": 3, "n_rejected": 0},
    "DynamicThreshold": {"denoiser": Normal(), "ratio": 0.9, "max_value": 2.0},
    "DynamicThreshold.__call__": lambda: {"x": tensor(), "level": Level(1.0, 10.0, 10.0)},
    "ModelStatistics": {"lam": NODES, "l": NODES, "s": NODES, "b": NODES},
    "Plan.row": {"k": 1},
    "PlanRow": {"c": 1.0, "w": NODES, "n": NODES, "offset": 0.0, "draws": False},
    "plan": [
        {"solver": "dpmpp_2m", "path": Path.ve(SIGMAS), "solver_type": "heun"},
        {"solver": "sa_solver", "path": Path.ve(SIGMAS), "eta": 0.5, "s_tmin": 0.2},
        {"solver": "heun", "path": Path.ve(SIGMAS), "s_churn": 2.0, "frame": "flow"},
    ],
    "sample": sampling,
    "sample_adaptive": adapting,
    "solver_names": {},
    "Path": [
        {"alpha": np.ones(len(SIGMAS)), "sigma": SIGMAS, "kind": "ve"},
        {
            "alpha": 1 - SIGMAS / 20,
            "sigma": SIGMAS / 20,
            "t": SIGMAS + 1,
            "kind": "flow",
            "clock": ([-1.0, 2.0], [5.0, 3.0]),
        },
    ],
    "Path.ve": {"sigmas": SIGMAS, "t": SIGMAS + 1},
    "Path.vp": [
        {"sigmas": SIGMAS, "t": SIGMAS + 1},
        {"sigmas": SIGMAS, "alphas_cumprod": TRAINED},
    ],
    "Path.at_timesteps": {"alphas_cumprod": TRAINED, "timesteps": [99, 40, 3], "final": "first"},
    "Path.flow": {"sigmas": SIGMAS / 20, "t_scale": 1000.0},
    "Path.at_lambda": {"lam": 0.3},
}
MADE = {
    "Path": lambda: Path.ve(SIGMAS),
    "Plan": lambda: plan("ddim", Path.ve(SIGMAS)),
}
#: The data of the family are small: there are no long calls yet.
STARVED: dict[str, list[int]] = {}
LONG: dict[str, list[int]] = {}
