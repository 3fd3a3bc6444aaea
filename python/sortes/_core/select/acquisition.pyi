"""Batches by scores, for active learning."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import Stream

__all__ = ["acquire", "acquisition_probs"]

def acquire(
    scores: NDArray[np.float64],
    k: int,
    strategy: str,
    beta: float,
    noise: Stream | NDArray[np.float64],
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def acquisition_probs(
    scores: NDArray[np.float64],
    strategy: str,
    beta: float,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]: ...
