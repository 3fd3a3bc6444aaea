"""Native kernels: positional arguments in the order of the kernels, NumPy arrays only.

A family is a module in this one, ``_core.decode``: an attribute, which cannot be imported by path.
Its stub is ``decode.pyi`` beside this file.
"""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from . import _testing as _testing
from . import basis_aware as basis_aware
from . import decode as decode
from . import design as design
from . import epochs as epochs
from . import penalties as penalties
from . import seeding as seeding
from . import sketch as sketch
from . import weighted as weighted

__all__ = [
    "SortesError",
    "Stream",
    "__version__",
    "_testing",
    "basis_aware",
    "build_profile",
    "decode",
    "design",
    "epochs",
    "get_num_threads",
    "penalties",
    "seeding",
    "set_num_threads",
    "simd_level",
    "sketch",
    "weighted",
]

__version__: Final[str]
build_profile: Final[str]

class SortesError(RuntimeError):
    """An internal failure of sortes: a bug, never the consequence of an argument."""

@final
class Stream:
    """An immutable name for a family of independent random sequences."""

    def __new__(cls, key: int, step: int = 0) -> Stream: ...
    @property
    def key(self) -> int: ...
    @property
    def step(self) -> int: ...
    def advance(self, step: int = 1) -> Stream: ...
    def split(self, n: int) -> list[Stream]: ...
    def uniforms(self, n: int, row: int = 0) -> NDArray[np.float64]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[type[Stream], tuple[int, int]]: ...

def set_num_threads(num_threads: int | None, /) -> None: ...
def get_num_threads() -> int: ...
def simd_level() -> str: ...
