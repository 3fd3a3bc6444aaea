"""Probabilities in proportion to weights; Poisson and systematic samples."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Callback

from ... import Stream

__all__ = ["inclusion_probabilities", "poisson", "start", "systematic"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def inclusion_probabilities(
    weights: _Reals,
    k: float,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> tuple[_Reals, float]: ...
def poisson(
    pi: _Reals,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
def start(stream: Stream, /) -> float: ...
def systematic(
    pi: _Reals,
    u: float,
    order: _Ints | None,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
