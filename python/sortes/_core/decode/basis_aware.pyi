"""Basis-aware truncation: programs over a reduced output matrix."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Basis"]

@final
class Basis:
    """A reduced output matrix and the program that is solved on it."""

    def __new__(cls, features: NDArray[np.float32], nonneg: bool, max_pivots: int, /) -> Basis: ...
    def thresholds(
        self, x: NDArray[Any], rule: tuple[str, float], temperature: float, /, *, bf16: bool = False
    ) -> NDArray[np.float64]: ...
    def sample(
        self,
        x: NDArray[Any],
        rule: tuple[str, float],
        temperature: float,
        keys: int | NDArray[np.uint64],
        rows: NDArray[np.uint32] | None,
        step: int,
        max_lp: int | None,
        strict: bool,
        /,
        *,
        bf16: bool = False,
        num_threads: int | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]: ...
    def keep_mask(
        self,
        x: NDArray[Any],
        rule: tuple[str, float],
        temperature: float,
        strict: bool,
        /,
        *,
        bf16: bool = False,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.bool_]: ...
    def critical(
        self,
        x: NDArray[Any],
        ids: NDArray[np.int64] | None,
        temperature: float,
        /,
        *,
        bf16: bool = False,
        num_threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.float64]: ...
    def decide(
        self,
        x: NDArray[Any],
        id: int,
        tau: float,
        temperature: float,
        /,
        *,
        bf16: bool = False,
    ) -> tuple[bool, NDArray[np.float64]]: ...
