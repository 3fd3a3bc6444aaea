"""Draws in proportion to weights: with and without replacement, from arrays and from streams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from sortes import _core
from sortes._arrays import ids_of, vector_of
from sortes._check import count, one_of
from sortes._progress import Progress, reporter
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

    Size = int | tuple[int, ...] | None

Method = Literal["auto", "alias", "blocks"]
Precision = Literal["auto", "narrow", "wide"]


def choice(
    weights: Any,
    size: Size = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    design: Literal["successive"] = "successive",
    on_short: Literal["raise", "all"] = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    r"""Draw indices in proportion to weights.

    Parameters
    ----------
    weights : array_like, shape (n,)
        Finite and not negative; they need not sum to one. float32 and float64 are read in place,
        and added up in double precision. An index of weight zero is never drawn.
    size : int or tuple of int, optional
        How many; without it, one, as an int.
    replace : bool, default True
        Draw with replacement. Without, the indices are distinct, in the order in which they were
        drawn.
    method : {"auto", "alias", "blocks"}
        How to draw with replacement: by an alias table, or by sums of blocks. Both have the same
        law; the draws differ. ``"auto"`` makes a table for `n` draws or more.
    design : {"successive"}
        The law without replacement: one after the other, in proportion to what is left.
    on_short : {"raise", "all"}
        What to do without replacement when fewer than `size` weights are positive: raise, or
        return all of these.
    rng, step
        Seed or generator, and the step of a run: different steps give independent draws.
    num_threads : int, optional
        Results do not depend on it.
    progress : bool or callable, optional
        Show progress, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of int64, shape `size`, or int
        The indices.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero and something is to be drawn, or if
        there are too few for `size`; the message names the index and the value.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    With replacement, :math:`P(i) = w_i / \sum_j w_j`. The first draws of a call do not depend on
    how many follow, given the method. The table costs about 5 to 20 ns for each weight and 1 to
    15 ns for each draw; block sums 1 ns and 8 to 80 ns, which in the larger figures is the memory's
    latency. By blocks, the probability of an index is exact to :math:`2^{-53}` of the total; an
    index that is rarer than that needs the table.

    Without replacement,

    .. math:: P(i_1, \dots, i_k) = \prod_{j=1}^k \frac{w_{i_j}}{W - w_{i_1} - \dots - w_{i_{j-1}}}.

    The `k` smallest of :math:`E_i / w_i` with independent exponentials :math:`E_i` have this law
    (Efraimidis and Spirakis 2006; the Gumbel top-k trick is the same in logarithms). The
    exponential of index `i` depends on `rng`, `step` and `i` alone, so the first `j` of `k` indices
    are the sample of size `j`, and samples for two sets of weights overlap as much as the weights
    let them. One pass over the weights, 2 to 3 ns each.

    **The chance that `i` is in the sample is not** :math:`k w_i / W`: large weights come up less
    often than that. For inclusion in proportion to weights use `inclusion_probabilities` and
    `pivotal_sample`.

    References
    ----------
    Walker, "An efficient method for generating discrete random variables with general
    distributions", ACM Transactions on Mathematical Software 3, 1977.

    Hübschle-Schneider and Sanders, "Parallel weighted random sampling", arXiv:1903.00227.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing
    Letters 97, 2006.

    Examples
    --------
    >>> choice([0.1, 0.0, 0.9], 6, rng=0)
    array([2, 2, 2, 2, 2, 2])
    >>> choice([5, 1, 1, 1], 3, replace=False, rng=0)
    array([0, 1, 3])
    """
    if design != "successive":
        raise ValueError(
            f"design: must be 'successive', got {design!r}; for a sample whose inclusion "
            "probabilities are proportional to the weights ('pps'), use inclusion_probabilities "
            "and pivotal_sample"
        )
    weights = vector_of(weights)
    shape = _shape_of(size)
    wanted = math.prod(shape)
    one_of(method, "method", get_args(Method))
    one_of(on_short, "on_short", ("raise", "all"))
    stream = as_stream(rng, step)
    with reporter(progress, "draws") as callback:
        if replace:
            alias = method == "alias" or (method == "auto" and wanted >= weights.size)
            drawn = _core.select.weighted.choice(
                weights,
                wanted,
                alias,
                stream.key,
                stream.step,
                num_threads=num_threads,
                progress=callback,
            )
        else:
            drawn = _core.select.weighted.successive(
                weights, wanted, stream.key, stream.step, num_threads=num_threads, progress=callback
            )
    if drawn.size < wanted:
        if on_short == "raise":
            raise ValueError(
                f"size: must be at most the number of positive weights, {drawn.size}, got {wanted}"
            )
        return drawn
    return int(drawn[0]) if size is None else drawn.reshape(shape)


def weighted_keys(
    weights: Any,
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
        Finite and not negative; or with `log`, logarithms of weights (logits), below infinity.
    log : bool, default False
        Take logarithms, and return the logarithms of the keys.
    rng, step, num_threads, progress
        As in `choice`.

    Returns
    -------
    ndarray of float64, shape (n,)
        Keys :math:`E_i / w_i`, infinite for weight zero; with `log`, :math:`\ln E_i - \ln w_i`.
        (Weights beyond 1e-300 or 1e285 take quotients out of the range of float64: use `log`.)

    Raises
    ------
    ValueError
        If a weight is negative or not finite.

    Notes
    -----
    In increasing order, the `k` smallest keys are ``choice(weights, k, replace=False)`` with the
    same `rng` and `step`. :math:`E_i` depends on `rng`, `step` and `i` alone. With `log`, the
    negative of a key is a Gumbel variable with location :math:`\ln w_i`.

    Examples
    --------
    >>> w = [5, 1, 1, 1]
    >>> np.argsort(weighted_keys(w, rng=0))[:3]
    array([0, 1, 3])
    """
    weights, stream = vector_of(weights), as_stream(rng, step)
    with reporter(progress, "keys") as callback:
        return _core.select.weighted.weighted_keys(
            weights,
            log,
            stream.key,
            stream.step,
            num_threads=num_threads,
            progress=callback,
        )


class AliasTable:
    r"""A table for draws with replacement, in constant time each.

    Parameters
    ----------
    weights : array_like, shape (n,)
        As in `choice`; at least one is positive.
    precision : {"auto", "narrow", "wide"}
        8 or 16 bytes per item. A narrow table has probabilities to :math:`2^{-32} / n`; a wide one
        to :math:`2^{-64} / n` and the 53 bits of a weight. ``"auto"`` is narrow if the smallest
        positive weight then keeps 16 bits, that is, if it is :math:`2^{-16}` of the mean or more.
    num_threads, progress
        As in `choice`.

    Attributes
    ----------
    precision : str
        ``"narrow"`` or ``"wide"``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.

    Notes
    -----
    Bucket `i` of `n` equal ones belongs to item `i` up to its threshold, and to its alias beyond;
    a draw takes one 64-bit word and reads one bucket. The table is computed in whole units, so that
    it is exact but for the conversion of each weight; the largest weight takes up what rounding
    leaves. A positive weight is never lost, and a weight of zero never gained. Immutable. Pickles
    as a whole: 8 or 16 bytes for each item.

    Walker, ACM Transactions on Mathematical Software 3, 1977; filled by the sweep of
    Hübschle-Schneider and Sanders, arXiv:1903.00227.

    Examples
    --------
    >>> table = AliasTable([1, 0, 3])
    >>> table.sample(5, rng=0)
    array([2, 2, 0, 2, 2])
    >>> table.probabilities()
    array([0.25, 0.  , 0.75])
    """

    def __init__(
        self,
        weights: Any,
        precision: Precision = "auto",
        *,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> None:
        one_of(precision, "precision", get_args(Precision))
        with reporter(progress, "table") as callback:
            self._table = _core.select.weighted.AliasTable(
                vector_of(weights), precision, num_threads=num_threads, progress=callback
            )

    @property
    def precision(self) -> str:
        """``"narrow"`` (8 bytes per item) or ``"wide"`` (16)."""
        return self._table.precision

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._table)

    def sample(
        self,
        size: Size = None,
        *,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Any:
        """Draw indices; the arguments and the result are those of `choice`."""
        shape, stream = _shape_of(size), as_stream(rng, step)
        with reporter(progress, "draws") as callback:
            drawn = self._table.sample(
                math.prod(shape),
                stream.key,
                stream.step,
                num_threads=num_threads,
                progress=callback,
            )
        return int(drawn[0]) if size is None else drawn.reshape(shape)

    def probabilities(self) -> NDArray[np.float64]:
        """Return the probability of each item, as the table has it."""
        return self._table.probabilities()

    def __getstate__(self) -> NDArray[np.uint32 | np.uint64]:
        """Return what pickles: the threshold and the alias of each item."""
        return self._table.state()

    def __setstate__(self, state: NDArray[np.uint32 | np.uint64]) -> None:
        """Make the object anew."""
        self._table = _core.select.weighted.AliasTable.restore(state)


class DynamicWeights:
    r"""Weights that change between draws.

    Parameters
    ----------
    weights : array_like, shape (n,)
        As in `choice`; all may be zero. They are copied.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.

    Notes
    -----
    The law of a draw is that of `choice`, on the weights as they are. A tree of sums with 64
    children to a node: an update costs one block of 64 additions a level, a draw one scan a level,
    that is four levels for a million weights. Sums are never corrected but always added up anew, so
    that no error builds up. (Sums below 1e-290 lose precision: scale such weights.) Safe to share
    between threads. Pickles.

    Examples
    --------
    >>> weights = DynamicWeights([1, 0, 3])
    >>> weights.total
    4.0
    >>> weights.update(2, 0)
    >>> weights.sample(3, rng=0)
    array([0, 0, 0])
    >>> weights.pop(rng=0), weights.total
    (0, 0.0)
    """

    def __init__(self, weights: Any) -> None:
        self._tree = _core.select.weighted.DynamicWeights(vector_of(weights))

    def __len__(self) -> int:
        """Return the number of weights."""
        return len(self._tree)

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return self._tree.total

    @property
    def weights(self) -> NDArray[np.float64]:
        """A copy of the weights."""
        return self._tree.weights()

    def update(self, i: int, w: float) -> None:
        """Change the weight of one item.

        Parameters
        ----------
        i : int
            The item, in [0, n).
        w : float
            Its new weight.
        """
        self.update_many([i], [w])

    def update_many(self, idx: Any, w: Any) -> None:
        """Change the weights of several items; of an item that comes twice, the last one counts.

        Parameters
        ----------
        idx : array_like of int, shape (m,)
            The items, in [0, n).
        w : array_like, shape (m,), or float
            Their new weights, or one for all of them.

        Raises
        ------
        ValueError
            If an item is out of range, or a weight negative or not finite; nothing is changed then,
            nor if Ctrl-C stops a long call.
        """
        indices = ids_of(idx, "indices")
        weights = np.full(indices.size, w) if np.ndim(w) == 0 else w
        self._tree.update(indices, vector_of(weights, double=True))

    def sample(self, size: Size = None, *, rng: Rng = None, step: int = 0) -> Any:
        """Draw indices with replacement; the arguments and the result are those of `choice`."""
        shape = _shape_of(size)
        stream = as_stream(rng, step)
        drawn = self._tree.sample(math.prod(shape), stream.key, stream.step)
        return int(drawn[0]) if size is None else drawn.reshape(shape)

    def pop(self, size: int | None = None, *, rng: Rng = None, step: int = 0) -> Any:
        """Draw distinct items one after the other, and set their weights to zero.

        Parameters
        ----------
        size : int, optional
            How many; without it, one, as an int.
        rng, step
            As in `choice`.

        Returns
        -------
        ndarray of int64, shape (size,), or int
            The items in the order in which they were drawn: successive sampling.

        Raises
        ------
        ValueError
            If fewer weights are positive; those that are have been drawn then. (If Ctrl-C stops a
            long call, none have.)
        """
        wanted = 1 if size is None else count(size, "size")
        stream = as_stream(rng, step)
        drawn = self._tree.pop(wanted, stream.key, stream.step)
        if drawn.size < wanted:
            raise ValueError(
                f"size: must be at most the number of positive weights, {drawn.size}, got {wanted}"
            )
        return int(drawn[0]) if size is None else drawn

    def __getstate__(self) -> NDArray[np.float64]:
        """Return what pickles."""
        return self.weights

    def __setstate__(self, state: NDArray[np.float64]) -> None:
        """Make the object anew."""
        self._tree = _core.select.weighted.DynamicWeights(state)


class Reservoir:
    r"""A weighted sample without replacement from a stream of unknown length.

    Parameters
    ----------
    k : int
        The size of the sample.
    rng
        Seed or generator.

    Attributes
    ----------
    k : int
        The size of the sample.
    seen : int
        Items seen so far.

    Notes
    -----
    After any number of items the sample has the law of ``choice(weights, k, replace=False)`` on all
    of them (the draws differ). Memory for `k` items; random numbers for about
    :math:`k \ln(n / k)` of `n` items, and one subtraction for each of the others. The sample does
    not depend on how the stream is cut into batches. Safe to share between threads. Pickles, and
    goes on as if it had not been. (Of weights beyond 1e-300 or 1e285, quotients leave the range of
    float64, and the law is approximate: scale such weights.)

    For samples of several streams that are to be merged, use a mergeable sketch: this class is for
    one stream.

    References
    ----------
    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing
    Letters 97, 2006 (algorithm A-ExpJ).

    Examples
    --------
    >>> reservoir = Reservoir(3, rng=0)
    >>> for batch in np.split(np.arange(1, 10_001), 10):
    ...     reservoir.update(1.0 / batch)
    >>> reservoir.sample().shape, reservoir.seen
    ((3,), 10000)
    """

    def __init__(self, k: int, *, rng: Rng = None) -> None:
        self._reservoir = _core.select.weighted.Reservoir(count(k, "k"), as_stream(rng).key)

    @property
    def k(self) -> int:
        """The size of the sample."""
        return self._reservoir.k

    @property
    def seen(self) -> int:
        """Items seen so far, those of weight zero included."""
        return self._reservoir.seen

    def update(self, weights: Any, ids: Any = None, *, num_threads: int | None = None) -> None:
        """Take the next items of the stream.

        Parameters
        ----------
        weights : array_like, shape (m,)
            Their weights, as in `choice`.
        ids : array_like of int, shape (m,), optional
            What `sample` calls them; without it, their place in the stream.
        num_threads : int, optional
            For the check of the weights.

        Raises
        ------
        ValueError
            If a weight is negative or not finite; nothing has been taken then, nor if Ctrl-C stops
            a long call.
        """
        weights = vector_of(weights)
        names = None if ids is None else ids_of(ids)
        self._reservoir.update(weights, names, num_threads=num_threads)

    def sample(self) -> NDArray[np.int64]:
        """Return the items held, in the order in which successive sampling draws them.

        Returns
        -------
        ndarray of int64, shape (at most k,)
            Their ids; fewer than `k` while fewer have a positive weight.
        """
        return self._reservoir.sample()

    def __getstate__(self) -> tuple[Any, ...]:
        """Return what pickles."""
        return self._reservoir.state()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Make the object anew."""
        self._reservoir = _core.select.weighted.Reservoir.restore(*state)


def _shape_of(size: Size) -> tuple[int, ...]:
    if size is None:
        return (1,)
    if not isinstance(size, tuple):
        return (count(size, "size"),)
    shape = tuple(count(length, "size") for length in size)
    count(math.prod(shape), "size")
    return shape
