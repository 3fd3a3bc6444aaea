"""States: arrays of NumPy and tensors of Torch, behind the operations that they share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import shown
from sortes._device import check_dense, to_device

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from sortes._core import Stream


#: States, which come back as they are given: an array or a tensor.
State = TypeVar("State", bound="NDArray[Any] | torch.Tensor")


def is_tensor(x: object) -> bool:
    """Whether `x` is a tensor of Torch, which is never imported here."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def state_of(x: Any, name: str = "x", *, lists: bool = False) -> Any:
    """Return a state: a tensor as it is, an array, or what makes one with `lists`; floats.

    Examples
    --------
    >>> state_of([[1, 2]], lists=True)
    array([[1., 2.]])
    """
    if not is_tensor(x):
        if not (lists or isinstance(x, np.ndarray | np.generic)):
            raise TypeError(f"{name}: must be an array or a tensor, got {shown(x)}")
        array = host(x, name)
        if array.dtype.kind != "f":
            return array.astype(np.float64)
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    check_dense(x, name)
    if not x.is_floating_point() or x.dtype.itemsize == 1:
        raise TypeError(f"{name}: must hold floating point numbers, got {x.dtype}")
    return x


def check_shape(x: Any, event: tuple[int, ...], name: str = "x") -> None:
    """Refuse states whose last axes are not those of an event."""
    shape = tuple(x.shape)
    if len(event) > len(shape) or shape[len(shape) - len(event) :] != event:
        wanted = ", ".join(["...", *map(str, event)])
        raise ValueError(f"{name}: must have shape ({wanted}), got {shown(shape)}")


def namespace(x: Any) -> Any:
    """Return the module whose functions take a state: ``numpy`` or ``torch``."""
    return sys.modules["torch"] if is_tensor(x) else np


def working(x: Any) -> Any:
    """Return a state in a precision to compute in: half precision becomes float32."""
    if x.dtype.itemsize > 2:
        return x
    return x.float() if is_tensor(x) else x.astype(np.float32)


def like(values: NDArray[np.float64], x: Any) -> Any:
    """Return numbers of the host as a state of the kind, the dtype and the device of another."""
    if not is_tensor(x):
        return values.astype(x.dtype, copy=False)
    return to_device(values, x.device).to(x.dtype)


def host_doubles(x: Any, name: str) -> NDArray[np.float64]:
    """Return a state as contiguous float64 on the host; a device is waited for."""
    if is_tensor(x):
        x = x.detach().cpu().double().numpy()
    return np.ascontiguousarray(x, np.float64)


def doubled(x: Any) -> Any:
    """Return a tensor in float64, on its device or, where that has none, on the host."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def products(left: Any, right: Any) -> Any:
    """Return the products of rows of float64: on the host summed in one order, run after run."""
    if not left.is_cpu:
        return left @ right.T
    found = _core.diffusion.fitting.products(left.numpy(), right.numpy())
    return left.new_tensor(found).view(len(left), len(right))


def back(values: NDArray[np.float64], x: Any) -> Any:
    """Return float64 of the host in the form of a state, of its shape."""
    return like(values.reshape(tuple(x.shape)), x)


def batch_of(x: Any, name: str = "x") -> tuple[int, int]:
    """Return how many images a batch holds, and how many numbers each."""
    shape = tuple(x.shape)
    if not shape:
        raise ValueError(f"{name}: must have shape (B, ...), got ()")
    return shape[0], int(np.prod(shape[1:], dtype=np.int64))


def round_keys(streams: Stream | list[Stream], n: int) -> NDArray[np.uint64]:
    """Return the keys under which streams, one or one for each, count rounds of their own."""
    several = streams if isinstance(streams, list) else [streams]
    keys = np.fromiter((stream.key for stream in several), np.uint64, len(several))
    steps = np.fromiter((stream.step for stream in several), np.uint32, len(several))
    found = _core.diffusion.noise.keys(keys, steps, None)
    return found if isinstance(streams, list) else np.repeat(found, n)
