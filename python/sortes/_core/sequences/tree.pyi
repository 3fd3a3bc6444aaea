"""The search for distinct sequences."""

from typing import final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Job

from .. import Stream
from ..decode.sampling import _Given
from .automaton import TokenAutomaton

__all__ = ["SequenceTree"]

@final
class SequenceTree:
    """The search for distinct sequences of a prompt."""

    def __new__(
        cls,
        priority: str,
        sequences: int,
        tokens: int,
        ends: list[int],
        stream: Stream,
        constraint: tuple[TokenAutomaton, bool] | None = None,
    ) -> SequenceTree: ...
    def next_batch(self, most: int) -> NDArray[np.uint32]: ...
    def expand(self, nodes: NDArray[np.uint32], given: _Given, job: Job) -> None: ...
    def expand_listed(
        self, node: int, tokens: NDArray[np.int64], logprobs: NDArray[np.float64]
    ) -> None: ...
    def path(self, node: int) -> NDArray[np.int64]: ...
    def found(
        self, first: int, end: int
    ) -> list[tuple[NDArray[np.int64], float, float, bool, NDArray[np.float64]]]: ...
    def __len__(self) -> int: ...
    @property
    def is_finished(self) -> bool: ...
    @property
    def kappa(self) -> float: ...
