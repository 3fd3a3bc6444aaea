"""Pivotal sampling: duels of two units, in sequence, over a tree, of neighbours, across shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sortes import _core
from sortes._arrays import host, ids_of, matrix_of, vector_of
from sortes._check import ENTITY, Entity
from sortes._progress import Progress, reporter
from sortes._rng import as_stream
from sortes.select.design.inclusion import DesignSample, sample_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


def pivotal_sample(
    pi: ArrayLike,
    *,
    order: ArrayLike | Literal["tree", "local"] | None = None,
    X: ArrayLike | None = None,
    rng: Rng = None,
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
    X : array_like, shape (n, d)
        The positions of the units, for ``order="local"``.
    rng : Rng
        The source of randomness.
    num_threads : int, optional
        How many threads to use for ``order="tree"``. The result does not depend on it.
    progress : bool or callable, optional
        Shows the progress of ``order="local"``, or is called with units done and units in all.

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
    A duel of units with the probabilities :math:`a` and :math:`b` settles one of them: for
    :math:`a + b < 1` the first goes on with :math:`a + b` with probability :math:`a / (a + b)`,
    else the second, and the other is out; for :math:`a + b \ge 1` the first is chosen with
    probability :math:`(1 - b) / (2 - a - b)`, else the second, and the other goes on with
    :math:`a + b - 1`. Both keep their expectations, so that :math:`P(i \in S) = \pi_i` in every
    order. The size is the sum of `pi` rounded down or up: fixed, if that is an integer within a
    relative 1e-9 and an absolute 1e-4.

    Units that meet early repel each other: choose an order, a tree or positions in which near means
    alike. Over any fixed order or tree the events of being chosen are negatively associated.

    :math:`O(n)`; ``"local"`` takes about :math:`O(n \log n)` in few dimensions, up to
    :math:`O(n^2 d)` in many; its nearest neighbours are exact, of equals the lowest index counts as
    nearest. Deville and Tillé, "Unequal probability sampling without replacement through a
    splitting method", Biometrika 85 (1998); Grafström, Lundström and Schelin, "Spatially balanced
    sampling through the pivotal method", Biometrics 68 (2012).

    Examples
    --------
    >>> from sortes.select import pivotal_sample
    >>> len(pivotal_sample([0.2, 0.7, 0.6, 0.5], rng=0))
    2
    >>> import numpy as np
    >>> line = np.arange(100.0)[:, None]
    >>> spread = pivotal_sample(np.full(100, 0.1), order="local", X=line, rng=0)
    >>> bool(np.diff(spread.indices).min() > 2)
    True
    """
    p = vector_of(pi, "pi", double=True)
    local = isinstance(order, str) and order == "local"
    if local and X is None:
        raise ValueError("X: must be given for order='local'")
    if not local and X is not None:
        raise ValueError("X: is for order='local' alone")
    stream = as_stream(rng)
    if order is None:
        return sample_of(
            _core.select.design.pivotal_sequential(p, None, stream.key, stream.step), p
        )
    if local:
        points = matrix_of(X, "X")
        with reporter(progress, "pivotal_sample") as callback:
            chosen = _core.select.design.pivotal_local(
                p, points, stream.key, stream.step, progress=callback
            )
        return sample_of(chosen, p)
    if isinstance(order, str):
        if order != "tree":
            raise ValueError(f"order: must be 'tree', 'local' or an array, got {order!r}")
        chosen = _core.select.design.pivotal_balanced(
            p, stream.key, stream.step, num_threads=num_threads
        )
        return sample_of(chosen, p)
    along = host(order, "order")
    if along.ndim == 2:
        chosen = _core.select.design.pivotal_over_tree(p, _merges(along), stream.key, stream.step)
        return sample_of(chosen, p)
    chosen = _core.select.design.pivotal_sequential(
        p, ids_of(along, "order"), stream.key, stream.step
    )
    return sample_of(chosen, p)


class PivotalSampler:
    r"""A pivotal sample of a stream, or of a population in shards.

    Parameters
    ----------
    first : int
        The position of this part's first unit in the whole population. Parts that are to be merged
        must not overlap: positions name the duels.
    rng : Rng
        The source of randomness. Parts that are to be merged may share it.

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

    :math:`O(1)` a unit. See `pivotal_sample` for the law and the source.

    Examples
    --------
    >>> from sortes.select import PivotalSampler
    >>> a, b = PivotalSampler(rng=0), PivotalSampler(first=3, rng=0)
    >>> a.update([0.4, 0.3, 0.8])
    >>> b.update([0.9, 0.6])
    >>> len(a.merge(b).finish())
    3
    """

    def __init__(self, *, first: Entity = 0, rng: Rng = None) -> None:
        self._state = _core.select.design.Pivotal(ENTITY.check(first, "first"))
        stream = as_stream(rng)
        self._key, self._step = stream.key, stream.step

    def update(self, pi: ArrayLike, ids: ArrayLike | None = None) -> None:
        """Append units.

        Parameters
        ----------
        pi : array_like, shape (n,)
            Their inclusion probabilities, in [0, 1].
        ids : array_like of int, shape (n,)
            What they are called in the sample; their positions unless given.

        Raises
        ------
        ValueError
            If a probability is not in [0, 1], or there is not one id for each; nothing is appended.
        TypeError
            If `pi` does not hold real numbers, or `ids` integers.
        """
        names = None if ids is None else ids_of(ids, "ids")
        self._state.extend(vector_of(pi, "pi", double=True), names, self._key, self._step)

    def merge(self, other: PivotalSampler) -> PivotalSampler:
        """Join two parts.

        Parameters
        ----------
        other : PivotalSampler
            A part whose positions are others than those of this one. Parts may be merged in any
            order and grouping; different ones give different samples of the same probabilities.

        Returns
        -------
        PivotalSampler
            The union; the two parts stay as they are.

        Raises
        ------
        ValueError
            If positions overlap.
        TypeError
            If `other` is not a `PivotalSampler`.
        """
        if not isinstance(other, PivotalSampler):
            raise TypeError(f"other: must be a PivotalSampler, got {type(other).__name__}")
        merged = PivotalSampler.__new__(PivotalSampler)
        merged._key, merged._step = self._key, self._step
        merged._state = self._state.merge(other._state, self._key, self._step)
        return merged

    def finish(self) -> DesignSample:
        """Decide about the last undecided unit, and return the sample.

        Returns
        -------
        DesignSample
            The ids of the chosen units and their weights. The state does not change: more units may
            follow, and the sample of all of them be asked for.
        """
        chosen, pi = self._state.finish(self._key, self._step)
        return DesignSample(chosen, 1 / pi)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._key, self._step, self._state.state_tuple()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._key, self._step, rest = state
        self._state = _core.select.design.Pivotal.from_state(rest)


def _merges(tree: NDArray[Any]) -> NDArray[np.int64]:
    """Return the first two columns of a matrix of merges; SciPy's hold whole floats."""
    pairs = tree[:, :2]
    if pairs.dtype.kind == "f":
        if not ((np.abs(pairs) < 2**53) & (pairs == np.floor(pairs))).all():
            raise ValueError("order: must hold whole numbers in its first two columns")
        pairs = pairs.astype(np.int64)
    return ids_of(pairs.ravel(), "order").reshape(pairs.shape)
