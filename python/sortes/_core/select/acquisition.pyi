"""Batches by scores, for active learning."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["acquire", "acquisition_probs"]

def acquire(
    scores: NDArray[np.float64],
    k: int,
    strategy: str,
    beta: float,
    noise: Stream | NDArray[np.float64],
    job: Job,
) -> NDArray[np.int64]: ...
def acquisition_probs(
    scores: NDArray[np.float64], strategy: str, beta: float, job: Job
) -> NDArray[np.float64]: ...
