"""Native kernels: positional arguments in the order of the kernels, NumPy arrays only.

A family is a module in this one, and each of its ideas is a module in the family's:
``_core.decode.sampling``. They are attributes, which cannot be imported by path. What is public
here has its docstring here alone, where editors look: the native objects are built with it.
"""

from typing import Annotated, Final, final

import numpy as np
from numpy.typing import NDArray
from sortes._check import WORD, Entity, Key, Step

from . import _testing as _testing
from . import decode as decode
from . import diffusion as diffusion
from . import graph as graph
from . import mcmc as mcmc
from . import pool as pool
from . import select as select
from . import sequences as sequences

__all__ = [
    "PURPOSES",
    "SortesError",
    "Stream",
    "__version__",
    "_testing",
    "build_profile",
    "decode",
    "diffusion",
    "get_num_threads",
    "graph",
    "mcmc",
    "pool",
    "select",
    "sequences",
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
    """An immutable name for a family of independent random sequences.

    Wherever `sortes` takes ``rng``, a stream says exactly which draws are meant: a function called
    twice with one stream draws the same twice. Streams compare by value, hash and pickle.

    Parameters
    ----------
    key : int
        The key, in [0, 2**64), used as it is; any other ``rng`` is hashed into one.
    step : int, default 0
        The step that draws are made at, in [0, 2**32). It adds to the step of a call.

    Raises
    ------
    ValueError
        If `key` or `step` is out of range.
    TypeError
        If it is no integer.

    Notes
    -----
    The generator is Philox4x32-10 (Salmon et al. 2011), a bijection of 128-bit counters for every
    key. A counter holds the index of a draw, the step, the row and the algorithm, so that no draw
    depends on another, or on threads or batches.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

    Examples
    --------
    >>> from sortes import Stream
    >>> Stream(7).advance(2)
    Stream(key=0x0000000000000007, step=2)
    >>> Stream(7).uniforms(2)[:1] == Stream(7).uniforms(1)
    array([ True])
    """

    def __new__(cls, key: Key, step: Step = 0) -> Stream: ...
    @property
    def key(self) -> int:
        """The 64-bit key."""
    @property
    def step(self) -> int:
        """The step that draws are made at."""
    def advance(self, step: Step = 1) -> Stream:
        """Return the same stream, some steps later.

        Parameters
        ----------
        step : int, default 1
            How many steps.

        Returns
        -------
        Stream
            A new stream; this one does not change.

        Raises
        ------
        ValueError
            If `step` is negative, or the new step not below 2**32.
        TypeError
            If `step` is no integer.

        Examples
        --------
        >>> from sortes import Stream
        >>> Stream(7).advance().advance(2) == Stream(7, step=3)
        True
        """

    def split(self, n: Annotated[int, WORD]) -> list[Stream]:
        """Make streams with keys of their own.

        Parameters
        ----------
        n : int
            How many streams.

        Returns
        -------
        list of Stream
            Streams at step 0. They depend on the key and the step of this one; the first ones do
            not depend on `n`.

        Raises
        ------
        ValueError
            If `n` is not in [0, 2**32).
        TypeError
            If `n` is no integer.
        MemoryError
            If there is no room for them.

        Notes
        -----
        Child keys are 64 bits of Philox output; among `m` keys, two are equal with probability
        about ``m**2 / 2**65``.

        Examples
        --------
        >>> from sortes import Stream
        >>> Stream(7).split(2) == Stream(7).split(3)[:2]
        True
        """

    def uniforms(self, n: Annotated[int, WORD], row: Entity = 0) -> NDArray[np.float64]:
        """Return the first uniforms of one row at this step.

        Parameters
        ----------
        n : int
            How many.
        row : int, default 0
            Which of the 2**48 independent sequences.

        Returns
        -------
        ndarray of float64, shape (n,)
            Multiples of 2**-53, uniform on [0, 1).

        Raises
        ------
        ValueError
            If `n` is not in [0, 2**32) or `row` not in [0, 2**48).
        TypeError
            If one of them is no integer.
        MemoryError
            If there is no room for them.

        Examples
        --------
        >>> from sortes import Stream
        >>> Stream(7).uniforms(3, row=5).shape
        (3,)
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __reduce__(self) -> tuple[type[Stream], tuple[int, int]]: ...

def set_num_threads(num_threads: int | None, /) -> None:
    """Set how many threads calls of this process use when they do not say.

    Results never depend on it.

    Parameters
    ----------
    num_threads : int, optional
        A count in [1, 1024]; None goes back to the environment.

    Raises
    ------
    ValueError
        If the count is out of range.
    TypeError
        If it is no integer.

    Examples
    --------
    >>> import sortes
    >>> sortes.set_num_threads(2)
    >>> sortes.get_num_threads()
    2
    >>> sortes.set_num_threads(None)
    """

def get_num_threads() -> int:
    """How many threads a call uses when it does not say.

    The first of these that is there: the count given to `set_num_threads`; the variables
    ``SORTES_NUM_THREADS`` and ``RAYON_NUM_THREADS``; 1 if ``OMP_NUM_THREADS`` is 1, or in a worker
    of a Torch ``DataLoader``; the processors that this process may use, 16 at most. The environment
    is read once in each process.

    Returns
    -------
    int
        The count.

    Raises
    ------
    ValueError
        If ``SORTES_NUM_THREADS`` is not an integer in [1, 1024].

    Examples
    --------
    >>> import sortes
    >>> sortes.get_num_threads() >= 1
    True
    """

def simd_level() -> str: ...
