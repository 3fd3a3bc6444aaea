"""Draws in proportion to weights."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from .. import Stream

__all__ = [
    "AliasTable",
    "DynamicWeights",
    "Reservoir",
    "choice",
    "successive",
    "weighted_keys",
]

def choice(
    weights: NDArray[Any],
    size: int,
    alias: bool,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def successive(
    weights: NDArray[Any],
    k: int,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]: ...
def weighted_keys(
    weights: NDArray[Any],
    log: bool,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
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
        stream: Stream,
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]: ...
    def probabilities(self) -> NDArray[np.float64]: ...
    def copy(self) -> AliasTable: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> AliasTable: ...
    @property
    def precision(self) -> str: ...
    def __len__(self, /) -> int: ...

@final
class DynamicWeights:
    """Weights that change between draws."""

    def __new__(
        cls,
        weights: NDArray[Any],
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> DynamicWeights: ...
    def update(
        self,
        indices: NDArray[np.int64],
        weights: NDArray[np.float64],
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None: ...
    @property
    def total(self) -> float: ...
    def weights(self) -> NDArray[np.float64]: ...
    def sample(
        self,
        size: int,
        stream: Stream,
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]: ...
    def pop(
        self,
        size: int,
        stream: Stream,
        /,
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]: ...
    def copy(self) -> DynamicWeights: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> DynamicWeights: ...
    def __len__(self, /) -> int: ...

@final
class Reservoir:
    """Distinct items from a stream."""

    def __new__(cls, k: int, stream: Stream, /) -> Reservoir: ...
    def update(
        self,
        weights: NDArray[Any],
        ids: NDArray[np.int64] | None,
        /,
        *,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> None: ...
    def sample(self) -> NDArray[np.int64]: ...
    def copy(self) -> Reservoir: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> Reservoir: ...
    @property
    def k(self) -> int: ...
    @property
    def seen(self) -> int: ...
    def __len__(self, /) -> int: ...
