"""What several chains say about how well they mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import one_of
from sortes._progress import Progress, job_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: What an effective sample size is that of.
Method: TypeAlias = Literal["bulk", "tail", "mean"]


def ess(
    draws: ArrayLike,
    *,
    method: Method = "bulk",
    num_threads: int | None = None,
    progress: Progress = None,
) -> float | NDArray[np.float64]:
    r"""Estimate how many independent draws the draws of some chains are worth.

    Parameters
    ----------
    draws : array_like, shape (chains, n) or (chains, n, ...)
        The draws of each chain, in order, of one number or of several.
    method : {"bulk", "tail", "mean"}
        What is to be known: the middle of the law, by normal scores of the draws; its tails, by the
        worse of the 5 % and the 95 % quantile; or the mean.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64
        The effective sample size of each number. NaN for chains of fewer than four draws.

    Raises
    ------
    ValueError
        If a draw is not finite, or there are fewer than two dimensions.
    TypeError
        If the draws are no numbers.

    See Also
    --------
    rhat : Whether chains agree.

    Notes
    -----
    $S / (1 + 2 \sum_t \rho_t)$ for $S$ draws, with the autocorrelations $\rho_t$ of all chains
    together, each chain split in two, cut off where Geyer's initial monotone sequence ends. The
    definition, with its limits, is that of ArviZ; so is the result, up to rounding. Chains that do
    not move count in full, as there. $O(S \log S)$ for a number.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and localization:
    an improved R-hat for assessing convergence of MCMC", Bayesian Analysis 16, 2021,
    arXiv:1903.08008.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import ess
    >>> chains = np.random.default_rng(0).normal(size=(4, 1000))
    >>> bool(3500 < ess(chains) < 4500)
    True
    >>> round(ess(chains.repeat(10, axis=1)) / 1000)
    4
    """
    one_of(method, "method", get_args(Method))
    matrix, chains, shape = _draws_of(draws)
    with job_of(num_threads, progress, "numbers") as job:
        return _shaped(_core.mcmc.diagnostics.ess(matrix, chains, method, job), shape)


def rhat(
    draws: ArrayLike, *, num_threads: int | None = None, progress: Progress = None
) -> float | NDArray[np.float64]:
    r"""Compare the spread between chains with that within them: near 1 if they agree.

    Parameters
    ----------
    draws : array_like, shape (chains, n) or (chains, n, ...)
        The draws of each chain, in order, of one number or of several.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64
        R-hat of each number. NaN for one chain, for chains of fewer than four draws, and for chains
        that do not move.

    Raises
    ------
    ValueError
        If a draw is not finite, or there are fewer than two dimensions.
    TypeError
        If the draws are no numbers.

    Notes
    -----
    The larger of two R-hat: that of the normal scores of the draws, and that of the normal scores
    of their distances from the median, each chain split in two. The definition is that of ArviZ.
    Values above 1.01 say that the chains are too short.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner, "Rank-normalization, folding, and localization:
    an improved R-hat for assessing convergence of MCMC", Bayesian Analysis 16, 2021,
    arXiv:1903.08008.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import rhat
    >>> chains = np.random.default_rng(0).normal(size=(4, 1000))
    >>> round(rhat(chains), 2)
    1.0
    >>> bool(rhat(chains + [[0], [0], [0], [2]]) > 1.3)  # one is elsewhere
    True
    """
    matrix, chains, shape = _draws_of(draws)
    with job_of(num_threads, progress, "numbers") as job:
        return _shaped(_core.mcmc.diagnostics.rhat(matrix, chains, job), shape)


def _draws_of(draws: ArrayLike) -> tuple[NDArray[np.float64], int, tuple[int, ...]]:
    """Return a row for each draw, the number of chains, and the shape of a draw."""
    array = host(draws, "draws")
    if array.ndim < 2:
        raise ValueError(
            f"draws: must have shape (chains, n) or (chains, n, ...), got {array.shape}"
        )
    chains, n, *shape = array.shape
    if not chains:
        raise ValueError("draws: must hold at least one chain, got 0")
    rows = array.reshape(chains * n, int(np.prod(shape)))
    return np.require(rows, np.float64, ("C", "A")), chains, tuple(shape)


def _shaped(values: NDArray[np.float64], shape: tuple[int, ...]) -> float | NDArray[np.float64]:
    return values.reshape(shape) if shape else float(values[0])
