"""Logits to tokens."""

from . import basis_aware as basis_aware
from . import penalties as penalties
from . import sampling as sampling

__all__ = ["basis_aware", "penalties", "sampling"]
