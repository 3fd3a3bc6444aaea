"""Pivotal sampling: duels of two units, in sequence, over a tree, of neighbours, across shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sortes import _core
from sortes._arrays import host, ids_of, integers_of, matrix_of, vector_of
from sortes._check import ENTITY, Entity, one_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes._state import Stateful
from sortes.select.design.sample import DesignSample, sample_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


def pivotal_sample(
    pi: ArrayLike,
    *,
    order: ArrayLike | Literal["tree", "local"] | None = None,
    X: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> DesignSample:
    r"""Choose units with given probabilities in a sample of fixed size, by duels of two.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities, in [0, 1].
    order : {"tree", "local"} or array_like of int, optional
        Who meets whom. By default, and for a permutation of shape (n,), each unit in turn meets
        what is left of those before it. ``"tree"`` halves the units again and again and lets the
        halves meet. An array of shape (n - 1, 2) is a binary tree: row ``r`` joins two nodes into
        node ``n + r``, where nodes below ``n`` are units; the matrix of
        ``scipy.cluster.hierarchy.linkage`` is one, its further columns are ignored. ``"local"``:
        a random unit meets its nearest neighbour in `X`, again and again.
    X : array_like, shape (n, d), optional
        The positions of the units, for ``order="local"``.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it. The duels of ``order="tree"``
        use more than one.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    DesignSample
        The chosen units and their weights.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], `order` is neither a permutation nor a tree, or `X` is
        missing, superfluous, not finite or of another length.
    TypeError
        If an array holds something else than numbers.

    Notes
    -----
    A duel of units with the probabilities $a$ and $b$ settles one of them (Deville and Tillé,
    1998): for $a + b < 1$ the first goes on with $a + b$ with probability $a / (a + b)$, else the
    second, and the other is out; for $a + b \ge 1$ the first is chosen with probability
    $(1 - b) / (2 - a - b)$, else the second, and the other goes on with $a + b - 1$. Both keep
    their expectations, so that $P(i \in S) = \pi_i$ in every order. The size is the sum of `pi`
    rounded down or up: fixed, if that is an integer within a relative 1e-9 and an absolute 1e-4.

    Units that meet early repel each other: choose an order, a tree or positions in which near means
    alike. Over any fixed order or tree the events of being chosen are negatively associated.

    $O(n)$; ``"local"`` (Grafström, Lundström and Schelin, 2012) takes about $O(n \log n)$ in few
    dimensions, up to $O(n^2 d)$ in many; its nearest neighbours are exact, of equals the lowest
    index counts as nearest.

    References
    ----------
    Deville and Tillé, "Unequal probability sampling without replacement through a splitting
    method", Biometrika 85, 1998.

    Grafström, Lundström and Schelin, "Spatially balanced sampling through the pivotal method",
    Biometrics 68, 2012.

    Examples
    --------
    >>> from sortes.select import pivotal_sample
    >>> len(pivotal_sample([0.2, 0.7, 0.6, 0.5], rng=0))
    2
    >>> import numpy as np
    >>> line = np.arange(100.0)[:, None]
    >>> pi = np.full(100, 0.1)
    >>> spread = pivotal_sample(pi, order="local", X=line, rng=0)
    >>> bool(np.diff(spread.indices).min() > 2)
    True
    """
    p, native = vector_of(pi, "pi", double=True), _core.select.design.pivotal
    named = one_of(order, "order", ("tree", "local")) if isinstance(order, str) else None
    along = None if order is None or named else _order(order)
    points = None if X is None else matrix_of(X, "X")
    if (points is not None) != (named == "local"):
        raise ValueError("X: must be given for order='local', and for no other order")
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "pivotal_sample") as job:
        if points is not None:
            chosen = native.local(p, points, stream, job)
        elif named == "tree":
            chosen = native.balanced(p, stream, job)
        elif along is not None and along.ndim == 2:
            chosen = native.over_tree(p, along, stream, job)
        else:
            chosen = native.sequential(p, along, stream, job)
    return sample_of(chosen, p)


class PivotalSampler(Stateful):
    r"""A pivotal sample of a stream, or of a population in shards.

    Parameters
    ----------
    first : int, default 0
        The position of this part's first unit in the whole population. Parts that are to be merged
        must not overlap: positions name the duels.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        Parts that are to be merged may share it.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Raises
    ------
    ValueError
        If `first` is negative or not below 2**48.
    TypeError
        If `first` is not an integer.

    Notes
    -----
    The state is the chosen units and at most one that is undecided, with what is left of its
    probability. Within a part each unit meets what is left of those before it; a merger lets the
    undecided units of both parts meet. Whatever the parts, every unit is chosen with its own
    probability, and the size of the sample of the whole is fixed if the probabilities sum to an
    integer. One part with ``first=0`` makes the sample of ``pivotal_sample(pi, rng=rng)``.

    $O(1)$ a unit. See `pivotal_sample` for the law and the source. A pickle holds the bytes of
    `to_bytes`.

    Examples
    --------
    >>> from sortes.select import PivotalSampler
    >>> a, b = PivotalSampler(rng=0), PivotalSampler(first=3, rng=0)
    >>> a.update([0.4, 0.3, 0.8]).merge(b.update([0.9, 0.6]))
    <PivotalSampler of 5 units>
    >>> len(a.finish())
    3
    """

    _native_class = _core.select.design.pivotal.Pivotal
    _native: _core.select.design.pivotal.Pivotal

    def __init__(self, *, first: Entity = 0, rng: Rng = None, step: int = 0) -> None:
        first = ENTITY.check(first, "first")
        self._native = self._native_class(first, as_stream(rng, step))

    def update(
        self, pi: ArrayLike, ids: ArrayLike | None = None, *, progress: Progress = None
    ) -> Self:
        """Append units.

        Parameters
        ----------
        pi : array_like, shape (n,)
            Their inclusion probabilities, in [0, 1].
        ids : array_like of int, shape (n,), optional
            What they are called in the sample; their positions unless given.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        PivotalSampler
            This one.

        Raises
        ------
        ValueError
            If a probability is not in [0, 1], or there is not one id for each; nothing is appended.
        TypeError
            If `pi` does not hold real numbers, or `ids` integers.

        Examples
        --------
        >>> from sortes.select import PivotalSampler
        >>> PivotalSampler(rng=0).update([1, 0, 1], [70, 80, 90]).finish().indices
        array([70, 90])
        """
        p = vector_of(pi, "pi", double=True)
        names = None if ids is None else ids_of(ids)
        with job_of(None, progress, "PivotalSampler.update") as job:
            self._native.extend(p, names, job)
        return self

    def merge(self, other: PivotalSampler) -> Self:
        """Take in another part.

        Parameters
        ----------
        other : PivotalSampler
            A part whose positions are others than those of this one; it stays as it is. Parts may
            be merged in any order and grouping; different ones give different samples of the same
            probabilities.

        Returns
        -------
        PivotalSampler
            This one, which is the union now.

        Raises
        ------
        ValueError
            If positions overlap; nothing is taken in.
        TypeError
            If `other` is not a `PivotalSampler`.

        Examples
        --------
        >>> from sortes.select import PivotalSampler
        >>> a = PivotalSampler(rng=0).update([0.5, 0.5])
        >>> b = PivotalSampler(first=2, rng=0).update([0.5, 0.5])
        >>> len(a.merge(b).finish())
        2
        """
        if not isinstance(other, PivotalSampler):
            raise TypeError(f"other: must be a PivotalSampler, got {type(other).__name__}")
        self._native.merge(other._native)
        return self

    def finish(self) -> DesignSample:
        """Decide about the last undecided unit, and return the sample.

        Returns
        -------
        DesignSample
            The ids of the chosen units and their weights. The state does not change: more units may
            follow, and the sample of all of them be asked for.

        Examples
        --------
        >>> from sortes.select import PivotalSampler
        >>> part = PivotalSampler(rng=0).update([0.5, 0.5, 1.0])
        >>> len(part.finish()), len(part.update([1.0]).finish())
        (2, 3)
        """
        chosen, pi = self._native.finish()
        return DesignSample(chosen, 1 / pi, None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._native.units} units>"


def _order(order: Any) -> NDArray[np.int64]:
    """Return an order, or the first two columns of a tree; those of SciPy are whole floats."""
    given = host(order, "order", None)
    if given.ndim != 2:
        return integers_of(given, "order")
    if given.shape[1] < 2:
        raise ValueError(f"order: must have shape (n,) or (n - 1, 2), got {given.shape}")
    pairs = given[:, :2]
    if pairs.dtype.kind == "f":
        if not ((np.abs(pairs) < 2**53) & (pairs == np.floor(pairs))).all():
            raise ValueError("order: must hold whole numbers in its first two columns")
        pairs = pairs.astype(np.int64)
    return integers_of(pairs.ravel(), "order").reshape(pairs.shape)
