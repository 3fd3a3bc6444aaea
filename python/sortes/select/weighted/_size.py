"""The argument `size`: how many draws, in which shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from sortes._check import Count, count

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Shape: TypeAlias = Count | tuple[Count, ...]


def shape_of(size: Shape | None) -> tuple[int, ...]:
    """Return the shape of the result that `size` asks for, (1,) without one."""
    if size is None:
        return (1,)
    if not isinstance(size, tuple):
        return (count(size, "size"),)
    shape = tuple(count(length, "size") for length in size)
    count(math.prod(shape), "size")
    return shape


def shaped(
    drawn: NDArray[np.int64], size: Shape | None, shape: tuple[int, ...]
) -> int | NDArray[np.int64]:
    """Return what was drawn in that shape, or as an int."""
    return int(drawn[0]) if size is None else drawn.reshape(shape)


def too_many(wanted: int, positive: int) -> ValueError:
    """Return the error of a sample without replacement that is larger than what there is."""
    return ValueError(
        f"size: must be at most the number of positive weights, {positive}, got {wanted}"
    )
