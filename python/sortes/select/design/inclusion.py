"""Inclusion probabilities in proportion to weights, and the simplest designs that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import integers_of, vector_of
from sortes._check import NON_NEGATIVE, UNIT, NonNegative, Unit
from sortes._progress import Progress, job_of
from sortes._rng import as_stream, refuse_randomness
from sortes.select.design.sample import DesignSample, sample_of

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


def inclusion_probabilities(
    weights: ArrayLike,
    k: NonNegative,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> InclusionProbabilities:
    r"""Find inclusion probabilities in proportion to weights, none above one.

    Parameters
    ----------
    weights : array_like, shape (n,)
        Sizes, scores, norms: not negative.
    k : float
        The expected size of the sample, which need not be whole.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

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
    $\pi_i = \min(1, w_i / \tau)$ with $\sum_i \pi_i = k$. The threshold is found by selection,
    without a sort: $O(n)$, one pass over the weights if none is capped.

    It is what probability proportional to size means without replacement. Drawing units one after
    the other in proportion to their weights, as ``numpy.random.Generator.choice(replace=False)``
    does, gives other inclusion probabilities.

    Examples
    --------
    >>> from sortes.select import inclusion_probabilities
    >>> pi, tau = inclusion_probabilities([5, 1, 1, 1], 2)
    >>> pi.round(3), tau
    (array([1.   , 0.333, 0.333, 0.333]), 3.0)
    """
    w, size = vector_of(weights, "weights", double=True), NON_NEGATIVE.check(k, "k")
    with job_of(num_threads, progress, "inclusion_probabilities") as job:
        pi, tau = _core.select.design.inclusion.inclusion_probabilities(w, size, job)
    return InclusionProbabilities(pi, tau)


def poisson_sample(
    pi: ArrayLike,
    *,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> DesignSample:
    r"""Choose each unit independently of the others.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Inclusion probabilities, in [0, 1].
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
    $P(S) = \prod_{i \in S} \pi_i \prod_{i \notin S} (1 - \pi_i)$. The size is random, with variance
    $\sum_i \pi_i (1 - \pi_i)$: prefer `pivotal_sample` where it should not be.

    The uniform of a unit depends on `rng`, `step` and the index of the unit alone. With one `rng`,
    raising probabilities only adds units, and samples of two versions of a population overlap as
    much as their probabilities allow (permanent random numbers).

    $O(n)$; a quarter of a random block per unit, near the speed of memory.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.select import poisson_sample
    >>> sample = poisson_sample(np.full(1000, 0.01), rng=0)
    >>> set(sample.weights.tolist())
    {100.0}
    """
    p = vector_of(pi, "pi", double=True)
    with job_of(num_threads, progress, "poisson_sample") as job:
        chosen = _core.select.design.inclusion.poisson(p, as_stream(rng, step), job)
    return sample_of(chosen, p, "poisson")


def systematic_sample(
    pi: ArrayLike,
    *,
    u: Unit | None = None,
    order: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> DesignSample:
    r"""Lay the units end to end and take those that an evenly spaced comb hits.

    Parameters
    ----------
    pi : array_like, shape (n,)
        Expected numbers of hits: not negative. A unit above one is hit its whole part for certain,
        and appears as often.
    u : float, optional
        The position of the first tooth, in [0, 1), instead of `rng`.
    order : array_like of int, shape (n,), optional
        The order in which the units lie; as they are numbered unless given.
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
    DesignSample
        The units that were hit, repeated where hit repeatedly, and their weights.

    Raises
    ------
    ValueError
        If a probability is negative or not finite, `u` is out of range or given beside `rng`, or
        `order` is not a permutation.
    TypeError
        If `pi` does not hold real numbers, or `order` integers.
    MemoryError
        If there are more hits than memory holds.

    Notes
    -----
    Unit $i$ is chosen if $[C_{i-1}, C_i)$ contains $u + m$ for an integer $m$, where
    $C_i = \pi_1 + \dots + \pi_i$ along the order (Madow, 1949). The size is the sum of `pi` rounded
    down or up; sums within a few units in the last place of a tooth count as on it.

    Neighbours in the order are rarely chosen together: ordered by something that matters, the
    sample is spread over it. Many pairs of units are never chosen together, so that no unbiased
    estimate of a variance exists. $O(n)$.

    References
    ----------
    Madow, "On the theory of systematic sampling, II", Annals of Mathematical Statistics 20, 1949.

    Examples
    --------
    >>> from sortes.select import systematic_sample
    >>> systematic_sample([0.2, 0.7, 0.6, 0.5], u=0.3).indices
    array([1, 2])
    """
    p = vector_of(pi, "pi", double=True)
    along = None if order is None else integers_of(order, "order")
    if u is None:
        start = _core.select.design.inclusion.start(as_stream(rng, step))
    else:
        start = UNIT.check(u, "u")
        refuse_randomness(rng, step, "u, which replaces the draw")
    with job_of(num_threads, progress, "systematic_sample") as job:
        chosen = _core.select.design.inclusion.systematic(p, start, along, job)
    return sample_of(chosen, p)
