"""Perturbed log weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["conditional_gumbel", "gumbel_topk", "log_survival"]

def gumbel_topk(
    logits: tuple[NDArray[Any], bool],
    k: int,
    noise: Stream | list[Stream] | NDArray[np.float64],
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]: ...
def conditional_gumbel(
    logprobs: NDArray[np.float64],
    maximum: NDArray[np.float64],
    noise: Stream | list[Stream] | NDArray[np.float64],
    job: Job,
) -> NDArray[np.float64]: ...
def log_survival(x: NDArray[np.float64], job: Job) -> NDArray[np.float64]: ...
