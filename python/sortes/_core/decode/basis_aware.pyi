"""Basis-aware truncation: programs over a reduced output matrix."""

from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from .sampling import _Given, _Progress, _Streams

__all__ = ["Basis"]

# Whether q >= 0 is asked for, programs for one draw, steps of a program, whether giving up raises.
_Options: TypeAlias = tuple[bool, int | None, int, bool]

@final
class Basis:
    """A reduced output matrix, and the options of the programs that are solved on it."""

    def __new__(cls, features: NDArray[np.float32], options: _Options, /) -> Basis: ...
    def with_options(self, options: _Options, /) -> Basis: ...
    def copy(self) -> Basis: ...
    @property
    def options(self) -> _Options: ...
    def features(self) -> NDArray[np.float32]: ...
    def sample(
        self,
        given: _Given,
        streams: _Streams,
        /,
        *,
        num_threads: int | None = None,
        progress: _Progress = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]: ...
    def keep_mask(
        self,
        given: _Given,
        out: NDArray[np.bool_],
        /,
        *,
        num_threads: int | None = None,
        progress: _Progress = None,
    ) -> None: ...
    def cutoffs(
        self,
        given: _Given,
        out: NDArray[np.float64],
        /,
        *,
        num_threads: int | None = None,
        progress: _Progress = None,
    ) -> None: ...
    def critical(
        self,
        given: _Given,
        ids: NDArray[np.int64],
        out: NDArray[np.float64],
        /,
        *,
        num_threads: int | None = None,
        progress: _Progress = None,
    ) -> None: ...
    def decide(self, given: _Given, id: int, tau: float, /) -> tuple[bool, NDArray[np.float64]]: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> Basis: ...
