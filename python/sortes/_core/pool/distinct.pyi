"""pass@k from distinct samples of known probability."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["estimates"]

def estimates(
    correct: NDArray[np.bool_], logprobs: NDArray[np.float64], k: NDArray[np.int64], job: Job
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
