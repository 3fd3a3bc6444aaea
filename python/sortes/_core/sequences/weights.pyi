"""Weights of distinct samples."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["threshold_weights", "unordered_set_weights"]

def threshold_weights(
    logprobs: NDArray[np.float64], kappa: NDArray[np.float64], job: Job
) -> NDArray[np.float64]: ...
def unordered_set_weights(logprobs: NDArray[np.float64], job: Job) -> NDArray[np.float64]: ...
