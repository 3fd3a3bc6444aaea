"""Masks of features whose sizes are evenly spread, for local explanations such as LIME's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sortes import _core
from sortes._check import COUNT, Count
from sortes._progress import Progress, job_of
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
    n_features: Count,
    num_samples: Count,
    *,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Masks:
    r"""Draw masks of features whose sizes are spread evenly from none to all.

    Parameters
    ----------
    n_features : int
        How many features (superpixels, words) there are.
    num_samples : int
        How many masks. The first has every feature on and the weight 1: it is the instance that is
        explained.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

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
    With features on or off at one half each, as in LIME, the number that is on hardly leaves $n/2$:
    nearly empty and nearly full images are never seen. Here the size $s$ of a row is uniform on
    $0, \dots, n$, and the features of a row are a uniform subset of that size. The weight
    $(n + 1) \binom{n}{s} 2^{-n}$ makes weighted means those of independent features. The sizes of
    all rows together are a systematic sample: each size occurs equally often, give or take one,
    which only takes variance away. (Rashid et al., 2024, draw the sizes independently.) $O(mn)$.

    References
    ----------
    Rashid, Amparore, Ferrari and Verda, "Using stratified sampling to improve LIME image
    explanations", AAAI 2024, arXiv:2403.17742.

    Examples
    --------
    >>> from sortes.select import stratified_masks
    >>> masks, weights = stratified_masks(4, 11, rng=0)
    >>> sorted(masks[1:].sum(1).tolist())
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    """
    n, rows = COUNT.check(n_features, "n_features"), COUNT.check(num_samples, "num_samples")
    with job_of(num_threads, progress, "stratified_masks") as job:
        masks, weights = _core.select.design.masks.stratified_masks(
            n, rows, as_stream(rng, step), job
        )
    return Masks(masks.reshape(rows, n), weights)


def mask_weights(n_features: Count) -> NDArray[np.float64]:
    r"""Compute the weight of a mask of each size.

    Parameters
    ----------
    n_features : int
        How many features there are.

    Returns
    -------
    ndarray of float64, shape (n_features + 1,)
        $(n + 1) \binom{n}{s} 2^{-n}$ for $s = 0, \dots, n$: the law of the size with independent
        features by the uniform one.

    Raises
    ------
    ValueError
        If `n_features` is negative.
    TypeError
        If `n_features` is not an integer.
    MemoryError
        If the weights do not fit into memory.

    Examples
    --------
    >>> from sortes.select import mask_weights
    >>> mask_weights(4)
    array([0.3125, 1.25  , 1.875 , 1.25  , 0.3125])
    """
    return _core.select.design.masks.mask_weights(COUNT.check(n_features, "n_features"))
