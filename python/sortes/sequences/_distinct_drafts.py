"""What distinct drafts can be worth: integrals over the time of a race."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Step, least point and largest exponent of the integrals over the logarithm of time: before the
#: least point even one arrival and the first of the others together have probability 1e-16.
_STEP: Final = 0.2
_LEAST: Final = -18.0
_DECAY: Final = 50.0
#: Times by which fewer than all drafts have come with a smaller probability are left out.
_NEVER: Final = 1e-25
#: How many tokens go through at once, and into how many parts they are cut where more is needed.
_BLOCK: Final = 256
_PARTS: Final = 8


class _Race(NamedTuple):
    """Tokens in order: their rates, what comes behind each, and the target's mass up to each."""

    rates: Array
    rest: Array
    heads: Array
    times: Array


def most_lost(target_heads: Array, q: Array, k: int) -> float:
    """Return the largest difference, over beginnings, of drafts that fall in and target.

    Parameters
    ----------
    target_heads : array, shape (V,)
        The target's probability of each beginning of the tokens.
    q : array, shape (V,)
        The draft's probabilities.
    k : int
        How many distinct drafts there are, if as many have a probability.

    Notes
    -----
    In a race at the rates `q` all `k` drafts are in a beginning if at least `k` of it arrive before
    the first of the others, which comes at a time with the exponential law of their rate. How
    likely 0, 1, ... arrivals are by a time is the product of a polynomial for each token; blocks of
    tokens have theirs multiplied in pairs. A beginning within a block loses at most what lies
    between the drafts up to its end and the target up to its start: only blocks where that is more
    than what is known are looked into.

    Examples
    --------
    >>> q = np.array([0.5, 0.25, 0.25])
    >>> print(round(most_lost(np.array([0.1, 0.2, 1.0]), q, 1), 12))
    0.55
    """
    k = min(k, int(np.count_nonzero(q)))
    rest = np.maximum(q[::-1].cumsum()[::-1] - q, 0.0)
    rest[q.cumsum() >= 1.0 - 1e-15] = 0.0
    count = int(np.argmin(rest > 0))  # the last token leaves nothing out
    # Of what leaves nothing out the first that has enough tokens counts.
    whole = np.flatnonzero(np.count_nonzero(q[:count]) + (q[count:] > 0).cumsum() >= k)
    best = float(1.0 - target_heads[count + whole[0]])
    if not count:
        return best
    log_t = np.arange(_LEAST, np.log(_DECAY / rest[:count].min()), _STEP)
    race = _Race(q[:count], rest[:count], target_heads[:count], np.exp(log_t))
    start = np.zeros((k, len(log_t)))
    start[0] = 1.0
    return _search(race, 0, count, start, best)


def _search(race: _Race, begin: int, end: int, before: Array, best: float) -> float:
    """Return the largest difference of beginnings that end between two places, or `best`."""
    size = min(_BLOCK, max((end - begin) // _PARTS, 1))
    blocks = []
    counts = before
    for first in range(begin, end, size):
        last = min(first + size, end)
        after = _product(counts, _arrivals(race, first, last, counts.shape))
        after = after[:, : np.count_nonzero(after.sum(0) > _NEVER)]  # it falls with time
        every = _all_in(race, last - 1, after)
        best = max(best, every - race.heads[last - 1])
        blocks.append((every, first, last, counts))
        counts = after
    for every, first, last, counts in blocks:
        if last - first > 1 and every - race.heads[first] > best:
            best = _search(race, first, last - 1, counts, best)
    return float(best)


def _arrivals(race: _Race, first: int, last: int, shape: tuple[int, ...]) -> Array:
    """Return how likely 0, 1, ..., k - 1 of some tokens have arrived at each of the first times."""
    k, times = shape
    waits = np.exp(-race.rates[first:last, None] * race.times[:times])
    parts = np.zeros((len(waits), *shape))
    parts[:, 0] = waits
    if k > 1:
        parts[:, 1] = 1.0 - waits
    while len(parts) > 1:
        odd = parts[-1:] if len(parts) % 2 else parts[:0]
        pairs = _product(parts[0 : len(parts) - 1 : 2], parts[1::2])
        parts = np.concatenate([pairs, odd])
    product: Array = parts[0]
    return product


def _product(one: Array, other: Array) -> Array:
    """Multiply polynomials in the last axis but one, without the powers from `k` on."""
    k = one.shape[-2]
    out = one[..., :1, :] * other
    for power in range(1, k):
        out[..., power:, :] += one[..., power : power + 1, :] * other[..., : k - power, :]
    product: Array = out
    return product


def _all_in(race: _Race, at: int, counts: Array) -> float:
    """Return how likely all drafts are in the beginning that ends with a token."""
    others = race.rest[at] * race.times
    density = others * np.exp(-others)
    return float(_STEP * (density.sum() - density[: counts.shape[1]] @ counts.sum(0)))
