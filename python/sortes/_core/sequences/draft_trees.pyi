"""Trees of drafted tokens."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from ..decode.sampling import _Given

__all__ = ["DraftTreeBuilder", "depths", "mask", "merge", "paths"]

def depths(tokens: NDArray[np.int64], parents: NDArray[np.int64]) -> NDArray[np.int64]: ...
def mask(parents: NDArray[np.int64]) -> NDArray[np.bool_]: ...
def paths(
    parents: NDArray[np.int64], depths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]: ...
def merge(
    root: int, paths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]: ...
@final
class DraftTreeBuilder:
    """Trees that grow, one for each text of a batch."""

    def __new__(
        cls, texts: int, top_k: int, depth: int, nodes: int, least: float
    ) -> DraftTreeBuilder: ...
    def start_listed(
        self,
        roots: NDArray[np.int64],
        logprobs: NDArray[np.float64],
        tokens: NDArray[np.int64],
        job: Job,
    ) -> None: ...
    def start_rows(self, roots: NDArray[np.int64], given: _Given, job: Job) -> None: ...
    def expand_listed(
        self, logprobs: NDArray[np.float64], tokens: NDArray[np.int64], job: Job
    ) -> None: ...
    def expand_rows(self, given: _Given, job: Job) -> None: ...
    def frontier(
        self,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]: ...
    def finish(
        self,
    ) -> list[
        tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
    ]: ...
    @property
    def levels(self) -> int | None: ...
