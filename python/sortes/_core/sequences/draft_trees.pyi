"""Trees of drafted tokens."""

from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from ..decode.sampling import _Given

__all__ = [
    "DraftTreeBuilder",
    "depths",
    "mask",
    "merge",
    "paths",
    "verify_paths",
    "verify_tree",
]

_Int64: TypeAlias = NDArray[np.int64]

def depths(tokens: _Int64, parents: _Int64) -> _Int64: ...
def mask(parents: _Int64) -> NDArray[np.bool_]: ...
def paths(parents: _Int64, depths: _Int64) -> tuple[_Int64, int]: ...
def merge(root: int, paths: _Int64) -> tuple[_Int64, _Int64, _Int64]: ...
def verify_tree(
    given: _Given,
    streams: Stream | list[Stream],
    shape: list[int],
    trees: tuple[_Int64, _Int64, _Int64, list[int]],
    each: int,
    draft: tuple[NDArray[Any], bool] | None,
    method: str,
    job: Job,
) -> tuple[_Int64, _Int64, _Int64]: ...
def verify_paths(
    given: _Given,
    streams: Stream | list[Stream],
    shape: list[int],
    paths: _Int64,
    count: int,
    draft: tuple[NDArray[Any], bool],
    grouping: str,
    job: Job,
) -> tuple[_Int64, _Int64, _Int64]: ...

@final
class DraftTreeBuilder:
    """Trees that grow, one for each text of a batch."""

    def __new__(
        cls, texts: int, top_k: int, depth: int, nodes: int, least: float
    ) -> DraftTreeBuilder: ...
    def start_listed(
        self,
        roots: _Int64,
        logprobs: NDArray[np.float64],
        tokens: _Int64,
        job: Job,
    ) -> None: ...
    def start_rows(self, roots: _Int64, given: _Given, job: Job) -> None: ...
    def expand_listed(self, logprobs: NDArray[np.float64], tokens: _Int64, job: Job) -> None: ...
    def expand_rows(self, given: _Given, job: Job) -> None: ...
    def frontier(
        self,
    ) -> list[tuple[_Int64, _Int64, NDArray[np.float64]]]: ...
    def finish(
        self,
    ) -> list[tuple[_Int64, _Int64, _Int64, NDArray[np.float64]]]: ...
    @property
    def levels(self) -> int | None: ...
