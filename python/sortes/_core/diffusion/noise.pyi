"""The noise of each image of a batch."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

_Use: TypeAlias = Literal["start", "step", "corrector", "mixture", "direction"]

__all__ = ["brownian_keys", "brownian_values", "keys", "normals", "normals_f32"]

def keys(keys: NDArray[np.uint64], steps: NDArray[np.uint32], job: Job) -> NDArray[np.uint64]: ...
def normals(
    of: _Use,
    keys: NDArray[np.uint64],
    ids: NDArray[np.uint64],
    round: int,
    width: int,
    job: Job,
) -> NDArray[np.float64]: ...
def normals_f32(
    of: _Use,
    keys: NDArray[np.uint64],
    ids: NDArray[np.uint64],
    round: int,
    width: int,
    job: Job,
) -> NDArray[np.float32]: ...
def brownian_values(
    keys: NDArray[np.uint64], ids: NDArray[np.uint64], time: int, width: int, job: Job
) -> NDArray[np.float64]: ...
def brownian_keys(
    keys: NDArray[np.uint64], ids: NDArray[np.uint64], job: Job
) -> NDArray[np.uint64]: ...
