"""The transform of adaptive-p."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["adaptive_p"]

def adaptive_p(
    x: NDArray[Any],
    targets: NDArray[np.float64],
    out: NDArray[np.float32],
    /,
    *,
    bf16: bool,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]: ...
