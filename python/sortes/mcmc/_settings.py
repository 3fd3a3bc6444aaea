"""What the settings of kernels have in common: shapes, copies with a change, texts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from sortes._check import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The width of an interval for a law of standard deviation one.
WIDE: Final = 2.5

Kernel = TypeVar("Kernel")


def with_(kernel: Kernel, **changed: Any) -> Kernel:
    """Return a copy of a kernel of which some is changed."""
    other = copy.copy(kernel)
    vars(other).update(changed)
    return other


def kept(wanted: Any, before: Any) -> Any:
    """Return positive finite numbers, those from before where others are none."""
    fine = (wanted > 0) & np.isfinite(wanted)
    return np.where(fine, wanted, before)[()]


def spread(x: NDArray[np.float64], dim: int, name: str) -> NDArray[np.float64]:
    """Return a number for each coordinate."""
    if x.shape not in ((), (dim,)):
        raise ValueError(f"{name}: must be a number or have shape ({dim},), got {x.shape}")
    return np.array(np.broadcast_to(x, (dim,)))


def paired(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both ends of all intervals."""
    size = max(low.size, high.size)
    if {low.size, high.size} - {1, size} or (low.ndim and high.ndim and low.size != high.size):
        raise ValueError(f"upper: must have the shape of `lower`, {low.shape}, got {high.shape}")
    return np.broadcast_to(low, (size,)), np.broadcast_to(high, (size,))


def fits(tril: NDArray[np.float64] | None, dim: int, name: str) -> None:
    """Refuse a matrix of another shape."""
    if tril is not None and tril.shape != (dim, dim):
        raise ValueError(f"{name}: must have shape ({dim}, {dim}), got {tril.shape}")


def text(x: NDArray[np.float64]) -> str:
    """Return a number, or several, as `repr` shows them."""
    return str(float(x)) if x.ndim == 0 else shown(x.tolist())
