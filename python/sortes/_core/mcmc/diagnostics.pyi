"""Effective sample sizes and R-hat."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["ess", "rhat"]

def ess(
    draws: NDArray[np.float64], chains: int, method: Literal["bulk", "tail", "mean"], job: Job
) -> NDArray[np.float64]: ...
def rhat(draws: NDArray[np.float64], chains: int, job: Job) -> NDArray[np.float64]: ...
