"""Trees of drafted tokens."""

from typing import TypeAlias, final

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
    "verify_trees",
]

_Int64: TypeAlias = NDArray[np.int64]
_Texts: TypeAlias = tuple[Stream | list[Stream], NDArray[np.uint32] | None]

def depths(tokens: _Int64, parents: _Int64) -> _Int64: ...
def mask(parents: _Int64) -> NDArray[np.bool_]: ...
def paths(
    parents: _Int64, depths: _Int64
) -> tuple[_Int64, int]: ...
def merge(
    root: int, paths: _Int64
) -> tuple[_Int64, _Int64, _Int64]: ...
def verify_trees(
    trees: tuple[_Int64, _Int64, _Int64, list[int]],
    each: int,
    target: _Given,
    draft: _Given | None,
    texts: _Texts,
    method: str,
    job: Job,
) -> tuple[_Int64, _Int64, _Int64]: ...
def verify_paths(
    paths: tuple[_Int64, int, int, int],
    target: _Given,
    draft: _Given,
    texts: _Texts,
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
    def expand_listed(
        self, logprobs: NDArray[np.float64], tokens: _Int64, job: Job
    ) -> None: ...
    def expand_rows(self, given: _Given, job: Job) -> None: ...
    def frontier(
        self,
    ) -> list[tuple[_Int64, _Int64, NDArray[np.float64]]]: ...
    def finish(
        self,
    ) -> list[
        tuple[_Int64, _Int64, _Int64, NDArray[np.float64]]
    ]: ...
    @property
    def levels(self) -> int | None: ...
