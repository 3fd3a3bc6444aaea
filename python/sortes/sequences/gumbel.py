"""Distinct items by perturbed log weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import numpy as np

from sortes import _core
from sortes._arrays import host, matrix_of, numbers_of, rows_of
from sortes._check import COUNT, FINITE, Count
from sortes._noise import noise_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream, as_streams

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

#: Arrays of one kind.
Array = TypeVar("Array", bound="NDArray[Any] | torch.Tensor")


class GumbelTopK(NamedTuple, Generic[Array]):
    """Distinct items in the order in which they are drawn; arrays of the same kind as the logits.

    Attributes
    ----------
    indices : int64, shape (k,) or (B, k)
        The items; -1 where there are fewer.
    perturbed : float64, shape (k,) or (B, k)
        Their perturbed log weights, descending; minus infinity where there are fewer.
    kappa : float64, shape () or (B,)
        The largest perturbed log weight of the items that were not drawn, minus infinity if there
        are none: what `threshold_weights` needs.
    num_valid : int64, shape () or (B,)
        How many items there are.
    """

    indices: Array
    perturbed: Array
    kappa: Array
    num_valid: Array


@overload
def gumbel_topk(
    logits: torch.Tensor,
    k: Count,
    *,
    noise: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> GumbelTopK[torch.Tensor]: ...
@overload
def gumbel_topk(
    logits: ArrayLike,
    k: Count,
    *,
    noise: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> GumbelTopK[NDArray[Any]]: ...
def gumbel_topk(
    logits: ArrayLike,
    k: Count,
    *,
    noise: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    r"""Draw `k` items of each row without replacement: the largest perturbed log weights.

    Parameters
    ----------
    logits : array_like or tensor, shape (V,) or (B, V)
        Logarithms of weights, which need not sum to one; float32, float16, bfloat16 or float64, on
        the CPU. Minus infinity is never drawn.
    k : int
        How many, at most `V`.
    noise : array_like, optional
        Standard Gumbel noise of the shape of the logits, to use instead of `rng`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        A matrix draws row `r` from the `r`-th of ``rng.split(B)`` of one stream, or from the `r`-th
        of `B` streams that are given; a vector draws from the stream itself.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts logits.

    Returns
    -------
    GumbelTopK
        Indices, perturbed log weights, `kappa` and how many there are.

    Raises
    ------
    ValueError
        If a logit is NaN or ``+inf``; if `k` is out of range; if both noise and a source of it are
        given.
    TypeError
        If an argument has the wrong type, or the logits are on another device.

    Notes
    -----
    With independent standard Gumbel variables $G_i$ the `k` largest $\ln w_i + G_i$, in descending
    order, are draws without replacement:

    $$P(i_1, \ldots, i_k) = \prod_j \frac{w_{i_j}}{W - \sum_{l < j} w_{i_l}}.$$

    The noise of item `i` is minus the logarithm of the exponential by which `sortes.select.choice`
    and `sortes.select.weighted_keys` draw: for one seed, ``choice(w, k)`` without replacement and
    ``gumbel_topk(log(w), k).indices`` agree. It is exact where the race is decided, and the first
    `j` items do not depend on `k`. One pass over the logits; memory grows with `k` alone.

    References
    ----------
    Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for
    Sampling Sequences Without Replacement", ICML 2019, arXiv:1903.06059.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import gumbel_topk
    >>> drawn = gumbel_topk(np.log([0.4, 0.3, 0.2, 0.1]), 2, rng=0)
    >>> drawn.indices, bool(drawn.kappa < drawn.perturbed.min())
    (array([0, 1]), True)
    """
    view = rows_of(logits)
    k = COUNT.check(k, "k")
    batch, width = view.array.shape
    source: Any
    if noise is not None:
        shape = (width,) if view.one_dim else (batch, width)
        source = noise_of(noise, shape, rng, step).reshape(batch, width)
    elif view.one_dim:
        source = as_stream(rng, step)
    else:
        source = _streams(rng, batch, step)
    with job_of(num_threads, progress, "logits") as job:
        indices, perturbed, kappa, valid = _core.sequences.gumbel.gumbel_topk(
            (view.array, view.bf16), k, source, job
        )
    both = (part.reshape(batch, k) for part in (indices, perturbed))
    return GumbelTopK(*(view.wrap(part) for part in (*both, kappa, valid)))


def conditional_gumbel(
    logprobs: ArrayLike,
    maximum: ArrayLike,
    *,
    noise: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Perturb log weights, given the largest result.

    Parameters
    ----------
    logprobs : array_like, shape (V,) or (B, V)
        Logarithms of weights, which need not sum to one. Minus infinity stays.
    maximum : float or array_like, shape (B,)
        What the largest perturbed log weight of each row is to be; finite.
    noise : array_like, optional
        Standard Gumbel noise of the shape of `logprobs`, to use instead of `rng`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        The noise is that of `gumbel_topk`.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.

    Returns
    -------
    ndarray of float64, shape (V,) or (B, V)
        The perturbed log weights.

    Raises
    ------
    ValueError
        If a log weight is NaN or ``+inf``, or a maximum not finite; if shapes do not fit.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    With $\phi_i + G_i$ and their maximum $Z$ the results are

    $$-\ln\left(e^{-T} - e^{-Z} + e^{-\phi_i - G_i}\right),$$

    which have the law of perturbed log weights whose maximum is $T$, keep the order, and are
    computed without overflow. It is the step of a stochastic beam search from a beam to its
    children.

    References
    ----------
    Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them: The Gumbel-Top-k Trick for
    Sampling Sequences Without Replacement", ICML 2019, arXiv:1903.06059.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.sequences import conditional_gumbel
    >>> float(conditional_gumbel(np.log([0.5, 0.5]), -3.0, rng=0).max())
    -3.0
    """
    array = host(logprobs, "logprobs")
    if array.ndim not in (1, 2):
        raise ValueError(f"logprobs: must have shape (V,) or (B, V), got {array.shape}")
    one_dim = array.ndim == 1
    matrix = matrix_of(array[np.newaxis] if one_dim else array, "logprobs")
    largest = numbers_of(maximum, "maximum", FINITE, rows=None if one_dim else len(matrix))
    if one_dim and largest.ndim:
        raise ValueError(f"maximum: must be a number for one row, got shape {largest.shape}")
    largest = np.ascontiguousarray(np.broadcast_to(largest, len(matrix)))
    source: Any
    if noise is not None:
        source = noise_of(noise, array.shape, rng, step).reshape(matrix.shape)
    else:
        source = as_stream(rng, step) if one_dim else _streams(rng, len(matrix), step)
    with job_of(num_threads, progress, "rows") as job:
        out = _core.sequences.gumbel.conditional_gumbel(matrix, largest, source, job)
    return out.reshape(array.shape)


def log_survival(
    x: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> NDArray[np.float64]:
    r"""Return the log-probability that a standard Gumbel variable exceeds `x`.

    Parameters
    ----------
    x : array_like
        Numbers, in an array of any shape.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    ndarray of float64
        $\ln(1 - e^{-e^{-x}})$, of the shape of `x`; to full precision for large `x` as well.

    Raises
    ------
    ValueError
        If an item is NaN.
    TypeError
        If the items are no numbers.

    Examples
    --------
    >>> from sortes.sequences import log_survival
    >>> log_survival([-1.0, 0.0, 40.0]).round(4)
    array([ -0.0683,  -0.4587, -40.    ])
    """
    array = host(x, "x")
    flat = np.require(array.reshape(-1), np.float64, ("C", "A"))
    with job_of(num_threads, progress, "numbers") as job:
        return _core.sequences.gumbel.log_survival(flat, job).reshape(array.shape)


def _streams(rng: Rng, rows: int, step: int) -> list[_core.Stream]:
    """Return a stream for each row."""
    streams = as_streams(rng, rows, step)
    return streams if isinstance(streams, list) else streams.split(rows)
