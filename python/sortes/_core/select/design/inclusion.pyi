"""Probabilities in proportion to weights; Poisson and systematic samples."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ... import Stream

__all__ = ["inclusion_probabilities", "poisson", "start", "systematic"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def inclusion_probabilities(weights: _Reals, k: float, job: Job) -> tuple[_Reals, float]: ...
def poisson(pi: _Reals, stream: Stream, job: Job) -> _Ints: ...
def start(stream: Stream) -> float: ...
def systematic(pi: _Reals, u: float, order: _Ints | None, job: Job) -> _Ints: ...
