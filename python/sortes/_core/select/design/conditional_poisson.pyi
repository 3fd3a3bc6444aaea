"""Conditional Poisson samples, their probabilities and odds."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Callback

from ... import Stream

__all__ = ["fitted_sample", "log_elementary_symmetric", "odds", "probabilities", "sample"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def sample(
    odds: _Reals,
    k: int,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> tuple[_Ints, _Reals]: ...
def fitted_sample(
    pi: _Reals,
    k: int | None,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
def probabilities(
    odds: _Reals, k: int, /, *, num_threads: int | None = None, progress: Callback | None = None
) -> _Reals: ...
def odds(
    pi: _Reals, /, *, num_threads: int | None = None, progress: Callback | None = None
) -> _Reals: ...
def log_elementary_symmetric(
    logs: _Reals, k: int, /, *, progress: Callback | None = None
) -> _Reals: ...
