"""The noise of each image of a batch."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["keys", "normals", "normals_f32"]

def keys(streams: Sequence[Stream]) -> NDArray[np.uint64]: ...
def normals(
    of: Literal["start", "step"],
    keys: NDArray[np.uint64],
    ids: NDArray[np.uint64],
    round: int,
    width: int,
    job: Job,
) -> NDArray[np.float64]: ...
def normals_f32(
    of: Literal["start", "step"],
    keys: NDArray[np.uint64],
    ids: NDArray[np.uint64],
    round: int,
    width: int,
    job: Job,
) -> NDArray[np.float32]: ...
