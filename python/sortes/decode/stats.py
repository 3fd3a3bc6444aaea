"""Statistics of rows, and the parameter at which each token leaves a rule's kept set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeAlias, get_args, overload

import numpy as np

from sortes import _core
from sortes._arrays import rows_of
from sortes._check import one_of
from sortes._device import is_on_device
from sortes._progress import Progress, at_once, job_of
from sortes.decode._call import rows_in
from sortes.decode.rules import DDOF, Ddof, Ties
from sortes.decode.sampling import Array

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

Critical: TypeAlias = Literal["top_n_sigma", "top_k", "top_p", "min_p", "epsilon", "eta", "top_a"]


class RowStats(NamedTuple, Generic[Array]):
    """What is known of each row; arrays of shape (B,), or () for one row.

    Attributes
    ----------
    max : float64
        The largest logit.
    argmax : int64
        Its lowest id; -1 without a finite logit.
    lse : float64
        Log of the sum of exponentials, in nats.
    entropy : float64
        Shannon entropy of the softmax, in nats.
    collision : float64
        ``sum(p**2)``.
    n_finite : int64
        Number of finite logits.
    mean, std : float64
        Mean and population standard deviation of the finite logits.
    """

    max: Array
    argmax: Array
    lse: Array
    entropy: Array
    collision: Array
    n_finite: Array
    mean: Array
    std: Array


@overload
def row_stats(
    logits: torch.Tensor, *, num_threads: int | None = None, progress: Progress = None
) -> RowStats[torch.Tensor]: ...
@overload
def row_stats(
    logits: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> RowStats[NDArray[Any]]: ...
def row_stats(
    logits: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> Any:
    """Compute the statistics on which truncation rules decide.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.

    Returns
    -------
    RowStats
        One array for each statistic.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``.
    MemoryError
        If there is no memory for the result.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import row_stats
    >>> stats = row_stats(np.zeros(4))
    >>> float(stats.entropy.round(6)), int(stats.n_finite)
    (1.386294, 4)
    """
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return RowStats(*_torch.row_stats(logits))
    view = rows_of(logits)
    with job_of(num_threads, progress) as job:
        found = _core.decode.sampling.row_stats((view.array, view.bf16), job)
    return RowStats(*(view.wrap(part) for part in found))


@overload
def critical(
    logits: torch.Tensor,
    *,
    rule: Critical,
    sigma_ddof: Ddof = 0,
    ties: Ties = "high",
    num_threads: int | None = None,
    progress: Progress = None,
) -> torch.Tensor: ...
@overload
def critical(
    logits: ArrayLike,
    *,
    rule: Critical,
    sigma_ddof: Ddof = 0,
    ties: Ties = "high",
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]: ...
def critical(
    logits: ArrayLike,
    *,
    rule: Critical,
    sigma_ddof: Ddof = 0,
    ties: Ties = "high",
    num_threads: int | None = None,
    progress: Progress = None,
) -> Any:
    """Compute the parameter at which each token leaves the kept set of a rule.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    rule : {"top_n_sigma", "top_k", "top_p", "min_p", "epsilon", "eta", "top_a"}
        For "epsilon", "eta", "min_p" and "top_a" a token is kept iff the parameter is at most its
        value; for "top_p" iff it is greater; for "top_k" and "top_n_sigma" iff it is at least its
        value. The most likely token always stays.
    sigma_ddof, ties
        As in `Rules`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.

    Returns
    -------
    values : float64, shape of `logits`
        The critical parameters.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or the rule has no critical parameter.

    Notes
    -----
    Quantiles of these values over human text calibrate rules to one rejection rate, the protocol
    of Finlayson et al. 2024. For eta the value is ``max(p, (p * exp(H))**2)``.

    References
    ----------
    Finlayson, Hewitt, Koller, Swayamdipta and Sabharwal, "Closing the Curious Case of Neural Text
    Degeneration", ICLR 2024, arXiv:2310.01693.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import critical
    >>> critical(np.log([0.5, 0.3, 0.2]), rule="top_p").round(3)
    array([0. , 0.5, 0.8])
    """
    one_of(rule, "rule", get_args(Critical))
    one_of(ties, "ties", get_args(Ties))
    sigma_ddof = DDOF.check(sigma_ddof, "sigma_ddof")
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return _torch.critical(logits, rule, sigma_ddof, ties)
    view = rows_of(logits)
    out = np.empty(view.array.shape)
    with job_of(num_threads, progress) as job:
        _core.decode.sampling.critical((view.array, view.bf16), rule, sigma_ddof, ties, out, job)
    return view.wrap(out)
