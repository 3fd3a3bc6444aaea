"""A beta law of difficulty, fitted and extrapolated."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["fit", "predict"]

def fit(
    n: NDArray[np.int64], c: NDArray[np.int64], job: Job
) -> tuple[
    float,
    float,
    float,
    float,
    list[float],
    Literal["inside", "failed", "solved", "all or nothing", "equal"],
]: ...
def predict(
    alpha: float, beta: float, covariance: list[float], k: NDArray[np.float64], job: Job
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
