"""Draws in proportion to weights."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AliasTable",
    "DynamicWeights",
    "Reservoir",
    "acquire",
    "acquisition_probs",
    "choice",
    "successive",
    "weighted_keys",
]

def choice(
    weights: NDArray[Any],
    size: int,
    alias: bool,
    key: int,
    step: int,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def successive(
    weights: NDArray[Any],
    k: int,
    key: int,
    step: int,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def weighted_keys(
    weights: NDArray[Any],
    log: bool,
    key: int,
    step: int,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.float64]: ...
def acquire(
    scores: NDArray[np.float64],
    k: int,
    strategy: str,
    beta: float,
    key: int,
    step: int,
    noise: NDArray[np.float64] | None,
    /,
    *,
    num_threads: int | None = None,
) -> NDArray[np.int64]: ...
def acquisition_probs(
    scores: NDArray[np.float64], strategy: str, beta: float, /
) -> NDArray[np.float64]: ...

@final
class AliasTable:
    """A table for draws with replacement."""

    def __new__(
        cls,
        weights: NDArray[Any],
        precision: str,
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> AliasTable: ...
    def sample(
        self,
        size: int,
        key: int,
        step: int,
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]: ...
    def probabilities(self) -> NDArray[np.float64]: ...
    def state(self) -> NDArray[np.uint32 | np.uint64]: ...
    @staticmethod
    def restore(state: NDArray[np.uint32 | np.uint64], /) -> AliasTable: ...
    @property
    def precision(self) -> str: ...
    def __len__(self, /) -> int: ...

@final
class DynamicWeights:
    """Weights that change between draws."""

    def __new__(cls, weights: NDArray[Any], /) -> DynamicWeights: ...
    def update(self, indices: NDArray[np.int64], weights: NDArray[np.float64], /) -> None: ...
    @property
    def total(self) -> float: ...
    def weights(self) -> NDArray[np.float64]: ...
    def sample(self, size: int, key: int, step: int, /) -> NDArray[np.int64]: ...
    def pop(self, size: int, key: int, step: int, /) -> NDArray[np.int64]: ...
    def __len__(self, /) -> int: ...

@final
class Reservoir:
    """Distinct items from a stream."""

    def __new__(cls, k: int, key: int, /) -> Reservoir: ...
    def update(
        self,
        weights: NDArray[Any],
        ids: NDArray[np.int64] | None,
        /,
        *,
        num_threads: int | None = None,
    ) -> None: ...
    def sample(self) -> NDArray[np.int64]: ...
    @property
    def k(self) -> int: ...
    @property
    def seen(self) -> int: ...
    def state(
        self,
    ) -> tuple[int, int, float, int, int, NDArray[np.float64], NDArray[np.int64]]: ...
    @staticmethod
    def restore(
        k: int,
        key: int,
        skip: float,
        event: int,
        seen: int,
        keys: NDArray[np.float64],
        ids: NDArray[np.int64],
        /,
    ) -> Reservoir: ...
