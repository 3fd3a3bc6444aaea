"""The one randomness argument of the package: whatever users call a seed, as a 64-bit key."""

from __future__ import annotations

import functools
import operator
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sortes import _core

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Rng: TypeAlias = (
        int
        | Sequence[int]
        | np.random.SeedSequence
        | np.random.Generator
        | np.random.RandomState
        | torch.Generator
        | _core.Stream
        | None
    )

_ACCEPTED = (
    "None, an int, a sequence of ints, a SeedSequence, a NumPy Generator or RandomState, "
    "a torch.Generator or a sortes.Stream"
)


def as_key(rng: Rng = None) -> int:
    """Turn a seed or generator into the 64-bit key of a stream.

    Parameters
    ----------
    rng
        ``None`` draws fresh entropy. An int, a sequence of ints and a ``SeedSequence`` are hashed
        and give the same key each time. A ``numpy.random.Generator``, a ``RandomState`` and a
        ``torch.Generator`` are advanced, so that two calls differ and a rerun agrees. A
        ``sortes.Stream`` is its own key.

    Returns
    -------
    int
        A key in [0, 2**64).

    Raises
    ------
    ValueError
        If a seed is negative.
    TypeError
        If `rng` is of another type.

    Examples
    --------
    >>> as_key(0) == as_key(np.random.SeedSequence(0))
    True
    >>> as_key(_core.Stream(7))
    7
    """
    if isinstance(rng, _core.Stream):
        return rng.key
    if type(rng) is int:
        return _hash(rng)
    if rng is None:
        return secrets.randbits(64)
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, np.random.RandomState):
        high, low = (int(word) for word in rng.randint(0, 2**32, 2, dtype=np.uint32))
        return high << 32 | low
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rng, torch.Generator):
        bits = torch.randint(-(2**63), 2**63 - 1, (1,), generator=rng, device=rng.device)
        return int(bits.item()) % 2**64
    if not isinstance(rng, np.random.SeedSequence):
        rng = np.random.SeedSequence(_entropy(rng))
    return int(rng.generate_state(1, np.uint64)[0])


@functools.lru_cache(1024)
def _hash(seed: int) -> int:
    """Hash a seed, which takes NumPy longer than drawing a token takes us."""
    return int(np.random.SeedSequence(_entropy(seed)).generate_state(1, np.uint64)[0])


def as_keys(rng: Rng | list[_core.Stream], n: int) -> NDArray[np.uint64]:
    """Turn `rng` into one key for each of `n` rows.

    Parameters
    ----------
    rng
        As in `as_key`, for one key that all rows share; or `n` streams, one for each row.
    n
        The number of rows.

    Returns
    -------
    ndarray of uint64, shape (n,)
        The keys.

    Raises
    ------
    ValueError
        If there are streams, but not `n` of them.
    TypeError
        If streams are mixed with something else.

    Examples
    --------
    >>> as_keys([_core.Stream(3), _core.Stream(5)], 2)
    array([3, 5], dtype=uint64)
    """
    streams = _streams(rng)
    if streams is None:
        return np.full(n, as_key(rng), np.uint64)  # type: ignore[arg-type]
    if len(streams) != n:
        raise ValueError(f"rng: must hold one stream for each of {n} rows, got {len(streams)}")
    return np.array([stream.key for stream in streams], np.uint64)


def at_step(rng: Rng | list[_core.Stream], step: int = 0) -> int:
    """Add the step of a stream to the step that a call asks for.

    ``stream.advance(k)`` at step 0 and ``stream`` at step k are the same draw.

    Parameters
    ----------
    rng
        As in `as_keys`.
    step
        The step of the call.

    Returns
    -------
    int
        The step to draw at, in [0, 2**32).

    Raises
    ------
    ValueError
        If the sum is out of range, or `rng` holds streams at different steps.

    Examples
    --------
    >>> at_step(_core.Stream(7).advance(2), 3)
    5
    """
    step = operator.index(step)
    own = 0
    if isinstance(rng, _core.Stream):
        own = rng.step
    elif isinstance(rng, list | tuple) and (streams := _streams(rng)):
        steps = {stream.step for stream in streams}
        if len(steps) > 1:
            raise ValueError(f"rng: streams must be at one step, got {sorted(steps)}")
        own = steps.pop()
    if step < 0 or own + step >= 2**32:
        raise ValueError(f"step: must be in [0, {2**32 - own}), got {step}")
    return own + step


def _streams(rng: object) -> Sequence[_core.Stream] | None:
    """Return `rng` if it is a list or tuple of streams; a mixture is a ``TypeError``."""
    if not isinstance(rng, list | tuple):
        return None
    streams = [isinstance(item, _core.Stream) for item in rng]
    if any(streams) and not all(streams):
        raise TypeError(f"rng: item {streams.index(False)} is not a sortes.Stream, but others are")
    return rng if any(streams) else None


def _entropy(rng: Any) -> int | list[int]:
    """Return what a ``SeedSequence`` is to be made of."""
    several = isinstance(rng, list | tuple | range | np.ndarray)
    try:
        seeds = [operator.index(seed) for seed in (rng if several else (rng,))]
    except TypeError:
        raise TypeError(f"rng: must be {_ACCEPTED}, got {type(rng).__name__}") from None
    for seed in seeds:
        if seed < 0:
            raise ValueError(f"rng: must be non-negative, got {seed}")
    return seeds if several else seeds[0]
