"""Searches over tables of numbers."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["children", "fitted", "products", "row", "shortest", "stepsize_round"]

_Doubles: TypeAlias = NDArray[np.float64]
_Given: TypeAlias = tuple[str, _Doubles, _Doubles]

def shortest(cost: _Doubles, k: int, job: Job) -> tuple[NDArray[np.int64], float] | None: ...
def stepsize_round(
    path: _Given,
    at: Sequence[int],
    own: _Doubles,
    of_fine: tuple[_Doubles, _Doubles, _Doubles],
    beam: int,
    job: Job,
) -> tuple[NDArray[np.int64], NDArray[np.int64], _Doubles]: ...
def children(
    species: tuple[int, int, int, float],
    parents: NDArray[np.uint32],
    generation: tuple[int, int],
    numbers: tuple[int, int],
    job: Job,
) -> NDArray[np.uint32]: ...
def row(path: _Given, form: tuple[int, int, int], k: int) -> tuple[_Doubles, _Doubles]: ...
def fitted(
    base: _Doubles | Sequence[float],
    directions: _Doubles | Sequence[float],
    gram: _Doubles,
    target: _Doubles,
    ridge: float,
) -> _Doubles: ...
def products(left: _Doubles, right: _Doubles) -> _Doubles: ...
