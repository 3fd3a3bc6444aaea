"""Samples that merge."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream

__all__ = ["Sketch"]

@final
class Sketch:
    """A sketch of any kind."""

    def __new__(cls, kind: str, k: int, stream: Stream, shard: int | None) -> Sketch: ...
    def update(
        self,
        ids: NDArray[np.int64],
        weights: NDArray[np.float64] | NDArray[np.float32] | None,
        values: NDArray[np.float64] | None,
        job: Job,
    ) -> None: ...
    def merge(self, other: Sketch) -> None: ...
    def sample(
        self,
    ) -> tuple[
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.float64] | None,
        float,
    ]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Sketch: ...
    def for_shard(self, shard: int) -> Sketch: ...
    def has_drawn(self, shard: int) -> bool: ...
    def copy(self) -> Sketch: ...
    def __len__(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def coordinated(self) -> bool: ...
    @property
    def k(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def total(self) -> float | None: ...
