"""Masks of features whose sizes are evenly spread."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ... import Stream

__all__ = ["mask_weights", "stratified_masks"]

_Reals: TypeAlias = NDArray[np.float64]

def stratified_masks(
    n: int, rows: int, stream: Stream, job: Job
) -> tuple[NDArray[np.bool_], _Reals]: ...
def mask_weights(n: int) -> _Reals: ...
