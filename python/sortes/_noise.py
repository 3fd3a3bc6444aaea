"""Gumbel noise that the caller brings in the place of randomness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sortes._arrays import host
from sortes._check import FINITE, WORD
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


def noise_of(noise: ArrayLike, shape: tuple[int, ...], rng: Rng, step: int) -> NDArray[np.float64]:
    """Return noise of a shape, beside which there must be no randomness.

    Parameters
    ----------
    noise
        The noise: finite numbers.
    shape
        What it must have.
    rng, step
        As the user gave them.

    Returns
    -------
    ndarray of float64
        The noise, C-contiguous.

    Raises
    ------
    TypeError
        If the items are no numbers.
    ValueError
        If the shape is another, or if there is a source of randomness as well.

    Examples
    --------
    >>> noise_of([1, 2], (2,), None, 0)
    array([1., 2.])
    """
    values = host(noise, "noise")
    if values.shape != shape:
        raise ValueError(f"noise: must have shape {shape}, got {values.shape}")
    values = np.require(values, np.float64, ("C", "A"))
    for name, given in (("rng", rng is not None), ("step", WORD.check(step, "step") != 0)):
        if given:
            FINITE.check_items(values, "noise")
            if not (hasattr(rng, "bit_generator") or hasattr(rng, "get_state")):
                as_stream(rng, step)  # which says what is wrong with it
            raise ValueError(f"{name}: must not be given with noise, which replaces the draws")
    return values
