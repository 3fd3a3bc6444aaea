"""The transform of adaptive-p."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["adaptive_p"]

def adaptive_p(
    logits: tuple[NDArray[Any], bool],
    targets: NDArray[np.float64],
    out: NDArray[np.float32],
    job: Job,
) -> NDArray[np.float64]: ...
