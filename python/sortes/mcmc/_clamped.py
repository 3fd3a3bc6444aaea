"""Spins that stay: what they leave to the others is a model of these alone, in fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sortes._check import integer, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FreePart(NamedTuple):
    """A model of the sites that are free, and what is added to its energy."""

    sites: NDArray[np.int64]
    edges: NDArray[np.int64]
    couplings: NDArray[np.float64]
    #: Of shape (n,), of spins, or (n, q), of states.
    fields: NDArray[np.float64]
    energy: float


def clamped_of(
    clamped: Any, num_sites: int, q: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sites that stay, in order, and their states."""
    if not isinstance(clamped, Mapping):
        raise TypeError(f"clamped: must be a mapping of sites to states, got {shown(clamped)}")
    found = {}
    for site, state in clamped.items():
        i = integer(site, "clamped")
        if not 0 <= i < num_sites:
            raise ValueError(f"clamped: must hold sites in [0, {num_sites}), got {shown(site)}")
        value = integer(state, "clamped")
        if value not in (-1, 1) if q is None else not 0 <= value < q:
            wanted = "-1 or 1" if q is None else f"in [0, {q})"
            raise ValueError(f"clamped: site {i} must be {wanted}, got {shown(state)}")
        found[i] = value
    if len(found) == num_sites:
        raise ValueError(f"clamped: must leave a site free, got all {num_sites}")
    sites = np.array(sorted(found), np.int64)
    return sites, np.array([found[i] for i in sites.tolist()], np.int64)


def free_part(
    edges: NDArray[np.int64],
    couplings: NDArray[np.float64],
    h: NDArray[np.float64],
    sites: NDArray[np.int64],
    states: NDArray[np.int64],
) -> FreePart:
    """Return what the sites that stay leave to the others.

    A coupling of a free site with one that stays is a field of the free one.
    """
    n, is_ising = len(h), h.ndim == 1
    stays = np.zeros(n, bool)
    stays[sites] = True
    state = np.zeros(n, np.int64)
    state[sites] = states
    fields = np.array(h)
    for one, other in ((0, 1), (1, 0)):
        cross = ~stays[edges[:, one]] & stays[edges[:, other]]
        ends, theirs = edges[cross, one], state[edges[cross, other]]
        if is_ising:
            np.add.at(fields, ends, couplings[cross] * theirs)
        else:
            np.add.at(fields, (ends, theirs), couplings[cross])
    inside = stays[edges].all(axis=1)
    first, second = state[edges[inside]].T
    if is_ising:
        energy = -(couplings[inside] * first * second).sum() - (h[sites] * states).sum()
    else:
        energy = -(couplings[inside] * (first == second)).sum() - h[sites, states].sum()
    free = np.flatnonzero(~stays)
    both = ~stays[edges].any(axis=1)
    number = np.cumsum(~stays) - 1
    return FreePart(free, number[edges[both]], couplings[both], fields[free], float(energy))


def joined(
    states: NDArray[Any],
    free: NDArray[np.int64],
    sites: NDArray[np.int64],
    stay: NDArray[np.int64],
) -> NDArray[Any]:
    """Return states of all sites, of those that are free and those that stay."""
    out = np.empty((*states.shape[:-1], len(free) + len(sites)), states.dtype)
    out[..., free], out[..., sites] = states, stay
    return out
