"""Ways into the boundary for the test suite; nothing here is part of the interface."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Busy", "draws", "panic", "parallel_sum", "row_sums", "spin"]

@final
class Busy:
    def __new__(cls) -> Busy: ...
    def read(
        self, milliseconds: int, progress: Callable[[int, int], object] | None = None
    ) -> int: ...
    def write(
        self, milliseconds: int, progress: Callable[[int, int], object] | None = None
    ) -> int: ...
    @property
    def count(self) -> int: ...

def draws(distribution: str, key: int, n: int) -> NDArray[np.float64]: ...
def panic(*, long: bool = False) -> None: ...
def parallel_sum(n: int, num_threads: int | None = None) -> int: ...
def row_sums(x: NDArray[Any], *, bf16: bool = False) -> tuple[str, int, int, list[float]]: ...
def spin(
    milliseconds: int,
    progress: Callable[[int, int], object] | None = None,
    *,
    keep: bool = False,
) -> int: ...
