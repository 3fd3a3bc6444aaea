"""Statistics of rows, and the parameter at which each token leaves a rule's kept set."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from sortes import _core
from sortes._arrays import rows_of
from sortes._check import one_of
from sortes._device import is_on_device
from sortes.decode.rules import DDOF, Ddof, Ties

Critical: TypeAlias = Literal["epsilon", "eta", "min_p", "top_a", "top_p", "top_k", "top_n_sigma"]


class RowStats(NamedTuple):
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

    max: Any
    argmax: Any
    lse: Any
    entropy: Any
    collision: Any
    n_finite: Any
    mean: Any
    std: Any


def row_stats(logits: Any, *, num_threads: int | None = None) -> RowStats:
    """Compute the statistics on which truncation rules decide.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    num_threads : int, optional
        How many threads to use at most.

    Returns
    -------
    RowStats
        One array for each statistic.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``.

    Examples
    --------
    >>> import numpy as np
    >>> stats = row_stats(np.zeros(4))
    >>> float(stats.entropy.round(6)), int(stats.n_finite)
    (1.386294, 4)
    """
    if is_on_device(logits):
        from sortes.decode import _torch

        return RowStats(*_torch.row_stats(logits))
    view = rows_of(logits)
    found = _core.decode.sampling.row_stats(view.array, bf16=view.bf16, num_threads=num_threads)
    return RowStats(*(view.wrap(part) for part in found))


def critical(
    logits: Any,
    rule: Critical,
    *,
    sigma_ddof: Ddof = 0,
    ties: Ties = "high",
    num_threads: int | None = None,
) -> Any:
    """Compute the parameter at which each token leaves the kept set of a rule.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    rule : str
        For "epsilon", "eta", "min_p" and "top_a" a token is kept iff the parameter is at most its
        value; for "top_p" iff it is greater; for "top_k" and "top_n_sigma" iff it is at least its
        value. The most likely token always stays.
    sigma_ddof, ties
        As in `Rules`.
    num_threads : int, optional
        How many threads to use at most.

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
    of Finlayson et al. 2023 (arXiv 2310.01693). For eta the value is ``max(p, (p * exp(H))**2)``.

    Examples
    --------
    >>> import numpy as np
    >>> critical(np.log([0.5, 0.3, 0.2]), "top_p").round(3)
    array([0. , 0.5, 0.8])
    """
    one_of(rule, "rule", get_args(Critical))
    one_of(ties, "ties", get_args(Ties))
    sigma_ddof = DDOF.check(sigma_ddof, "sigma_ddof")
    if is_on_device(logits):
        from sortes.decode import _torch

        return _torch.critical(logits, rule, sigma_ddof, ties)
    view = rows_of(logits)
    values = _core.decode.sampling.critical(
        view.array,
        rule,
        bf16=view.bf16,
        sigma_ddof=sigma_ddof,
        ties=ties,
        num_threads=num_threads,
    )
    return view.wrap(values)
