"""Masks of features whose sizes are evenly spread, for local explanations such as LIME's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sortes import _core
from sortes._check import count
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng


class Masks(NamedTuple):
    """Masks of features and what each counts for.

    Attributes
    ----------
    masks : ndarray of bool, shape (num_samples, n_features)
        Which features are on in each row.
    weights : ndarray of float64, shape (num_samples,)
        The weights of the rows in a regression.
    """

    masks: NDArray[np.bool_]
    weights: NDArray[np.float64]


def stratified_masks(
    n_features: int, num_samples: int, *, rng: Rng = None, num_threads: int | None = None
) -> Masks:
    r"""Draw masks of features whose sizes are spread evenly from none to all.

    Parameters
    ----------
    n_features : int
        How many features (superpixels, words) there are.
    num_samples : int
        How many masks. The first has every feature on and the weight 1: the thing itself.
    rng : Rng
        The source of randomness.
    num_threads : int, optional
        How many threads to use. The result does not depend on it.

    Returns
    -------
    Masks
        The masks and their weights, to be multiplied with those of the explainer's own kernel.

    Raises
    ------
    ValueError
        If a count is negative.
    TypeError
        If a count is not an integer.
    MemoryError
        If the masks do not fit into memory.

    Notes
    -----
    With features on or off at one half each, as in LIME, the number that is on hardly leaves
    :math:`n/2`: nearly empty and nearly full images are never seen. Here the size :math:`s` of a
    row is uniform on :math:`0, \dots, n`, and the features of a row are a uniform subset of that
    size. The weight :math:`(n + 1) \binom{n}{s} 2^{-n}` makes weighted means those of independent
    features. The sizes of all rows together are a systematic sample: each size occurs equally
    often, give or take one, which only takes variance away. :math:`O(mn)`.

    Rashid, Amparore, Ferrari and Verda, "Using stratified sampling to improve LIME image
    explanations", AAAI 2024, arXiv:2403.17742; they draw the sizes independently.

    Examples
    --------
    >>> from sortes.select import stratified_masks
    >>> masks, weights = stratified_masks(4, 11, rng=0)
    >>> sorted(masks[1:].sum(1).tolist())
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    n, rows = count(n_features, "n_features"), count(num_samples, "num_samples")
    stream = as_stream(rng)
    drawn = _core.select.design.stratified_masks(
        n, rows, stream.key, stream.step, num_threads=num_threads
    )
    return Masks(*drawn)


def mask_weights(n_features: int) -> NDArray[np.float64]:
    r"""Compute the weight of a mask of each size.

    Parameters
    ----------
    n_features : int
        How many features there are.

    Returns
    -------
    ndarray of float64, shape (n_features + 1,)
        :math:`(n + 1) \binom{n}{s} 2^{-n}` for :math:`s = 0, \dots, n`: the law of the size with
        independent features by the uniform one.

    Raises
    ------
    ValueError
        If `n_features` is negative.
    TypeError
        If `n_features` is not an integer.

    Examples
    --------
    >>> from sortes.select import mask_weights
    >>> mask_weights(4)
    array([0.3125, 1.25  , 1.875 , 1.25  , 0.3125])
    """
    return _core.select.design.mask_weights(count(n_features, "n_features"))
