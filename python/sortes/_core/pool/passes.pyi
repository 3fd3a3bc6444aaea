"""The chance that some, or all, of k samples are right."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["rows"]

def rows(
    what: str, n: NDArray[np.int64], c: NDArray[np.int64], k: NDArray[np.int64], job: Job
) -> NDArray[np.float64]: ...
