"""Edges between sites: given ones, and those of grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sortes._arrays import host
from sortes._check import count, flag, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST: Final = 2**32 - 1


def pairs_of(edges: Any) -> NDArray[np.int64]:
    """Return edges as pairs of sites."""
    array = host(edges, "edges", None)
    if not array.size and array.ndim <= 2:
        return np.empty((0, 2), np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"edges: must hold integers, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"edges: must have shape (m, 2), got {array.shape}")
    pairs = np.array(array, np.int64, order="C")
    loops = pairs[:, 0] == pairs[:, 1]
    if loops.any():
        at = int(np.argmax(loops))
        raise ValueError(f"edges: row {at}: must join two sites, got {pairs[at].tolist()}")
    return pairs


def rectangle(shape: Any, periodic: Any) -> tuple[list[int], list[bool]]:
    """Return the length of each axis, and whether it wraps."""
    sizes = host(shape, "shape", "iu")
    if sizes.ndim != 1 or not sizes.size:
        raise ValueError(f"shape: must hold the length of each axis, got shape {sizes.shape}")
    lengths = [count(int(size), "shape", 1) for size in sizes]
    if math.prod(lengths) > _MOST:
        raise ValueError(f"shape: must have less than 2**32 sites, got {math.prod(lengths)}")
    if isinstance(periodic, bool | np.bool_):
        wraps = [bool(periodic)] * len(lengths)
    elif isinstance(periodic, Sequence | np.ndarray) and not isinstance(periodic, str):
        if isinstance(periodic, np.ndarray) and periodic.ndim != 1:
            raise TypeError(f"periodic: must be a bool or several, got {shown(periodic)}")
        wraps = [flag(wrap, "periodic") for wrap in periodic]
        if len(wraps) != len(lengths):
            raise ValueError(
                f"periodic: must have an item for each of {len(lengths)} axes, got {len(wraps)}"
            )
    else:
        raise TypeError(f"periodic: must be a bool or several, got {shown(periodic)}")
    return lengths, [wrap and size > 2 for wrap, size in zip(wraps, lengths, strict=True)]


def grid_edges(sizes: list[int], wraps: list[bool]) -> NDArray[np.int64]:
    """Return the edges of a grid, axis by axis."""
    ids = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
    edges = []
    for axis, wrap in enumerate(wraps):
        a, b = ids, np.roll(ids, -1, axis)
        if not wrap:
            keep = [slice(None)] * len(sizes)
            keep[axis] = slice(0, -1)
            a, b = a[tuple(keep)], b[tuple(keep)]
        edges.append(np.stack([a.ravel(), b.ravel()], axis=1))
    return np.concatenate(edges)
