"""The chance that k samples vote for the right answer."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["majority"]

def majority(
    answers: NDArray[np.int64],
    correct: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    k: NDArray[np.int64],
    ties: str,
    job: Job,
) -> NDArray[np.float64]: ...
