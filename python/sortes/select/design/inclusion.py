"""Designs: random subsets in which every unit has a chance that was fixed beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from sortes import _core
from sortes._arrays import ids_of, vector_of
from sortes._check import items, one_of, real
from sortes._estimate import Estimate
from sortes._rng import as_stream

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
    >>> from sortes.select import inclusion_probabilities
    >>> pi, tau = inclusion_probabilities([5, 1, 1, 1], 2)
    >>> pi.round(3), tau
    (array([1.   , 0.333, 0.333, 0.333]), 3.0)
    """
    pi, tau = _core.select.design.inclusion_probabilities(
        vector_of(weights, "weights", double=True), real(k, "k")
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
    >>> from sortes.select import poisson_sample
    >>> sample = poisson_sample(np.full(1000, 0.01), rng=0)
    >>> set(sample.weights.tolist())
    {100.0}
    """
    p = vector_of(pi, "pi", double=True)
    stream = as_stream(rng)
    chosen = _core.select.design.poisson(p, stream.key, stream.step, num_threads=num_threads)
    return sample_of(chosen, p)


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
    >>> from sortes.select import systematic_sample
    >>> systematic_sample([0.2, 0.7, 0.6, 0.5], u=0.3).indices
    array([1, 2])
    """
    p = vector_of(pi, "pi", double=True)
    start = None if u is None else real(u, "u")
    along = None if order is None else ids_of(order, "order")
    stream = as_stream(rng if u is None else 0)
    chosen = _core.select.design.systematic(p, start, along, stream.key, stream.step)
    if along is not None:
        chosen.sort()
    return sample_of(chosen, p)


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
        standard error is NaN.

    Returns
    -------
    Estimate
        The total and its standard error.

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
    >>> from sortes.select import horvitz_thompson
    >>> horvitz_thompson([3.0, 5.0], [0.5, 1.0], design="poisson")
    Estimate(value=11.0, stderr=4.242640687119285)
    """
    y, p = vector_of(values, "values", double=True), vector_of(pi, "pi", double=True)
    if p.shape != y.shape:
        raise ValueError(f"pi: must have shape {y.shape}, got {p.shape}")
    items(np.isfinite(y), y, "values", "is not finite")
    items((p > 0) & np.isfinite(p), p, "pi", "is not positive and finite")
    if design is not None:
        one_of(design, "design", ("poisson", "fixed_size"))
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
    return Estimate(float(expanded.sum()), math.sqrt(variance))


def sample_of(chosen: NDArray[np.int64], pi: NDArray[np.float64]) -> DesignSample:
    """Weight the chosen units with the inverse of their probabilities."""
    return DesignSample(chosen, 1 / pi[chosen])
