"""What each epoch of a training run sees."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["permutation", "rs2_epoch"]

def rs2_epoch(n: int, keep: int, mode: str, key: int, epoch: int, /) -> NDArray[np.int64]: ...
def permutation(n: int, key: int, number: int, start: int, stop: int, /) -> NDArray[np.int64]: ...
