"""Where results go: arrays and tensors of the caller that kernels write."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sortes._arrays import contiguous_rows

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

#: What an exact test of overlap may cost before two arrays count as overlapping.
_OVERLAP_WORK = 10_000


def target(
    out: Any,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    name: str = "out",
    *,
    kind: Literal["numpy", "torch"] = "numpy",
    bf16: bool = False,
    apart: Mapping[str, NDArray[Any]] | None = None,
    same: NDArray[Any] | None = None,
    strided: bool = False,
) -> NDArray[Any]:
    """View the caller's output as the array that a kernel writes.

    Parameters
    ----------
    out
        Where to write: an array or a tensor on the CPU that nothing else is needed of.
    shape, dtype
        What it must have. uint16 with `bf16`.
    name
        What error messages call it.
    kind
        Which kind of array it must be.
    bf16
        Whether it must hold bfloat16, which kernels write as uint16.
    apart
        Inputs, by name, that it must not overlap: the kernel reads them while it writes.
    same
        The one of them that it may be, exactly.
    strided
        Whether rows may lie any distance apart (but not overlap); else it must be C-contiguous.

    Returns
    -------
    ndarray
        A view of its memory.

    Raises
    ------
    TypeError
        If it is of another kind or dtype.
    ValueError
        If it has another shape, is read-only, is not contiguous, or overlaps an input.

    Examples
    --------
    >>> out = np.empty(3)
    >>> target(out, (3,), np.float64) is out
    True
    >>> target(out[:2], (2,), np.float64, apart={"x": out[1:]})
    Traceback (most recent call last):
    ValueError: out: overlaps x
    """
    array = _memory(out, name, kind, bf16)
    if array.dtype != dtype:
        wanted = "bfloat16" if bf16 else np.dtype(dtype)
        raise TypeError(f"{name}: dtype must be {wanted}, got {out.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name}: must have shape {shape}, got {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"{name}: is read-only")
    if strided and array.ndim == 2:
        width = array.shape[1] * array.itemsize
        apart_rows = array.shape[0] < 2 or abs(array.strides[0]) >= width
        if contiguous_rows(array) is not array or not apart_rows:
            raise ValueError(f"{name}: rows must be contiguous and must not overlap")
    elif not array.flags.carray:
        raise ValueError(f"{name}: must be C-contiguous")
    for other, given in (apart or {}).items():
        if not (given is same and _is_exactly(array, given)) and _overlap(array, given):
            raise ValueError(f"{name}: overlaps {other}")
    return array


def _memory(out: Any, name: str, kind: str, bf16: bool) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(out, torch.Tensor):
        if kind == "torch" and out.is_cpu and out.layout is torch.strided:
            out = out.detach()
            bits = bf16 and out.dtype is torch.bfloat16
            if bits or out.dtype is not torch.bfloat16:
                return (out.view(torch.uint16) if bits else out).numpy()  # type: ignore[no-any-return]
            raise TypeError(f"{name}: dtype must not be bfloat16, as the logits are not")
        got = f"a tensor of layout {out.layout} on {out.device}"
    elif kind == "numpy" and isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray):
        bits = bf16 and out.dtype.name == "bfloat16"
        return np.asarray(out.view(np.uint16) if bits else out)
    else:
        got = type(out).__name__
    wanted = "a NumPy array" if kind == "numpy" else "a dense Torch tensor on the CPU"
    raise TypeError(f"{name}: must be {wanted}, got {got}")


def _is_exactly(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return (a.ctypes.data, a.shape, a.strides, a.dtype) == (
        *(b.ctypes.data, b.shape, b.strides, b.dtype),
    )


def _overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
