"""Valid calls of what the family offers."""

import numpy as np

#: How many times the draws of each chain are repeated, or with ``TALL`` how many times the chains
#: are; `public.resize` sets them.
SCALE: int = globals().get("SCALE", 1)
TALL: bool = globals().get("TALL", False)
TIMES = (SCALE, 1) if TALL else (1, SCALE)
DRAWS = np.tile([[0.1, 0.9, 0.5, 0.4, 0.2], [1.0, 0.2, 3.0, 0.4, 2.0]], TIMES)

SHAPES, TILTS = np.tile([1.0, 2.5, 0.5], SCALE), np.tile([0.0, -3.0, 20.0], SCALE)
WEIGHTS = np.tile([[0.5, 0.0, 2.0, 1.0], [1.0, 3.0, 0.25, 1.0]], TIMES)
METHODS = ("multinomial", "stratified", "systematic", "residual", "ssp")

CALLS = {
    "ess": {"draws": DRAWS},
    "log_mean_weight": {"log_weights": WEIGHTS},
    "next_temperature": {"log_likelihood": 9 * WEIGHTS.ravel(), "current": 0.25, "target_ess": 0.9},
    "random_polyagamma": [
        {"b": SHAPES, "c": TILTS, "rng": 0},
        {"b": 2.5, "c": 1.0, "size": 3 * SCALE, "rng": 0},
    ],
    "resample": [
        *({"weights": WEIGHTS, "n": 3 * SCALE, "method": method, "rng": 0} for method in METHODS),
        {"weights": WEIGHTS, "log": True, "rng": 0},
    ],
    "rhat": {"draws": DRAWS},
    "weights_ess": {"weights": WEIGHTS, "log": True},
}
