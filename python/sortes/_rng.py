"""The randomness argument of the package: whatever users call a seed, as a stream.

`Rng` is what every function takes as ``rng``.
"""

from __future__ import annotations

import functools
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

# Not as `np.random`, which NumPy imports when it is first read: a child that is forked meanwhile
# would wait for that import for ever.
from numpy import random

from sortes import _check, _core

if TYPE_CHECKING:
    import torch

# The names in quotes are those of modules that need not be loaded.
Rng: TypeAlias = Union[
    int,
    Sequence[int],
    "np.random.SeedSequence",
    "np.random.Generator",
    "np.random.RandomState",
    "torch.Generator",
    _core.Stream,
    Sequence[_core.Stream],
    None,
]
"""Where random numbers come from.

None
    Fresh entropy: every call differs.
int, sequence of ints or ``numpy.random.SeedSequence``
    A seed, hashed as NumPy does: every call of one seed agrees.
``numpy.random.Generator``, ``RandomState`` or ``torch.Generator``
    Advanced by one draw: two calls differ, and a rerun agrees.
`Stream`
    Used as it is. ``stream.advance(k)`` at step 0 and ``stream`` at step `k` are the same draw.
list of `Stream`
    One for each row, each at its own step, in functions that work by rows.
"""

_ACCEPTED = (
    "None, an int, a sequence of ints, a SeedSequence, a NumPy Generator or RandomState, "
    "a torch.Generator or a sortes.Stream"
)


def as_stream(rng: Rng = None, step: int = 0, *, name: str = "rng") -> _core.Stream:
    """Turn `rng` into a stream at a step.

    Parameters
    ----------
    rng
        One source of randomness, see `Rng`.
    step
        The step of the call, to which that of a stream is added.
    name
        What error messages call `rng`.

    Returns
    -------
    Stream
        What the call draws from. A generator has been advanced, unless an argument is refused.

    Raises
    ------
    ValueError
        If a seed is negative, or the step is out of range.
    TypeError
        If `rng` is of another type, or `step` is no integer.

    Examples
    --------
    >>> as_stream(0) == as_stream(np.random.SeedSequence(0))
    True
    >>> as_stream(_core.Stream(7).advance(2), 3)
    Stream(key=0x0000000000000007, step=5)
    """
    if type(step) is not int or not 0 <= step < 2**32:
        step = _check.WORD.check(step, "step")
    if type(rng) is int:
        stream = _seeded(rng, name)
        return _core.Stream(stream.key, step) if step else stream
    if isinstance(rng, _core.Stream):
        return _advanced(rng, step) if step else rng
    if holds_streams(rng, name):
        raise TypeError(f"{name}: must be one stream, got a list of {len(rng)}")  # type: ignore[arg-type]
    return _core.Stream(_key(rng, name), step)


def as_stream_and_step(rng: Any, step: Any) -> tuple[_core.Stream, int] | None:
    """Turn what most calls bring into a stream and the step at which it is; None for the rest.

    Examples
    --------
    >>> as_stream_and_step(_core.Stream(7).advance(2), 3)
    (Stream(key=0x0000000000000007, step=2), 5)
    """
    if type(step) is not int or not 0 <= step < 2**32:
        return None
    if type(rng) is int:
        return _seeded(rng, "rng"), step
    if rng is None:
        return _core.Stream(secrets.randbits(64)), step
    if type(rng) is _core.Stream and rng.step + step < 2**32:
        return rng, rng.step + step
    return None


def as_streams(
    rng: Rng, n: int, step: int = 0, *, name: str = "rng"
) -> _core.Stream | list[_core.Stream]:
    """Turn `rng` into a stream that `n` rows share, or into one for each.

    Parameters
    ----------
    rng
        See `Rng`; or `n` streams, one for each row.
    n
        The number of rows.
    step, name
        As in `as_stream`.

    Returns
    -------
    Stream or list of Stream
        What the rows draw from.

    Raises
    ------
    ValueError
        If there are streams, but not `n` of them; or as `as_stream`.
    TypeError
        If streams are mixed with something else, or as `as_stream`.

    Examples
    --------
    >>> as_streams([_core.Stream(3), _core.Stream(5)], 2, step=1)
    [Stream(key=0x0000000000000003, step=1), Stream(key=0x0000000000000005, step=1)]
    """
    # The two that most calls bring need no look at what a list holds.
    if type(rng) in (int, _core.Stream) or not holds_streams(rng, name):
        return as_stream(rng, step, name=name)
    streams: Sequence[_core.Stream] = rng  # type: ignore[assignment]
    if len(streams) != n:
        raise ValueError(f"{name}: must hold one stream for each of {n} rows, got {len(streams)}")
    step = _check.WORD.check(step, "step")
    return [_advanced(stream, step) for stream in streams] if step else list(streams)


def refuse_randomness(rng: Rng, step: int, because: str) -> None:
    """Raise if there is a source of randomness where nothing is drawn; a generator stays as it is.

    Parameters
    ----------
    rng, step
        As the user gave them.
    because
        With what they must not be given, and why.

    Raises
    ------
    ValueError
        If `rng` is not None or `step` not zero; or as `as_stream`.
    TypeError
        As `as_stream`.

    Examples
    --------
    >>> refuse_randomness(None, 0, "noise, which replaces the draws")
    >>> refuse_randomness(0, 0, "noise, which replaces the draws")
    Traceback (most recent call last):
    ValueError: rng: must not be given with noise, which replaces the draws
    """
    step = _check.WORD.check(step, "step")
    if rng is not None:
        if not (_is_generator(rng) or holds_streams(rng, "rng")):
            as_stream(rng)  # which says what is wrong with it
        raise ValueError(f"rng: must not be given with {because}")
    if step:
        raise ValueError(f"step: must not be given with {because}")


def _is_generator(rng: object) -> bool:
    """Whether a draw advances it."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rng, torch.Generator):
        return True
    return isinstance(rng, random.Generator | random.RandomState)


def _advanced(stream: _core.Stream, step: int) -> _core.Stream:
    if stream.step + step >= 2**32:
        raise ValueError(f"step: must be in [0, {2**32 - stream.step}), got {step}")
    return stream.advance(step)


def holds_streams(rng: object, name: str) -> bool:
    """Whether `rng` is a list or tuple of streams; a mixture is a ``TypeError``."""
    if not isinstance(rng, list | tuple):
        return False
    streams = [isinstance(item, _core.Stream) for item in rng]
    if any(streams) and not all(streams):
        at = streams.index(False)
        raise TypeError(f"{name}: item {at} is not a sortes.Stream, but others are")
    return any(streams)


def _key(rng: Any, name: str) -> int:
    """Return the key that `rng` stands for, which is not an int or a stream."""
    if rng is None:
        return secrets.randbits(64)
    if isinstance(rng, random.Generator):
        return int(rng.integers(0, 2**64, dtype=np.uint64))
    if isinstance(rng, random.RandomState):
        high, low = (int(word) for word in rng.randint(0, 2**32, 2, dtype=np.uint32))
        return high << 32 | low
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(rng, torch.Generator):
        bits = torch.randint(-(2**63), 2**63 - 1, (1,), generator=rng, device=rng.device)
        return int(bits.item()) % 2**64
    if not isinstance(rng, random.SeedSequence):
        rng = random.SeedSequence(_entropy(rng, name))
    return int(rng.generate_state(1, np.uint64)[0])


@functools.lru_cache(1024)
def _seeded(seed: int, name: str) -> _core.Stream:
    """Hash a seed, which takes NumPy longer than drawing a token takes us."""
    return _core.Stream(_key(random.SeedSequence(_entropy(seed, name)), name))


def _entropy(rng: Any, name: str) -> int | list[int]:
    """Return what a ``SeedSequence`` is to be made of."""
    several = isinstance(rng, list | tuple | range) or (isinstance(rng, np.ndarray) and rng.ndim)
    try:
        seeds = [_check.integer(seed, name) for seed in (rng if several else (rng,))]
    except TypeError:
        raise TypeError(f"{name}: must be {_ACCEPTED}, got {_check.shown(rng)}") from None
    for seed in seeds:
        if seed < 0:
            raise ValueError(f"{name}: must be non-negative, got {_check.shown(seed)}")
    return seeds if several else seeds[0]
