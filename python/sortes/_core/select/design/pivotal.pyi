"""Samples by duels."""

from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray
from sortes._progress import Callback

from ... import Stream

__all__ = ["Pivotal", "balanced", "local", "over_tree", "sequential"]

_Ints: TypeAlias = NDArray[np.int64]
_Reals: TypeAlias = NDArray[np.float64]

def sequential(
    pi: _Reals,
    order: _Ints | None,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
def balanced(
    pi: _Reals,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
def over_tree(
    pi: _Reals,
    merges: _Ints,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...
def local(
    pi: _Reals,
    x: _Reals,
    stream: Stream,
    /,
    *,
    num_threads: int | None = None,
    progress: Callback | None = None,
) -> _Ints: ...

@final
class Pivotal:
    """The state of a pivotal design over a part of a population."""

    def __new__(cls, first: int, stream: Stream, /) -> Pivotal: ...
    @property
    def units(self) -> int: ...
    def extend(
        self, pi: _Reals, ids: _Ints | None, /, *, progress: Callback | None = None
    ) -> None: ...
    def merge(self, other: Pivotal, /) -> None: ...
    def finish(self) -> tuple[_Ints, _Reals]: ...
    def copy(self) -> Pivotal: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> Pivotal: ...
