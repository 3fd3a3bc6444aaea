"""What a design has chosen, and what it says about the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from sortes._arrays import vector_of
from sortes._check import POSITIVE, items, one_of
from sortes._estimate import Estimate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: The designs of which the variance of an estimate is known.
Variance: TypeAlias = Literal["poisson", "fixed_size"]


@dataclass(frozen=True, eq=False)
class DesignSample:
    """The units that a design has chosen.

    Attributes
    ----------
    indices : ndarray of int64, shape (m,)
        The chosen units, ascending.
    weights : ndarray of float64, shape (m,)
        ``1 / pi`` of each: how many units it stands for.
    design : {"poisson", "fixed_size", "stratified"} or None
        What `estimate` takes the variance from; None where it cannot be estimated.
    """

    indices: NDArray[np.int64]
    weights: NDArray[np.float64]
    design: Literal["poisson", "fixed_size", "stratified"] | None

    def __len__(self) -> int:
        """Return how many units were chosen."""
        return len(self.indices)

    def estimate(self, values: ArrayLike) -> Estimate:
        """Estimate a total over all units from the chosen ones, without bias.

        Parameters
        ----------
        values : array_like, shape (m,)
            The values of the chosen units, in the order of `indices`.

        Returns
        -------
        Estimate
            ``sum(weights * values)`` and its standard error, as of `horvitz_thompson` for the
            design; NaN where none can be estimated: for systematic samples, and for pivotal ones,
            unless their order is random (then call `horvitz_thompson` for ``"fixed_size"``).

        Raises
        ------
        ValueError
            If there is not one finite value for each chosen unit.
        TypeError
            If `values` does not hold real numbers.

        Examples
        --------
        >>> from sortes.select import poisson_sample
        >>> sample = poisson_sample([0.5, 0.5, 1.0], rng=1)
        >>> sample.estimate([4.0] * len(sample)).value == 4 * sample.weights.sum()
        np.True_
        """
        y = self._values(values)
        design = None if self.design == "stratified" else self.design
        return _estimate(y * self.weights, 1 / self.weights, design)

    def _values(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return one finite value for each chosen unit."""
        y = vector_of(values, "values", double=True)
        if y.shape != self.weights.shape:
            raise ValueError(f"values: must have shape {self.weights.shape}, got {y.shape}")
        items(np.isfinite(y), y, "values", "is not finite")
        return y


def horvitz_thompson(
    values: ArrayLike, pi: ArrayLike, *, design: Variance | None = None
) -> Estimate:
    r"""Estimate a total from a sample with known inclusion probabilities, without bias.

    Parameters
    ----------
    values : array_like, shape (m,)
        The values of the chosen units.
    pi : array_like, shape (m,)
        Their inclusion probabilities (expected numbers of hits, for systematic samples above one).
    design : {"poisson", "fixed_size"}, optional
        The design that the variance is estimated for. Without it, or where the variance is not
        defined, the standard error is NaN.

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
    $\hat Y = \sum_{i \in S} y_i / \pi_i$ (Horvitz and Thompson, 1952). For ``"poisson"`` the
    variance $\sum_{i \in S} (1 - \pi_i) y_i^2 / \pi_i^2$ is unbiased. For ``"fixed_size"`` it is
    Hájek's approximation for designs of high entropy, `conditional_poisson_sample` and
    `pivotal_sample` in a random order: with $c_i = (1 - \pi_i) m / (m - 1)$ and the ratio
    $B = \sum c_i y_i \pi_i^{-1} / \sum c_i$, it is $\sum c_i (y_i / \pi_i - B)^2$. Systematic
    samples, and pivotal ones in an order that means something, have no unbiased estimate of
    variance; the approximation is mostly too large for them.

    References
    ----------
    Horvitz and Thompson, "A generalization of sampling without replacement from a finite universe",
    Journal of the American Statistical Association 47, 1952.

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
    POSITIVE.check_items(p, "pi")
    if design is not None:
        one_of(design, "design", get_args(Variance))
    return _estimate(y / p, p, design)


def _estimate(
    expanded: NDArray[np.float64], pi: NDArray[np.float64], design: Variance | None
) -> Estimate:
    """Estimate a total from values divided by their probabilities."""
    variance = math.nan
    if design is not None and (pi <= 1).all():
        c = 1 - pi
        if design == "poisson":
            variance = float(c @ expanded**2)
        elif pi.size > 1:
            scale, mass = pi.size / (pi.size - 1), float(c.sum())
            ratio = float(c @ expanded) / mass if mass > 0 else 0.0
            variance = scale * float(c @ (expanded - ratio) ** 2)
    return Estimate(float(expanded.sum()), math.sqrt(variance))


def sample_of(
    chosen: NDArray[np.int64], pi: NDArray[np.float64], design: Variance | None = None
) -> DesignSample:
    """Weight the chosen units with the inverse of their probabilities."""
    return DesignSample(chosen, 1 / pi[chosen], design)
