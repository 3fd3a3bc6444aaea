"""Conditional Poisson samples, their probabilities and odds."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ... import Stream

__all__ = ["fitted_sample", "log_elementary_symmetric", "odds", "probabilities", "sample"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def sample(odds: _Reals, k: int, stream: Stream, job: Job) -> tuple[_Ints, _Reals]: ...
def fitted_sample(pi: _Reals, k: int | None, stream: Stream, job: Job) -> _Ints: ...
def probabilities(odds: _Reals, k: int, job: Job) -> _Reals: ...
def odds(pi: _Reals, job: Job) -> _Reals: ...
def log_elementary_symmetric(logs: _Reals, k: int, job: Job) -> _Reals: ...
