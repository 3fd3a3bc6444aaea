"""Designs: random subsets in which every unit has a chance that was fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from sortes import _core
from sortes._progress import reporter
from sortes._rng import as_key, at_step
from sortes.select._vectors import count_of, ids_of, matrix_of, vector_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


class InclusionProbabilities(NamedTuple):
    """Probabilities in proportion to weights, and where they reach one.

    Attributes
    ----------
    pi : ndarray of float64, shape (n,)
        ``min(1, weights / tau)``.
    tau : float
        The weight from which on a unit is certain.
    """

    pi: NDArray[np.float64]
    tau: float


class Estimate(NamedTuple):
    """An estimated total, and the estimated variance of that estimate.

    Attributes
    ----------
    total : float
        The estimate.
    variance : float
        Its variance; NaN where the design gives none.
    """

    total: float
    variance: float


@dataclass(frozen=True, eq=False)
class DesignSample:
    """The units that a design has chosen.

    Attributes
    ----------
    indices : ndarray of int64, shape (m,)
        The chosen units, ascending.
    weights : ndarray of float64, shape (m,)
        ``1 / pi`` of each: how many units it stands for.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        """Return how many units were chosen."""
        return len(self.indices)

    def estimate(self, values: ArrayLike) -> float:
        """Estimate a total over all units from the chosen ones, without bias.

        Parameters
        ----------
        values : array_like, shape (m,)
            The values of the chosen units, in the order of `indices`.

        Returns
        -------
        float
            ``sum(weights * values)``.

        Raises
        ------
        ValueError
            If there is not one value for each chosen unit.
        """
        y = vector_of(values, "values", double=True)
        if y.shape != self.weights.shape:
            raise ValueError(f"values: must have shape {self.weights.shape}, got {y.shape}")
        return float(self.weights @ y)


def inclusion_probabilities(weights: ArrayLike, k: float) -> InclusionProbabilities:
    r"""Find inclusion probabilities in proportion to weights, none above one.

    Parameters
    ----------
    weights : array_like, shape (n,)
        Sizes, scores, norms: not negative.
    k : float
        The expected size of the sample; need not be whole.

    Returns
    -------
    InclusionProbabilities
        The probabilities and their threshold. If fewer than `k` units have a positive weight, all
        of these have probability one (and `tau` is 0).

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or `k` is negative.
    TypeError
        If `weights` does not hold real numbers.

    Notes
    -----
    :math:`\pi_i = \min(1, w_i / \tau)` with :math:`\sum_i \pi_i = k`. The threshold is found by
    selection, without a sort: :math:`O(n)`, one pass over the weights if none is capped.

    It is what probability proportional to size means without replacement. Drawing units one after
    the other in proportion to their weights, as ``numpy.random.Generator.choice(replace=False)``
    does, gives other inclusion probabilities.

    Examples
    --------
    >>> from sortes.select.designs import inclusion_probabilities
    >>> pi, tau = inclusion_probabilities([5, 1, 1, 1], 2)
    >>> pi.round(3), tau
    (array([1.   , 0.333, 0.333, 0.333]), 3.0)
    """
    pi, tau = _core.design.inclusion_probabilities(
        vector_of(weights, "weights", double=True), _real(k, "k")
    )
    return InclusionProbabilities(pi, tau)


def poisson_sample(
    pi: ArrayLike, *, rng: Rng = None, num_threads: int | None = None
) -> DesignSample:
    r"""Choose each unit independently of the others.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities, in [0, 1].
    rng : Rng
        The source of randomness.
    num_threads : int, optional
        How many threads to use. The result does not depend on it.

    Returns
    -------
    DesignSample
        The chosen units and their weights.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1].
    TypeError
        If `pi` does not hold real numbers.

    Notes
    -----
    :math:`P(S) = \prod_{i \in S} \pi_i \prod_{i \notin S} (1 - \pi_i)`. The size is random, with
    variance :math:`\sum_i \pi_i (1 - \pi_i)`: prefer `pivotal_sample` where it should not be.

    The uniform number of a unit depends on `rng` and the index of the unit alone. With one `rng`,
    raising probabilities only adds units, and samples of two versions of a population overlap as
    much as their probabilities allow (permanent random numbers).

    :math:`O(n)`; a quarter of a random block per unit, near the speed of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.designs import poisson_sample
    >>> sample = poisson_sample(np.full(1000, 0.01), rng=0)
    >>> set(sample.weights.tolist())
    {100.0}
    """
    p = vector_of(pi, "pi", double=True)
    key, step = as_key(rng), at_step(rng)
    return _of(_core.design.poisson(p, key, step, num_threads=num_threads), p)


def systematic_sample(
    pi: ArrayLike,
    *,
    u: float | None = None,
    order: ArrayLike | None = None,
    rng: Rng = None,
) -> DesignSample:
    r"""Lay the units end to end and take those that an evenly spaced comb hits.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Expected numbers of hits: not negative. A unit above one is hit its whole part for certain,
        and appears so often.
    u : float, optional
        The position of the first tooth, in [0, 1); drawn from `rng` unless given.
    order : array_like of int, shape (n,)
        The order in which the units lie; as they are numbered unless given.
    rng : Rng
        The source of randomness.

    Returns
    -------
    DesignSample
        The units that were hit, repeated where hit repeatedly, and their weights.

    Raises
    ------
    ValueError
        If a probability is negative or not finite, `u` is out of range, or `order` is not a
        permutation.
    TypeError
        If `pi` does not hold real numbers, or `order` integers.

    Notes
    -----
    Unit :math:`i` is chosen if :math:`[C_{i-1}, C_i)` contains :math:`u + m` for an integer
    :math:`m`, where :math:`C_i = \pi_1 + \dots + \pi_i` along the order. The size is the sum of
    `pi` rounded down or up; sums within a few units in the last place of a tooth count as on it.

    Neighbours in the order are rarely chosen together: ordered by something that matters, the
    sample is spread over it. Many pairs of units are never chosen together, so that no unbiased
    estimate of a variance exists. :math:`O(n)`. Madow, "On the theory of systematic sampling, II",
    Annals of Mathematical Statistics 20 (1949).

    Examples
    --------
    >>> from sortes.select.designs import systematic_sample
    >>> systematic_sample([0.2, 0.7, 0.6, 0.5], u=0.3).indices
    array([1, 2])
    """
    p = vector_of(pi, "pi", double=True)
    start = None if u is None else _real(u, "u")
    along = None if order is None else ids_of(order, "order")
    key, step = (0, 0) if u is not None else (as_key(rng), at_step(rng))
    chosen = _core.design.systematic(p, start, along, key, step)
    if along is not None:
        chosen.sort()
    return _of(chosen, p)


def pivotal_sample(
    pi: ArrayLike,
    *,
    order: ArrayLike | Literal["tree", "local"] | None = None,
    X: ArrayLike | None = None,
    rng: Rng = None,
    num_threads: int | None = None,
    progress: bool | Callable[[int, int], object] | None = None,
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
    relative 1e-9.

    Units that meet early repel each other: choose an order, a tree or positions in which near means
    alike. Over any fixed order or tree the events of being chosen are negatively associated.

    :math:`O(n)`; ``"local"`` takes about :math:`O(n \log n)` in few dimensions, up to
    :math:`O(n^2 d)` in many; its nearest neighbours are exact, of equals the lowest index counts as
    nearest. Deville and Tillé, "Unequal probability sampling without replacement through a
    splitting method", Biometrika 85 (1998); Grafström, Lundström and Schelin, "Spatially balanced
    sampling through the pivotal method", Biometrics 68 (2012).

    Examples
    --------
    >>> from sortes.select.designs import pivotal_sample
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
    key, step = as_key(rng), at_step(rng)
    if order is None:
        return _of(_core.design.pivotal_sequential(p, None, key, step), p)
    if local:
        points = matrix_of(X, "X")
        with reporter(progress, "pivotal_sample") as callback:
            return _of(_core.design.pivotal_local(p, points, key, step, progress=callback), p)
    if isinstance(order, str):
        if order != "tree":
            raise ValueError(f"order: must be 'tree', 'local' or an array, got {order!r}")
        return _of(_core.design.pivotal_balanced(p, key, step, num_threads=num_threads), p)
    along = np.asarray(order)
    if along.ndim == 2:
        return _of(_core.design.pivotal_over_tree(p, _merges(along), key, step), p)
    return _of(_core.design.pivotal_sequential(p, ids_of(order, "order"), key, step), p)


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
    >>> from sortes.select.designs import PivotalSampler
    >>> a, b = PivotalSampler(rng=0), PivotalSampler(first=3, rng=0)
    >>> a.update([0.4, 0.3, 0.8])
    >>> b.update([0.9, 0.6])
    >>> len(a.merge(b).finish())
    3
    """

    def __init__(self, *, first: int = 0, rng: Rng = None) -> None:
        first = count_of(first, "first")
        if first >= 2**48:
            raise ValueError(f"first: must be in [0, 2**48), got {first}")
        self._key, self._step = as_key(rng), at_step(rng)
        self._state = _core.design.Pivotal(first)

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
        self._state = _core.design.Pivotal.from_state(rest)


def conditional_poisson_sample(
    pi: ArrayLike | None = None,
    k: int | None = None,
    *,
    odds: ArrayLike | None = None,
    rng: Rng = None,
    num_threads: int | None = None,
) -> DesignSample:
    r"""Draw from the design of maximum entropy with a fixed size.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities whose sum is `k`.
    k : int
        The size of the sample; with `pi` it may be left out.
    odds : array_like, shape (n,)
        Instead of `pi`: the odds of the units, in any unit of measure. Zero is never chosen,
        infinity always.
    rng : Rng
        The source of randomness.
    num_threads : int, optional
        How many threads to use. The result does not depend on it.

    Returns
    -------
    DesignSample
        The chosen units and their weights.

    Raises
    ------
    ValueError
        If both or none of `pi` and `odds` are given, a value is out of range, or `k` units cannot
        be had.
    TypeError
        If an array does not hold real numbers.

    Notes
    -----
    :math:`P(S) \propto \prod_{i \in S} o_i` on the sets of :math:`k` units. Every pair of units may
    occur together, unlike in a systematic or pivotal sample.

    The sample is a Poisson sample with suitably scaled odds, drawn anew until its size is `k`:
    exact, and :math:`O(n \sqrt{k})`. The odds that belong to `pi`, and the weights that belong to
    `odds`, take :math:`O(n \sqrt{k})` for each round of `conditional_poisson_odds`, and once. Chen,
    Dempster and Liu, "Weighted finite population sampling to maximize entropy", Biometrika 81
    (1994).

    Examples
    --------
    >>> from sortes.select.designs import conditional_poisson_sample
    >>> sample = conditional_poisson_sample(odds=[1, 2, 3, 4], k=2, rng=0)
    >>> len(sample)
    2
    """
    if (pi is None) == (odds is None):
        raise ValueError("pi, odds: exactly one of them must be given")
    key, step = as_key(rng), at_step(rng)
    if pi is not None:
        p = vector_of(pi, "pi", double=True)
        relative = _core.design.conditional_poisson_odds(p, num_threads=num_threads)
        size = round(math.fsum(p))
        if k is not None and count_of(k, "k") != size:
            raise ValueError(f"k: must be the sum of pi, {size}, got {k}")
        return _of(_core.design.conditional_poisson(relative, size, key, step), p)
    if k is None:
        raise ValueError("k: must be given with odds")
    relative, size = vector_of(odds, "odds", double=True), count_of(k, "k")
    chosen = _core.design.conditional_poisson(relative, size, key, step)
    p = _core.design.conditional_poisson_probabilities(relative, size, num_threads=num_threads)
    return _of(chosen, p)


def conditional_poisson_probabilities(
    odds: ArrayLike, k: int, *, num_threads: int | None = None
) -> NDArray[np.float64]:
    r"""Compute the inclusion probabilities of a conditional Poisson design.

    Parameters
    ----------
    odds : array_like, shape (n,)
        The odds of the units, in any unit of measure; 0 and infinity are allowed.
    k : int
        The size of the sample.
    num_threads : int, optional
        How many threads to use. The result does not depend on it.

    Returns
    -------
    ndarray of float64, shape (n,)
        The probabilities; they sum to `k`.

    Raises
    ------
    ValueError
        If odds are negative or NaN, or `k` units cannot be had.
    TypeError
        If `odds` does not hold real numbers.

    Notes
    -----
    :math:`\pi_i = o_i \, e_{k-1}(o_{-i}) / e_k(o)` with elementary symmetric polynomials, computed
    from the distribution of the size of a Poisson sample with odds scaled so that `k` is its most
    likely size: finite for any range of odds, to about 1e-14. :math:`O(n \sqrt{k})`.

    Examples
    --------
    >>> from sortes.select.designs import conditional_poisson_probabilities
    >>> conditional_poisson_probabilities([1, 2, 3, 4], 2).round(4)
    array([0.2571, 0.4571, 0.6   , 0.6857])
    """
    relative, size = vector_of(odds, "odds", double=True), count_of(k, "k")
    return _core.design.conditional_poisson_probabilities(relative, size, num_threads=num_threads)


def conditional_poisson_odds(
    pi: ArrayLike, *, num_threads: int | None = None
) -> NDArray[np.float64]:
    r"""Find the odds of the conditional Poisson design with given inclusion probabilities.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities whose sum is an integer.
    num_threads : int, optional
        How many threads to use. The result does not depend on it.

    Returns
    -------
    ndarray of float64, shape (n,)
        The odds; the geometric mean of those that are positive and finite is 1. Zero where `pi` is
        0, infinite where it is 1.

    Raises
    ------
    ValueError
        If a probability is not in [0, 1], or their sum is not an integer.
    TypeError
        If `pi` does not hold real numbers.

    Notes
    -----
    Rounds of :math:`o_i \leftarrow o_i \cdot \text{odds}(\pi_i) / \text{odds}(\pi_i(o))`, half
    steps where whole ones overshoot, until the odds of all probabilities agree to a relative 1e-12.
    About ten rounds, fewer for large samples.

    Examples
    --------
    >>> from sortes.select.designs import conditional_poisson_odds
    >>> conditional_poisson_odds([0.2, 0.7, 0.6, 0.5]).round(4)
    array([0.3534, 1.9393, 1.3884, 1.0509])
    """
    odds = _core.design.conditional_poisson_odds(
        vector_of(pi, "pi", double=True), num_threads=num_threads
    )
    inner = (odds > 0) & np.isfinite(odds)
    if inner.any():
        logs = np.log(odds[inner])
        odds[inner] = np.exp(logs - logs.mean())
    return odds


def log_elementary_symmetric(logs: ArrayLike, k: int) -> NDArray[np.float64]:
    r"""Compute logarithms of elementary symmetric polynomials.

    Parameters
    ----------
    logs : array_like, shape (n,)
        The logarithms of non-negative numbers :math:`x_i`: odds, eigenvalues; ``-inf`` for zero.
    k : int
        The highest degree.

    Returns
    -------
    ndarray of float64, shape (k + 1,)
        :math:`\ln e_0, \dots, \ln e_k` with :math:`e_j = \sum_{|S| = j} \prod_{i \in S} x_i`.

    Raises
    ------
    ValueError
        If a logarithm is NaN or infinite.
    TypeError
        If `logs` does not hold real numbers.

    Notes
    -----
    One addition in log space for every number and degree, :math:`O(n k)`; nothing cancels.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select.designs import log_elementary_symmetric
    >>> np.exp(log_elementary_symmetric(np.log([0.5, 1, 2]), 3)).round(12)
    array([1. , 3.5, 3.5, 1. ])
    """
    x = vector_of(logs, "logs", double=True)
    bad = np.isnan(x) | (x == np.inf)
    if bad.any():
        raise ValueError(f"logs: item {int(bad.argmax())} is NaN or infinite: {x[bad][0]}")
    return _core.design.log_elementary_symmetric(x, count_of(k, "k"))


def horvitz_thompson(
    values: ArrayLike,
    pi: ArrayLike,
    *,
    design: Literal["poisson", "fixed_size"] | None = None,
) -> Estimate:
    r"""Estimate a total from a sample with known inclusion probabilities, without bias.

    Parameters
    ----------
    values : array_like, shape (m,)
        The values of the chosen units.
    pi : array_like, shape (m,)
        Their inclusion probabilities (expected numbers of hits, for systematic samples above one).
    design : {"poisson", "fixed_size"}, optional
        What the variance is to be estimated for. Without it, or where it is not defined, the
        variance is NaN.

    Returns
    -------
    Estimate
        The total and its variance.

    Raises
    ------
    ValueError
        If shapes differ, a probability is not positive and finite, a value is not finite, or
        `design` is unknown.
    TypeError
        If an array does not hold real numbers.

    Notes
    -----
    :math:`\hat Y = \sum_{i \in S} y_i / \pi_i`. For ``"poisson"`` the variance
    :math:`\sum_{i \in S} (1 - \pi_i) y_i^2 / \pi_i^2` is unbiased. For ``"fixed_size"`` it is
    Hájek's approximation for designs of high entropy, `conditional_poisson_sample` and
    `pivotal_sample` in a random order: with :math:`c_i = (1 - \pi_i) m / (m - 1)` and the ratio
    :math:`B = \sum c_i y_i \pi_i^{-1} / \sum c_i`, it is :math:`\sum c_i (y_i / \pi_i - B)^2`.
    Systematic samples, and pivotal ones in an order that means something, have no unbiased estimate
    of variance; the approximation is mostly too large for them.

    Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe",
    Journal of the American Statistical Association 47 (1952).

    Examples
    --------
    >>> from sortes.select.designs import horvitz_thompson
    >>> horvitz_thompson([3.0, 5.0], [0.5, 1.0], design="poisson")
    Estimate(total=11.0, variance=18.0)
    """
    y, p = vector_of(values, "values", double=True), vector_of(pi, "pi", double=True)
    if p.shape != y.shape:
        raise ValueError(f"pi: must have shape {y.shape}, got {p.shape}")
    if not np.isfinite(y).all():
        bad = int(np.argmin(np.isfinite(y)))
        raise ValueError(f"values: item {bad} is not finite: {y[bad]}")
    usable = (p > 0) & np.isfinite(p)
    if not usable.all():
        bad = int(np.argmin(usable))
        raise ValueError(f"pi: item {bad} is not positive and finite: {p[bad]}")
    if design not in (None, "poisson", "fixed_size"):
        raise ValueError(f"design: must be 'poisson', 'fixed_size' or None, got {design!r}")
    expanded = y / p
    variance = math.nan
    if design is not None and (p <= 1).all():
        c = 1 - p
        if design == "poisson":
            variance = float(c @ expanded**2)
        elif y.size > 1:
            scale, mass = y.size / (y.size - 1), float(c.sum())
            ratio = float(c @ expanded) / mass if mass > 0 else 0.0
            variance = scale * float(c @ (expanded - ratio) ** 2)
    return Estimate(float(expanded.sum()), variance)


def _of(chosen: NDArray[np.int64], pi: NDArray[np.float64]) -> DesignSample:
    return DesignSample(chosen, 1 / pi[chosen])


def _merges(tree: NDArray[Any]) -> NDArray[np.int64]:
    """Return the first two columns of a matrix of merges; SciPy's hold whole floats."""
    pairs = tree[:, :2]
    if pairs.dtype.kind == "f":
        if not (np.isfinite(pairs).all() and (pairs == np.floor(pairs)).all()):
            raise ValueError("order: must hold whole numbers in its first two columns")
    elif pairs.dtype.kind not in "iu":
        raise TypeError(f"order: must hold integers, got dtype {pairs.dtype}")
    return np.require(pairs, np.int64, ("C", "A"))


def _real(x: Any, name: str) -> float:
    try:
        return float(x)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: must be a number, got {x!r}") from None
