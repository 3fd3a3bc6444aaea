"""The expected reward of the best of k samples."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["expected"]

def expected(
    scores: NDArray[np.float64],
    rewards: NDArray[np.float64] | None,
    weights: NDArray[np.float64] | None,
    k: NDArray[np.int64],
    job: Job,
) -> NDArray[np.float64]: ...
