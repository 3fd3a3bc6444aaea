"""Distinct items from a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sortes import _core
from sortes._arrays import ids_of, vector_of
from sortes._check import COUNT, Count
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes._state import Stateful

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


class Reservoir(Stateful):
    r"""A weighted sample without replacement from a stream of unknown length.

    Parameters
    ----------
    k : int
        The size of the sample.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Raises
    ------
    ValueError
        If `k` is negative.

    Notes
    -----
    After any number of items the sample has the law of ``choice(weights, k, replace=False)`` on all
    of them (the draws differ). Memory for `k` items; random numbers for about $k \ln(n / k)$ of `n`
    items, and one subtraction for each of the others (algorithm A-ExpJ of Efraimidis and Spirakis
    2006). The sample does not depend on how the stream is cut into batches, and its law holds for
    weights of any size. Threads may share an object.

    For samples of several streams that must merge, use a sketch: this class is for one stream.

    References
    ----------
    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing
    Letters 97, 2006.

    Examples
    --------
    >>> from sortes.select import Reservoir
    >>> reservoir = Reservoir(3, rng=0)
    >>> for batch in np.split(np.arange(1, 10_001), 10):
    ...     reservoir = reservoir.update(1.0 / batch)
    >>> reservoir.sample().shape, reservoir.seen
    ((3,), 10000)
    """

    _native_class = _core.select.weighted.Reservoir
    _native: _core.select.weighted.Reservoir

    def __init__(self, k: Count, *, rng: Rng = None, step: int = 0) -> None:
        self._native = self._native_class(COUNT.check(k, "k"), as_stream(rng, step))

    @property
    def k(self) -> int:
        """The size of the sample."""
        return self._native.k

    @property
    def seen(self) -> int:
        """Items seen so far, those of weight zero included."""
        return self._native.seen

    def __len__(self) -> int:
        """Return the number of items held: `k`, or fewer while fewer have a positive weight."""
        return len(self._native)

    def update(
        self,
        weights: ArrayLike,
        ids: ArrayLike | None = None,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Self:
        """Take the next items of the stream.

        Parameters
        ----------
        weights : array_like, shape (m,)
            Their weights, in [0, inf). An item of weight zero is seen, but never held.
        ids : array_like of int, shape (m,), optional
            What `sample` calls them, as in `Sketch.update`; without it, their place in the stream.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Reservoir
            This object.

        Raises
        ------
        ValueError
            If a weight is negative or not finite; nothing has been taken then, nor if Ctrl-C stops
            a long call.
        TypeError
            If the weights are not numbers, or the ids not integers.

        Examples
        --------
        >>> from sortes.select import Reservoir
        >>> Reservoir(2, rng=0).update([1, 0, 5]).update([2], ids=[77]).seen
        4
        """
        weights = vector_of(weights)
        ids = None if ids is None else ids_of(ids)
        with job_of(num_threads, progress, "items") as job:
            self._native.update(weights, ids, job)
        return self

    def sample(self) -> NDArray[np.int64]:
        """Return the items held, in the order in which successive sampling draws them.

        Returns
        -------
        ndarray of int64, shape (at most k,)
            Their ids; fewer than `k` while fewer have a positive weight.

        Examples
        --------
        >>> from sortes.select import Reservoir
        >>> Reservoir(2, rng=0).update([0, 0, 5]).sample()
        array([2])
        """
        return self._native.sample()
