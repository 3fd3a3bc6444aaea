"""Allocation of a sample to strata, and its draw."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ... import Stream

__all__ = ["allocate", "neyman_allocation", "stratified"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def allocate(
    shares: _Reals, m: int, caps: _Ints | None, min_per_stratum: int, job: Job
) -> _Ints: ...
def neyman_allocation(
    sizes: _Ints, sds: _Reals, m: int, min_per_stratum: int, job: Job
) -> _Ints: ...
def stratified(strata: _Ints, allocation: _Ints, stream: Stream, job: Job) -> _Ints: ...
