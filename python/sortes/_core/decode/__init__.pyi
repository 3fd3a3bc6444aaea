"""Logits to tokens."""

from . import adaptive_p as adaptive_p
from . import basis_aware as basis_aware
from . import penalties as penalties
from . import sampling as sampling

__all__ = ["adaptive_p", "basis_aware", "penalties", "sampling"]
