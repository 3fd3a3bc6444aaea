"""Resampling until an imperfect verifier accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import numpy as np

from sortes._arrays import vector_of
from sortes._check import NON_NEGATIVE, PROBABILITY, Domain, NonNegative, Probability

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LOSS: Final = Domain("(-inf, 0]")
ATTEMPTS: Final = Domain("[1, 2**24]", integer=True)


class ResampleValue(NamedTuple):
    """What resampling is worth, from `resample_value`.

    Attributes
    ----------
    value : ndarray of float64, shape (max_k + 1,)
        The expected value of at most k attempts, for each k from 0.
    optimal_k : int
        The k of the largest value; the least of several. 0: do not try.
    accuracy : ndarray of float64, shape (max_k + 1,)
        The chance that a right answer has been accepted.
    limit : float
        What the accuracy tends to.
    """

    value: NDArray[np.float64]
    optimal_k: int
    accuracy: NDArray[np.float64]
    limit: float


def resample_value(
    success: ArrayLike,
    prior: ArrayLike,
    completeness: Probability,
    soundness: Probability,
    false_positive_value: Annotated[float, LOSS],
    cost: NonNegative = 0.0,
    max_k: Annotated[int, ATTEMPTS] = 100,
) -> ResampleValue:
    r"""Find how often to resample when the verifier makes mistakes.

    Parameters
    ----------
    success : array_like, shape (T,)
        The chance that a sample is right, for each kind of problem.
    prior : array_like, shape (T,)
        How frequent each kind is: not negative; divided by their sum.
    completeness : float
        The chance that a right answer is accepted.
    soundness : float
        The chance that a wrong answer is rejected.
    false_positive_value : float
        What an accepted wrong answer is worth, at most 0; an accepted right one is worth 1.
    cost : float, default 0.0
        What an attempt costs.
    max_k : int, default 100
        The most attempts to look at, at most 2**24.

    Returns
    -------
    ResampleValue
        The value of each number of attempts, and the best one.

    Raises
    ------
    ValueError
        If a chance is not in [0, 1], a frequency is negative or all are zero, the lengths differ,
        or another argument is out of range.
    TypeError
        If an argument does not hold numbers, or `max_k` is no integer.

    Notes
    -----
    Samples are drawn until the verifier accepts one, at most $K$. An attempt at a problem of kind
    $t$, which has success $r_t$, is rejected with the chance
    $\beta_t = (1 - c) r_t + s (1 - r_t)$, so that

    $$
    V(K) = \sum_t w_t \sum_{j=1}^K \beta_t^{j-1} \left( c\, r_t + v (1-s)(1-r_t) - \text{cost}
    \right) .
    $$

    Hard problems are left over, and on these a verifier that is not sound accepts mostly wrong
    answers: the best $K$ is often small (Stroebl and others 2024). As $K$ grows, accuracy tends to
    $\sum_t w_t c\, r_t / (c\, r_t + (1-s)(1-r_t))$.

    References
    ----------
    Stroebl, Kapoor and Narayanan, "The limits of inference scaling through resampling", 2024,
    arXiv:2411.17501.

    Examples
    --------
    >>> from sortes.pool import resample_value
    >>> worth = resample_value([0.87, 0.13], [0.58, 0.42], 1.0, 0.75, -0.7)
    >>> worth.optimal_k, worth.value[:5].round(3)
    (3, array([0.   , 0.482, 0.524, 0.525, 0.522]))
    >>> round(worth.limit, 3)
    0.716
    """
    r, w = vector_of(success, "success", double=True), vector_of(prior, "prior", double=True)
    PROBABILITY.check_items(r, "success")
    NON_NEGATIVE.check_items(w, "prior")
    if w.shape != r.shape:
        raise ValueError(f"prior: must have shape {r.shape}, as success, got {w.shape}")
    total = w.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"prior: the sum must be in (0, inf), got {total}")
    complete = PROBABILITY.check(completeness, "completeness")
    sound = PROBABILITY.check(soundness, "soundness")
    loss = LOSS.check(false_positive_value, "false_positive_value")
    price, most = NON_NEGATIVE.check(cost, "cost"), ATTEMPTS.check(max_k, "max_k")

    right, wrong = complete * r, (1 - sound) * (1 - r)
    gain = right + loss * wrong - price
    value, accuracy = np.zeros(most + 1), np.zeros(most + 1)
    for share, rejected, g, a in zip(w / total, 1 - right - wrong, gain, right, strict=True):
        # Whether an attempt is made: as often as all before it were rejected.
        made = share * max(rejected, 0.0) ** np.arange(most)
        value[1:] += g * made
        accuracy[1:] += a * made
    np.cumsum(value, out=value)
    np.cumsum(accuracy, out=accuracy)
    accepted = right + wrong
    ends = np.divide(right, accepted, out=np.zeros_like(right), where=accepted > 0)
    return ResampleValue(value, int(np.argmax(value)), accuracy, float(ends @ (w / total)))
