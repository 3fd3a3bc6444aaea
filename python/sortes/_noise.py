"""Gumbel noise that the caller brings in the place of randomness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sortes._arrays import host
from sortes._rng import refuse_randomness

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng


def noise_of(noise: ArrayLike, shape: tuple[int, ...], rng: Rng, step: int) -> NDArray[np.float64]:
    """Return noise of a shape, beside which there must be no randomness.

    Parameters
    ----------
    noise
        The noise: numbers, of which the kernel checks that they are finite.
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
        If the items are no numbers, or `rng` is no source of randomness.
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
    refuse_randomness(rng, step, "noise, which replaces the draws")
    return np.require(values, np.float64, ("C", "A"))
