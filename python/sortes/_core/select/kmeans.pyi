"""The k-means++ family."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["assign", "seed"]

def seed(
    x: NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any], int],
    weights: NDArray[np.float64] | None,
    k: int,
    method: str,
    key: int,
    /,
    *,
    local_trials: int,
    max_trials: int | None,
    uniform_fallback: bool,
    chain_length: int,
    oversampling: float,
    rounds: int,
    progress: Callable[[int, int], object] | None = None,
    num_threads: int | None = None,
) -> tuple[NDArray[np.int64], int, int, int, int]: ...
def assign(
    x: NDArray[Any] | tuple[NDArray[Any], NDArray[Any], NDArray[Any], int],
    centres: NDArray[np.int64],
    /,
    *,
    num_threads: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.uint32]]: ...
