"""Native kernels: positional arguments in the order of the kernels, NumPy arrays only.

A family is a module in this one, and each of its ideas is a module in the family's:
``_core.decode.sampling``. They are attributes, which cannot be imported by path.
"""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from . import _testing as _testing
from . import decode as decode
from . import select as select

__all__ = [
    "PURPOSES",
    "SortesError",
    "Stream",
    "__version__",
    "_testing",
    "build_profile",
    "decode",
    "get_num_threads",
    "select",
    "set_num_threads",
    "simd_level",
]

__version__: Final[str]
build_profile: Final[str]
PURPOSES: Final[dict[str, int]]

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
