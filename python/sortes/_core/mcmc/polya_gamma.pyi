"""Polya-Gamma variables."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["polya_gamma"]

def polya_gamma(
    b: NDArray[np.float64], c: NDArray[np.float64], n: int, stream: Stream, job: Job
) -> NDArray[np.float64]: ...
