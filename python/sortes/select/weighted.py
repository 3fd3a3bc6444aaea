"""Draws in proportion to weights: with and without replacement, from arrays and from streams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args, overload

import numpy as np

from sortes import _core
from sortes._arrays import host, ids_of, vector_of
from sortes._check import COUNT, Count, count, flag, one_of
from sortes._progress import Progress, reporter
from sortes._rng import as_stream
from sortes._state import Stateful

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Method = Literal["auto", "alias", "blocks"]
OnShort = Literal["raise", "all"]
Precision = Literal["auto", "narrow", "wide"]
Shape: TypeAlias = Count | tuple[Count, ...]


@overload
def choice(
    weights: ArrayLike,
    size: None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: Literal["raise"] = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> int: ...
@overload
def choice(
    weights: ArrayLike,
    size: Shape | None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: OnShort = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.int64]: ...
def choice(
    weights: ArrayLike,
    size: Shape | None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: OnShort = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> int | NDArray[np.int64]:
    r"""Draw indices in proportion to weights.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); they need not sum to one. float32 and float64 are read in place, and added up
        in double precision. An index of weight zero is never drawn.
    size : int or tuple of int, optional
        How many; without it, one, as an int.
    replace : bool, default True
        Draw with replacement. Without, the indices are distinct, in the order in which they were
        drawn.
    method : {"auto", "alias", "blocks"}, default "auto"
        How to draw with replacement: by an alias table, or by sums of blocks. Both have the same
        law; the draws differ. ``"auto"`` makes a table for `n` draws or more.
    on_short : {"raise", "all"}, default "raise"
        What to do without replacement when fewer than `size` weights are positive: raise, or
        return all of these.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of int64, shape `size`, or int
        The indices.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero and something must be drawn, or if
        there are too few for `size`; if an option is given that does not apply.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    With replacement, $P(i) = w_i / \sum_j w_j$. The first draws of a call do not depend on how
    many follow, given the method. A table costs several passes over the weights and then one memory
    access per draw; block sums cost one pass and then three accesses per draw. By blocks, the
    probability of an index is exact to $2^{-53}$ of the total; an index that is rarer than that
    needs the table.

    Without replacement,

    $$
    P(i_1, \dots, i_k) = \prod_{j=1}^k \frac{w_{i_j}}{W - w_{i_1} - \dots - w_{i_{j-1}}}.
    $$

    The `k` smallest of $E_i / w_i$ with independent exponentials $E_i$ have this law (Efraimidis
    and Spirakis 2006; the Gumbel top-k trick is the same in logarithms). The exponential of index
    `i` depends on `rng`, `step` and `i` alone, so the first `j` of `k` indices are the sample of
    size `j`, and samples for two sets of weights overlap as much as the weights let them. The cost
    is one pass over the weights.

    **The chance that `i` is in the sample is not** $k w_i / W$: large weights come up less often
    than that. For inclusion in proportion to weights use `inclusion_probabilities` and
    `pivotal_sample`.

    References
    ----------
    Walker, "An efficient method for generating discrete random variables with general
    distributions", ACM Transactions on Mathematical Software 3, 1977.

    Hübschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019,
    arXiv:1903.00227.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing
    Letters 97, 2006.

    Examples
    --------
    >>> from sortes.select import choice
    >>> choice([0.1, 0.0, 0.9], 6, rng=0)
    array([2, 2, 2, 2, 2, 2])
    >>> choice([5, 1, 1, 1], 3, replace=False, rng=0)
    array([0, 1, 3])
    """
    weights, shape = vector_of(weights), _shape_of(size)
    wanted = math.prod(shape)
    one_of(method, "method", get_args(Method))
    one_of(on_short, "on_short", get_args(OnShort))
    if flag(replace, "replace"):
        if on_short != "raise":
            raise ValueError(f"on_short: must be 'raise' with replacement, got {on_short!r}")
    elif method != "auto":
        raise ValueError(f"method: must be 'auto' without replacement, got {method!r}")
    stream = as_stream(rng, step)
    with reporter(progress, "draws") as callback:
        if replace:
            alias = method == "alias" or (method == "auto" and wanted >= weights.size)
            drawn = _core.select.weighted.choice(
                weights, wanted, alias, stream, num_threads=num_threads, progress=callback
            )
        else:
            drawn = _core.select.weighted.successive(
                weights, wanted, stream, num_threads=num_threads, progress=callback
            )
    if drawn.size < wanted:
        if on_short == "raise":
            raise _too_many(wanted, drawn.size)
        return drawn
    return _shaped(drawn, size, shape)


def weighted_keys(
    weights: ArrayLike,
    *,
    log: bool = False,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Return the random key of every item: the smallest keys are a sample without replacement.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); or with `log`, logarithms of weights (logits), in [-inf, inf).
    log : bool, default False
        Take logarithms, and return the logarithms of the keys.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64, shape (n,)
        Keys $E_i / w_i$, infinite for weight zero; with `log`, $\ln E_i - \ln w_i$. (Weights beyond
        1e-300 or 1e285 take quotients out of the range of float64: use `log`.)

    Raises
    ------
    ValueError
        If a weight is negative or not finite.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    In increasing order, the `k` smallest keys are ``choice(weights, k, replace=False)`` with the
    same `rng` and `step`. $E_i$ depends on `rng`, `step` and `i` alone. With `log`, the negative of
    a key is a Gumbel variable with location $\ln w_i$.

    Examples
    --------
    >>> from sortes.select import weighted_keys
    >>> np.argsort(weighted_keys([5, 1, 1, 1], rng=0))[:3]
    array([0, 1, 3])
    """
    weights, log = vector_of(weights), flag(log, "log")
    stream = as_stream(rng, step)
    with reporter(progress, "keys") as callback:
        return _core.select.weighted.weighted_keys(
            weights, log, stream, num_threads=num_threads, progress=callback
        )


class AliasTable(Stateful):
    r"""A table for draws with replacement, in constant time each.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf), at least one of them positive.
    precision : {"auto", "narrow", "wide"}, default "auto"
        8 or 16 bytes per item. A narrow table has probabilities to $2^{-32} / n$; a wide one to
        $2^{-64} / n$ and the 53 bits of a weight. ``"auto"`` is narrow if the smallest positive
        weight then keeps 16 bits, that is, if it is $2^{-16}$ of the mean or more.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    Bucket `i` of `n` equal ones belongs to item `i` up to its threshold, and to its alias beyond;
    a draw takes one 64-bit word and reads one bucket (Walker 1977; filled by the sweep of
    Hübschle-Schneider and Sanders 2019). The table is computed in whole units, so that it is exact
    but for the conversion of each weight; the largest weight takes up what rounding leaves. A
    positive weight is never lost, and a weight of zero never gained. A table does not change; its
    bytes are 8 or 16 for each item.

    References
    ----------
    Walker, "An efficient method for generating discrete random variables with general
    distributions", ACM Transactions on Mathematical Software 3, 1977.

    Hübschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019,
    arXiv:1903.00227.

    Examples
    --------
    >>> from sortes.select import AliasTable
    >>> table = AliasTable([1, 0, 3])
    >>> table.sample(5, rng=0)
    array([2, 2, 0, 2, 2])
    >>> table.probabilities()
    array([0.25, 0.  , 0.75])
    """

    _native_class = _core.select.weighted.AliasTable
    _native: _core.select.weighted.AliasTable

    def __init__(
        self,
        weights: ArrayLike,
        *,
        precision: Precision = "auto",
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> None:
        one_of(precision, "precision", get_args(Precision))
        with reporter(progress, "table") as callback:
            self._native = self._native_class(
                vector_of(weights), precision, num_threads=num_threads, progress=callback
            )

    @property
    def precision(self) -> str:
        """``"narrow"`` (8 bytes per item) or ``"wide"`` (16)."""
        return self._native.precision

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._native)

    @overload
    def sample(
        self,
        size: None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int: ...
    @overload
    def sample(
        self,
        size: Shape,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> NDArray[np.int64]: ...
    def sample(
        self,
        size: Shape | None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int | NDArray[np.int64]:
        """Draw indices with replacement.

        Parameters
        ----------
        size : int or tuple of int, optional
            How many; without it, one, as an int.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of int64, shape `size`, or int
            The indices: those of `choice` with ``method="alias"``.

        Raises
        ------
        ValueError
            If `size` is negative.
        MemoryError
            If there is no memory for the draws.

        Examples
        --------
        >>> from sortes.select import AliasTable
        >>> AliasTable([1, 0, 3]).sample((2, 2), rng=0)
        array([[2, 2],
               [0, 2]])
        """
        shape, stream = _shape_of(size), as_stream(rng, step)
        with reporter(progress, "draws") as callback:
            drawn = self._native.sample(
                math.prod(shape), stream, num_threads=num_threads, progress=callback
            )
        return _shaped(drawn, size, shape)

    def probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each item, as the table has it.

        Returns
        -------
        ndarray of float64, shape (n,)
            The law of a draw.

        Examples
        --------
        >>> from sortes.select import AliasTable
        >>> AliasTable([1, 0, 3]).probabilities()
        array([0.25, 0.  , 0.75])
        """
        return self._native.probabilities()


class DynamicWeights(Stateful):
    r"""Weights that change between draws.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); all may be zero. They are copied.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    The law of a draw is that of `choice`, on the weights as they are. A tree of sums with 64
    children to a node: an update costs one block of 64 additions a level, a draw one scan a level,
    that is four levels for a million weights. Sums are never corrected but always added up anew, so
    that no error builds up. (Sums below 1e-290 lose precision: scale such weights.) Threads may
    share an object.

    Examples
    --------
    >>> from sortes.select import DynamicWeights
    >>> weights = DynamicWeights([1, 0, 3])
    >>> weights.total
    4.0
    >>> weights.update(2, 0).sample(3, rng=0)
    array([0, 0, 0])
    >>> weights.pop(rng=0), weights.total
    (0, 0.0)
    """

    _native_class = _core.select.weighted.DynamicWeights
    _native: _core.select.weighted.DynamicWeights

    def __init__(
        self,
        weights: ArrayLike,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> None:
        with reporter(progress, "weights") as callback:
            self._native = self._native_class(
                vector_of(weights), num_threads=num_threads, progress=callback
            )

    def __len__(self) -> int:
        """Return the number of weights."""
        return len(self._native)

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return self._native.total

    @property
    def weights(self) -> NDArray[np.float64]:
        """A copy of the weights."""
        return self._native.weights()

    def update(
        self,
        indices: ArrayLike,
        weights: ArrayLike,
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Self:
        """Change the weights of some items; of an item that comes twice, the last change counts.

        Parameters
        ----------
        indices : int or array_like of int, shape (m,)
            The items, in [0, n).
        weights : float or array_like, shape (m,)
            Their new weights, or one for all of them, in [0, inf).
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        DynamicWeights
            This object.

        Raises
        ------
        ValueError
            If an item is out of range, a weight negative or not finite, or the sum overflows;
            nothing is changed then, nor if Ctrl-C stops a long call.
        TypeError
            If the items are not integers, or the weights not numbers.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> DynamicWeights([1, 0, 3]).update(0, 2).update([1, 2], 5).weights
        array([2., 5., 5.])
        """
        items = host(indices, "indices", None)
        items = ids_of(items if items.ndim else items[np.newaxis], "indices")
        given = host(weights, "weights")
        changed = vector_of(given if given.ndim else np.full(items.size, given), double=True)
        with reporter(progress, "changes") as callback:
            self._native.update(items, changed, num_threads=num_threads, progress=callback)
        return self

    @overload
    def sample(
        self,
        size: None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int: ...
    @overload
    def sample(
        self,
        size: Shape,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> NDArray[np.int64]: ...
    def sample(
        self,
        size: Shape | None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> int | NDArray[np.int64]:
        """Draw indices with replacement.

        Parameters
        ----------
        size : int or tuple of int, optional
            How many; without it, one, as an int.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of int64, shape `size`, or int
            The indices.

        Raises
        ------
        ValueError
            If all weights are zero and something must be drawn, or `size` is negative.
        MemoryError
            If there is no memory for the draws.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> DynamicWeights([1, 0, 3]).sample(5, rng=0)
        array([2, 2, 2, 2, 2])
        """
        shape, stream = _shape_of(size), as_stream(rng, step)
        with reporter(progress, "draws") as callback:
            drawn = self._native.sample(
                math.prod(shape), stream, num_threads=num_threads, progress=callback
            )
        return _shaped(drawn, size, shape)

    @overload
    def pop(
        self, size: None = None, *, rng: Rng = None, step: int = 0, progress: Progress = None
    ) -> int: ...
    @overload
    def pop(
        self, size: Count, *, rng: Rng = None, step: int = 0, progress: Progress = None
    ) -> NDArray[np.int64]: ...
    def pop(
        self,
        size: Count | None = None,
        *,
        rng: Rng = None,
        step: int = 0,
        progress: Progress = None,
    ) -> int | NDArray[np.int64]:
        """Draw distinct items one after the other, and set their weights to zero.

        Parameters
        ----------
        size : int, optional
            How many; without it, one, as an int.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`).
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        ndarray of int64, shape (size,), or int
            The items in the order in which they were drawn: successive sampling.

        Raises
        ------
        ValueError
            If fewer weights are positive; those that are have been drawn then. (If Ctrl-C stops a
            long call, none have.)

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> weights = DynamicWeights([1, 0, 3])
        >>> sorted(weights.pop(2, rng=0).tolist()), weights.total
        ([0, 2], 0.0)
        """
        wanted = 1 if size is None else COUNT.check(size, "size")
        stream = as_stream(rng, step)
        with reporter(progress, "draws") as callback:
            drawn = self._native.pop(wanted, stream, progress=callback)
        if drawn.size < wanted:
            raise _too_many(wanted, drawn.size)
        return int(drawn[0]) if size is None else drawn


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
            What `sample` calls them; without it, their place in the stream.
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
        with reporter(progress, "items") as callback:
            self._native.update(weights, ids, num_threads=num_threads, progress=callback)
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


def _shape_of(size: Shape | None) -> tuple[int, ...]:
    if size is None:
        return (1,)
    if not isinstance(size, tuple):
        return (count(size, "size"),)
    shape = tuple(count(length, "size") for length in size)
    count(math.prod(shape), "size")
    return shape


def _shaped(
    drawn: NDArray[np.int64], size: Shape | None, shape: tuple[int, ...]
) -> int | NDArray[np.int64]:
    return int(drawn[0]) if size is None else drawn.reshape(shape)


def _too_many(wanted: int, positive: int) -> ValueError:
    return ValueError(
        f"size: must be at most the number of positive weights, {positive}, got {wanted}"
    )
