"""The kinds of arrays that functions take, behind one call."""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from sortes import _device


class Backend:
    """Calls a function of the family with NumPy arrays, on one kind of array, and returns NumPy.

    ``torch-ref`` takes the path of devices on CPU tensors, so that it is tested without a device.
    """

    def __init__(self, name):
        self.name = name
        self.is_device = name in ("torch-ref", "torch-cuda")

    def __repr__(self):
        return self.name

    def convert(self, array, dtype=None):
        array = np.asarray(array)
        if self.name == "numpy":
            return array if dtype is None else array.astype(dtype)
        import torch

        tensor = torch.from_numpy(array.copy())
        if dtype is not None:
            tensor = tensor.to(getattr(torch, dtype))
        return tensor.to("cuda" if self.name == "torch-cuda" else "cpu")

    def __call__(self, function, logits, *args, dtype=None, waits=False, **kwargs):
        logits = self.convert(logits, dtype)
        with self.watched(waits):
            result = function(logits, *args, **kwargs)
        if isinstance(result, tuple):
            return type(result)(*(self.to_numpy(part, logits) for part in result))
        return self.to_numpy(result, logits)

    def to_numpy(self, result, logits):
        if self.name == "numpy":
            assert isinstance(result, np.ndarray)
            return result
        assert result.device == logits.device
        result = result.cpu()
        return (result.float() if result.dtype.itemsize == 2 else result).numpy()

    @contextmanager
    def watched(self, waits=False):
        """Send CPU tensors the way of devices, or let a wait for the device raise."""
        if self.name == "torch-ref":
            with patch.object(_device, "PRETEND", True):
                yield
        elif self.name == "torch-cuda" and not waits:
            import torch

            torch.cuda.set_sync_debug_mode("error")
            try:
                yield
            finally:
                torch.cuda.set_sync_debug_mode("default")
        else:
            yield


ALL = [
    "numpy",
    "torch-cpu",
    "torch-ref",
    pytest.param("torch-cuda", marks=pytest.mark.cuda),
]
