"""What each epoch of a training run sees."""

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["permutation", "rs2_epoch"]

def rs2_epoch(
    n: int, keep: int, mode: str, stream: Stream, epoch: int, job: Job
) -> NDArray[np.int64]: ...
def permutation(
    n: int, stream: Stream, number: int, start: int, stop: int
) -> NDArray[np.int64]: ...
