"""Which particles go on."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["resample"]

def resample(
    weights: NDArray[np.float64], n: int, log: bool, method: str, stream: Stream, job: Job
) -> NDArray[np.int64]: ...
