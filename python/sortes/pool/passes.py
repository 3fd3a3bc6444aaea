"""The chance that some, or all, of k samples are right, from counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sortes import _core
from sortes._progress import Progress, job_of
from sortes.pool._shapes import counts_of, shaped

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes.pool._shapes import Values


def pass_at_k(
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Values:
    r"""Estimate the chance that at least one of `k` samples is right.

    Parameters
    ----------
    n : array_like of int
        How many samples of a problem there are, at most 2**53.
    c : array_like of int
        How many of them are right.
    k : array_like of int
        How many are looked at, at most `n`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64
        The estimates, in the shape that `n`, `c` and `k` (numbers, vectors or matrices) broadcast
        to; 0 for ``k = 0``.

    Raises
    ------
    ValueError
        If `c` or `k` exceeds `n`, a count is negative, or the shapes do not broadcast. A row is
        counted through the broadcast arrays.
    TypeError
        If an argument does not hold integers.

    See Also
    --------
    average : The mean over problems, with its standard error.
    max_at_k : The same from scores.
    pass_at_k_distinct : The same from distinct samples.

    Notes
    -----
    $1 - \binom{n-c}{k} / \binom{n}{k}$: the share of the subsets of `k` samples that hold a right
    one. It is the unbiased estimate of $1 - (1 - p)^k$ of least variance, where each sample is
    right with probability $p$ (Chen and others 2021).

    The relative error is at most ``3 min(c, k) + 4`` times 2**-53 up to ``min(c, k) = 128``, and
    4e-14 beyond. A row takes ``min(c, k)`` multiplications, and beyond 128 some ten to hundred
    logarithms; many rows with one `n` and one `k` are looked up.

    References
    ----------
    Chen, Tworek, Jun and others, "Evaluating large language models trained on code", 2021,
    arXiv:2107.03374.

    Examples
    --------
    >>> from sortes.pool import pass_at_k
    >>> pass_at_k(10, 3, 1)
    0.3
    >>> pass_at_k(200, [[0], [1], [50]], [1, 10, 100]).round(3)
    array([[0.   , 0.   , 0.   ],
           [0.005, 0.05 , 0.5  ],
           [0.25 , 0.948, 1.   ]])
    """
    return _rows("any", n, c, k, num_threads, progress)


def pass_hat_k(
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Values:
    r"""Estimate the chance that all of `k` samples are right.

    Parameters
    ----------
    n : array_like of int
        How many samples of a problem there are, at most 2**53.
    c : array_like of int
        How many of them are right.
    k : array_like of int
        How many are looked at, at most `n`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64
        The estimates, in the shape that `n`, `c` and `k` broadcast to; 1 for ``k = 0``.

    Raises
    ------
    ValueError
        If `c` or `k` exceeds `n`, a count is negative, or the shapes do not broadcast.
    TypeError
        If an argument does not hold integers.

    Notes
    -----
    $\binom{c}{k} / \binom{n}{k}$, the unbiased estimate of $p^k$ (Yao and others 2024, where it
    measures how reliable an agent is).

    References
    ----------
    Yao, Shinn, Razavi and Narasimhan, "tau-bench: a benchmark for tool-agent-user interaction in
    real-world domains", 2024, arXiv:2406.12045.

    Examples
    --------
    >>> from sortes.pool import pass_hat_k
    >>> pass_hat_k(8, 6, [1, 2, 4, 8]).round(3)
    array([0.75 , 0.536, 0.214, 0.   ])
    """
    return _rows("all", n, c, k, num_threads, progress)


def pass_at_k_variance(
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    *,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Values:
    r"""Estimate the variance of `pass_at_k` if the `n` samples were drawn again.

    Parameters
    ----------
    n : array_like of int
        How many samples of a problem there are, at most 2**53.
    c : array_like of int
        How many of them are right.
    k : array_like of int
        How many are looked at, at most half of `n`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``.

    Returns
    -------
    float or ndarray of float64
        The variances, in the shape that `n`, `c` and `k` broadcast to: never negative.

    Raises
    ------
    ValueError
        If `c` exceeds `n`, `k` exceeds half of it, a count is negative, or the shapes do not
        broadcast.
    TypeError
        If an argument does not hold integers.

    See Also
    --------
    average : Makes them the standard error of a mean over problems.

    Notes
    -----
    With $u_r = \binom{n-c}{r} / \binom{n}{r}$, which is unbiased for $(1-p)^r$, it is
    $u_k^2 - u_{2k}$: the square of the estimate less an unbiased estimate of the square. So it is
    unbiased itself, and there is no such estimate for ``2 k > n``.

    Examples
    --------
    >>> from sortes.pool import pass_at_k_variance
    >>> round(pass_at_k_variance(10, 5, 1), 6)  # p (1 - p) / (n - 1)
    0.027778
    """
    return _rows("variance", n, c, k, num_threads, progress)


def _rows(
    what: Literal["any", "all", "variance"],
    n: ArrayLike,
    c: ArrayLike,
    k: ArrayLike,
    num_threads: int | None,
    progress: Progress,
) -> Values:
    counts = [counts_of(x, name) for x, name in ((n, "n"), (c, "c"), (k, "k"))]
    shapes = [x.shape for x in counts]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise ValueError(f"k: n, c and k must broadcast, got shapes {listed}") from None
    samples, right, looked = (
        # One number stays one.
        x.reshape(1) if x.size == 1 else np.broadcast_to(x, shape).reshape(-1)
        for x in counts
    )
    with job_of(num_threads, progress, "rows") as job:
        return shaped(_core.pool.passes.rows(what, samples, right, looked, job), shape)
