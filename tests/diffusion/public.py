"""Valid calls of what the family offers."""

import numpy as np
from sortes.diffusion import Path

#: How many times as many levels there are; `public.resize` sets it.
SCALE: int = globals().get("SCALE", 1)
SIGMAS = np.append(np.geomspace(10, 0.1, 4 * SCALE), 0.0)
TRAINED = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))

CALLS = {
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
MADE = {"Path": lambda: Path.ve(SIGMAS)}
#: The data of the family are small: there are no long calls yet.
STARVED: dict[str, list[int]] = {}
LONG: dict[str, list[int]] = {}
