"""Torch tensors that the kernels cannot reach, and what has to be sent to them."""

from __future__ import annotations

import sys
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType

    import torch
    from numpy.typing import NDArray


#: Whether tensors on the CPU are treated as if they were on a device: for tests without one.
PRETEND = False

#: What Torch's errors say if there is no memory on the CPU, where they are ordinary ones.
_NO_MEMORY: Final = ("allocate memory", "bad_alloc", "Failed to allocate a Tensor")


def is_on_device(x: object) -> TypeGuard[torch.Tensor]:
    """Whether `x` is a Torch tensor outside the memory of the CPU. Never imports Torch."""
    if type(x) is np.ndarray:
        return False
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor) and (PRETEND or not x.is_cpu)


def to_host(x: Any) -> Any:
    """Copy a Torch tensor of another device to the CPU; anything else stays as it is.

    So does a tensor on ``meta``, which has no values: the check of the argument refuses it by name.
    """
    return x.cpu() if is_on_device(x) and not x.is_meta else x


def check_dense(x: torch.Tensor, name: str) -> None:
    """Refuse tensors that have no rows and columns in memory: sparse, nested and without values."""
    import torch

    if x.layout is not torch.strided or x.is_nested or x.is_meta or x.is_quantized:
        named = {"a nested one": x.is_nested, "one on meta": x.is_meta, x.dtype: x.is_quantized}
        got = next((kind for kind, is_it in named.items() if is_it), x.layout)
        raise TypeError(f"{name}: must be a dense tensor, got {got}")


def check_real(x: torch.Tensor, name: str, *, booleans: bool = False) -> None:
    """Refuse tensors on a device that hold no numbers, or some that arrays cannot hold."""
    import torch

    check_dense(x, name)
    small = x.is_floating_point() and x.dtype.itemsize == 1
    if x.is_complex() or small or (x.dtype is torch.bool and not booleans):
        raise TypeError(f"{name}: must hold numbers, got {x.dtype}")


def to_device(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Send an array to a device without waiting for it.

    Parameters
    ----------
    array
        What to send; float64 becomes float32 where the device has no other.
    device
        Where to.

    Returns
    -------
    tensor
        The copy.
    """
    import torch

    if device.type == "mps" and array.dtype == np.float64:
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class memory_errors(ContextDecorator):  # noqa: N801 - a context manager
    """Make Torch's errors of memory on the CPU those of Python.

    A device's `torch.OutOfMemoryError` stays what it is: programs that free memory of the device
    and go on look for it.

    Parameters
    ----------
    what
        What there is no memory for, after the name of an argument.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, RuntimeError) and any(said in str(error) for said in _NO_MEMORY):
            raise MemoryError(f"{self._what}: {error}") from error
