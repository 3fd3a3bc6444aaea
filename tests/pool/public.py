"""Valid calls of what the family offers."""

import numpy as np
from sortes.pool import beta_binomial_fit, coverage_fit

N, C = np.array([10, 12, 9]), np.array([3, 0, 9])
SCORES = np.array([[0.1, 0.9, 0.5, 0.5], [1.0, 2.0, 3.0, 4.0]])
WEIGHTS = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 1.0]])
K = np.array([1, 2])

CALLS = {
    "pass_at_k": {"n": N, "c": C, "k": np.array([1, 2, 9])},
    "pass_hat_k": {"n": N, "c": C, "k": np.array([1, 2, 9])},
    "pass_at_k_variance": {"n": N, "c": C, "k": np.array([1, 2, 4])},
    "max_at_k": [{"scores": SCORES, "k": K}, {"scores": SCORES, "k": 9, "weights": WEIGHTS}],
    "best_of_k": [
        {"scores": SCORES, "rewards": SCORES[::-1].copy(), "k": K},
        {"scores": SCORES, "rewards": SCORES[::-1].copy(), "k": 9, "weights": WEIGHTS},
    ],
    "majority_at_k": [
        {"answers": np.array([[1, 1, 2], [3, 4, 5]]), "correct": np.array([1, 4]), "k": K},
        {"answers": np.array([1, 1, 2]), "correct": 1, "k": 9, "weights": np.ones(3)},
    ],
    "pass_at_k_distinct": {
        "correct": np.array([[1, 0, 0], [0, 0, 0]]),
        "logprobs": np.array([[-1.0, -2.0, -3.0], [-9.0, -8.0, -7.0]]),
        "k": K,
    },
    "average": [
        {"values": np.array([0.5, 1.0]), "variances": np.array([0.1, 0.2])},
        {"values": np.array([0.5, 1.0]), "groups": np.array([3, 4])},
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

MADE = {
    "BetaBinomialFit": lambda: beta_binomial_fit(10, [0, 0, 1, 2, 7]),
    "CoverageFit": lambda: coverage_fit([1, 2, 4], [0.1, 0.2, 0.3]),
}
