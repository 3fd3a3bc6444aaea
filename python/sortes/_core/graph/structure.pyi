"""Graphs that never change."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

__all__ = ["Graph"]

_Ids = NDArray[np.int32] | NDArray[np.int64]

@final
class Graph:
    """A graph that never changes."""

    def __new__(
        cls,
        num_nodes: int,
        arcs: tuple[_Ids, _Ids],
        is_rows: bool,
        numbers: NDArray[np.uint32] | None,
        weights: NDArray[np.float64] | None,
        names: tuple[str, str, str],
        coalesce: bool,
        job: Job,
    ) -> Graph: ...
    @property
    def num_nodes(self) -> int: ...
    @property
    def num_arcs(self) -> int: ...
    @property
    def is_weighted(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Graph: ...
    def indptr(self) -> NDArray[np.int64]: ...
    def indices(self) -> NDArray[np.int64]: ...
    def edge_ids(self) -> NDArray[np.int64]: ...
    def weights(self) -> NDArray[np.float64]: ...
