"""What chains of spins and of units in layers share: plans, beginnings, ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from sortes._check import count, flag

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._core.mcmc.spins import Sampler

#: Where chains begin.
Init: TypeAlias = "Literal['random'] | ArrayLike"

_MOST: Final = 2**32 - 1


def plan_of(
    draws: Any, warmup: Any, thin: Any, keeps: Any, name: str
) -> tuple[int, int, int, bool]:
    """Check how many updates there are to be, and whether states are kept."""
    return (
        count(warmup, "warmup", 0, _MOST),
        count(draws, "draws", 1),
        count(thin, "thin", 1, _MOST),
        flag(keeps, name),
    )


def chains_of(chains: Any) -> int:
    """Return how many chains there are to be."""
    return 4 if chains is None else count(chains, "chains", 1)


def chained(states: NDArray[np.uint8], chains: Any, name: str = "init") -> NDArray[np.uint8]:
    """Return a row of states for each chain."""
    if states.ndim == 1:
        return np.repeat(states[np.newaxis], chains_of(chains), axis=0)
    wanted = None if chains is None else chains_of(chains)
    if states.ndim != 2 or not len(states) or wanted not in (None, len(states)):
        rows = "chains" if wanted is None else wanted
        raise ValueError(
            f"{name}: must have shape ({states.shape[-1]},) or ({rows}, {states.shape[-1]}), got "
            f"{states.shape}"
        )
    return states


def finished(sampler: Sampler, job: Any, take: Any) -> tuple[Any, KeyboardInterrupt | None]:
    """Run chains to their ends, or to a Ctrl-C, and return what they leave."""
    stop = None
    try:
        sampler.run(job)
    except KeyboardInterrupt as caught:
        stop = caught
    return take(), stop
