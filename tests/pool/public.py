"""Valid calls of what the family offers."""

import numpy as np
from sortes.pool import beta_binomial_fit, coverage_fit

#: How many times the samples of each problem are repeated, or with ``TALL`` how many times the
#: problems are; `public.resize` sets them.
SCALE: int = globals().get("SCALE", 1)
TIMES = (SCALE, 1) if globals().get("TALL", False) else (1, SCALE)
N, C = np.tile([10, 12, 9], SCALE), np.tile([3, 0, 9], SCALE)
SCORES = np.tile([[0.1, 0.9, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0]], TIMES)
WEIGHTS = np.tile([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 1.0]], TIMES)
K = np.array([1, 2])

CALLS = {
    "pass_at_k": {"n": N, "c": C, "k": np.tile([1, 2, 9], SCALE)},
    "pass_hat_k": {"n": N, "c": C, "k": np.tile([1, 2, 9], SCALE)},
    "pass_at_k_variance": {"n": N, "c": C, "k": np.tile([1, 2, 4], SCALE)},
    "max_at_k": [{"scores": SCORES, "k": K}, {"scores": SCORES, "k": 9, "weights": WEIGHTS}],
    "best_of_k": [
        {"scores": SCORES, "rewards": SCORES[::-1].copy(), "k": K},
        {"scores": SCORES, "rewards": SCORES[::-1].copy(), "k": 9, "weights": WEIGHTS},
    ],
    "majority_at_k": [
        {
            "answers": np.tile([[1, 1, 2], [3, 4, 5]], TIMES),
            "correct": np.tile([1, 4], TIMES[0]),
            "k": K,
        },
        {"answers": np.array([1, 1, 2]), "correct": 1, "k": 9, "weights": np.ones(3)},
    ],
    "pass_at_k_distinct": {
        "correct": np.tile([[1, 0, 0], [0, 0, 0]], TIMES),
        "logprobs": np.tile([[-1.0, -2.0, -3.0], [-9.0, -8.0, -7.0]], TIMES) - np.log(TIMES[1]),
        "k": K,
    },
    "average": [
        {"values": np.tile([0.5, 1.0], SCALE), "variances": np.tile([0.1, 0.2], SCALE)},
        {"values": np.tile([0.5, 1.0], SCALE), "groups": np.tile([3, 4], SCALE)},
    ],
    "samples_needed": {"width": 0.1, "n": N, "c": C, "k": 2, "level": 0.9},
    "problems_needed": {"width": 0.1, "n": N, "c": C, "k": 2, "samples": 5, "level": 0.9},
    "coverage_fit": {"k": np.array([1, 2, 4]), "coverage": np.array([0.1, 0.2, 0.3])},
    "CoverageFit.predict": {"k": K},
    "beta_binomial_fit": {"n": N, "c": C},
    "BetaBinomialFit.predict": {"k": K},
    "resample_value": {
        "success": np.array([0.9, 0.1]),
        "prior": np.array([0.5, 0.5]),
        "completeness": 0.9,
        "soundness": 0.8,
        "false_positive_value": -1.0,
        "cost": 0.01,
        "max_k": 5,
    },
}
#: Values that act, and what some need beside them.
VALUES = {"weights": [np.array([9.0, 1.0, 1.0])]}
BESIDE = {
    "groups": {"values": np.array([0.5, 1.0, 0.1]), "variances": None, "groups": [3, 3, 4]},
    "majority_at_k weights": {"answers": np.array([1, 2, 2]), "correct": 1, "k": 9},
}

MADE = {
    "BetaBinomialFit": lambda: beta_binomial_fit(10, [0, 0, 1, 2, 7]),
    "CoverageFit": lambda: coverage_fit([1, 2, 4], [0.1, 0.2, 0.3]),
}
#: How large the data are where memory is little, and where calls are long.
STARVED = {"wide": [100_000, 1_000_000], "tall": [100_000, 1_000_000]}
LONG = {"wide": [100_000, 1_000_000, 4_000_000], "tall": [100_000, 1_000_000, 4_000_000]}
