"""Tensors in, tensors out, for kernels that read NumPy arrays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def first_tensor(*given: Any) -> torch.Tensor | None:
    """Return the first Torch tensor among some arguments. Never imports Torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return next((x for x in given if isinstance(x, torch.Tensor)), None)


def like(array: NDArray[Any], given: torch.Tensor | None) -> Any:
    """Return an array as a tensor on the device of another, if there is one.

    Numbers take its dtype if it is one of real numbers; indices keep theirs.
    """
    if given is None:
        return array
    import torch

    tensor = torch.from_numpy(array)
    is_real = given.is_floating_point() and tensor.is_floating_point()
    return tensor.to(given.device, given.dtype if is_real else tensor.dtype)
