"""What each epoch of a training run sees."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .. import Stream

__all__ = ["permutation", "rs2_epoch"]

def rs2_epoch(
    n: int,
    keep: int,
    mode: str,
    stream: Stream,
    epoch: int,
    /,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def permutation(
    n: int, stream: Stream, number: int, start: int, stop: int, /
) -> NDArray[np.int64]: ...
