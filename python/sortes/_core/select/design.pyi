"""Subsets with given inclusion probabilities, strata."""

from collections.abc import Callable
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Pivotal",
    "allocate",
    "conditional_poisson",
    "conditional_poisson_odds",
    "conditional_poisson_probabilities",
    "inclusion_probabilities",
    "log_elementary_symmetric",
    "mask_weights",
    "pivotal_balanced",
    "pivotal_local",
    "pivotal_over_tree",
    "pivotal_sequential",
    "poisson",
    "stratified",
    "stratified_masks",
    "systematic",
]

_Floats: TypeAlias = NDArray[np.float64]
_Ints: TypeAlias = NDArray[np.int64]
_State: TypeAlias = tuple[
    _Ints, _Floats, tuple[int, float, float], tuple[float, float], list[tuple[int, int]], int
]

def inclusion_probabilities(weights: _Floats, k: float, /) -> tuple[_Floats, float]: ...
def poisson(pi: _Floats, key: int, step: int, /, *, num_threads: int | None = None) -> _Ints: ...
def systematic(
    pi: _Floats, u: float | None, order: _Ints | None, key: int, step: int, /
) -> _Ints: ...
def pivotal_sequential(pi: _Floats, order: _Ints | None, key: int, step: int, /) -> _Ints: ...
def pivotal_balanced(
    pi: _Floats, key: int, step: int, /, *, num_threads: int | None = None
) -> _Ints: ...
def pivotal_over_tree(pi: _Floats, merges: _Ints, key: int, step: int, /) -> _Ints: ...
def pivotal_local(
    pi: _Floats,
    x: _Floats,
    key: int,
    step: int,
    /,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> _Ints: ...
def conditional_poisson(odds: _Floats, k: int, key: int, step: int, /) -> _Ints: ...
def conditional_poisson_probabilities(
    odds: _Floats, k: int, /, *, num_threads: int | None = None
) -> _Floats: ...
def conditional_poisson_odds(pi: _Floats, /, *, num_threads: int | None = None) -> _Floats: ...
def log_elementary_symmetric(logs: _Floats, k: int, /) -> _Floats: ...
def allocate(shares: _Floats, m: int, floors: _Ints, caps: _Ints, /) -> _Ints: ...
def stratified(strata: _Ints, wanted: _Ints, key: int, step: int, /) -> _Ints: ...
def stratified_masks(
    n: int, rows: int, key: int, step: int, /, *, num_threads: int | None = None
) -> tuple[NDArray[np.bool_], _Floats]: ...
def mask_weights(n: int, /) -> _Floats: ...

@final
class Pivotal:
    """The state of a pivotal design over a part of a population."""

    def __new__(cls, first: int, /) -> Pivotal: ...
    @staticmethod
    def from_state(state: _State, /) -> Pivotal: ...
    def state_tuple(self) -> _State: ...
    def extend(self, pi: _Floats, ids: _Ints | None, key: int, step: int, /) -> None: ...
    def merge(self, other: Pivotal, key: int, step: int, /) -> Pivotal: ...
    def finish(self, key: int, step: int, /) -> tuple[_Ints, _Floats]: ...
