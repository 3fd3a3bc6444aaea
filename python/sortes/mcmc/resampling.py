"""Particles and their weights: which go on, how many they are worth, how far to temper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._arrays import host
from sortes._check import AT_LEAST_1, UNIT, AtLeastOne, Domain, Unit, flag, one_of
from sortes._device import to_host
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.mcmc._tensors import first_tensor, like

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

#: How ancestors are drawn.
Scheme: TypeAlias = Literal["multinomial", "stratified", "systematic", "residual", "ssp"]
SHARE: Final = Domain("(0, 1]")


def resample(
    weights: ArrayLike,
    n: AtLeastOne | None = None,
    *,
    log: bool = False,
    method: Scheme = "systematic",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.int64] | torch.Tensor:
    r"""Draw the ancestors of the next particles in proportion to weights.

    Parameters
    ----------
    weights : array_like, shape (m,) or (rows, m)
        The weights of the particles, in [0, inf), or with `log` their logarithms, in [-inf, inf);
        they need not sum to one. Rows are independent systems.
    n : int, optional
        How many ancestors, at least 1; without it, as many as there are particles.
    log : bool, default False
        Whether `weights` holds logarithms.
    method : {"multinomial", "stratified", "systematic", "residual", "ssp"}, default "systematic"
        Independent draws; one in each of `n` strata; the same place in each stratum; whole copies
        first and the rest independently; whole copies first and the fractions in pairs.
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
    ndarray of int64, or tensor, shape (n,) or (rows, n)
        The index of the ancestor of each new particle, in ascending order within a row.

    Raises
    ------
    ValueError
        If a weight is negative, infinite or NaN; if all of a row are zero, or there are none.
    TypeError
        If the weights are no numbers.
    MemoryError
        If there is no memory for the ancestors.

    See Also
    --------
    weights_ess : Whether it is time to resample.

    Notes
    -----
    With every method the expected number of copies of particle $i$ is $n w_i / \sum_j w_j$, and a
    particle of weight zero has none. With ``"systematic"`` and ``"ssp"`` the number is that,
    rounded down or up; equal weights keep every particle, with ``"stratified"`` and ``"residual"``
    as well, however many there are: strata are formed in double precision and each holds its own
    integer.
    ``"ssp"`` (Srinivasan's process) is consistent for any order of the particles; for
    ``"systematic"`` that is not known. Where whole copies are set apart, an expected number within
    1e-9 of an integer counts as that integer. The time is $O(m + n)$.

    References
    ----------
    Gerber, Chopin and Whiteley, "Negative association, ordering and convergence of resampling
    methods", Annals of Statistics 47, 2019, arXiv:1707.01845.

    Examples
    --------
    >>> from sortes.mcmc import resample
    >>> resample([0.5, 0.0, 0.25, 0.25], rng=0)
    array([0, 0, 2, 3])
    >>> resample([[0.0, -1000.0], [-1000.0, 0.0]], log=True, method="ssp", rng=0)
    array([[0, 0],
           [1, 1]])
    """
    given = first_tensor(weights)
    matrix, one_dim = _rows(weights, "weights")
    log = flag(log, "log")
    one_of(method, "method", get_args(Scheme))
    count = matrix.shape[1] if n is None else AT_LEAST_1.check(n, "n")
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "particles") as job:
        flat = _core.mcmc.resampling.resample(matrix, count, log, method, stream, job)
    ancestors = flat.reshape(count) if one_dim else flat.reshape(len(matrix), count)
    return like(ancestors, given)  # type: ignore[no-any-return]


def weights_ess(
    weights: ArrayLike, *, log: bool = False
) -> float | NDArray[np.float64] | torch.Tensor:
    r"""Say how many equal particles weighted ones are worth.

    Parameters
    ----------
    weights : array_like, shape (m,) or (rows, m)
        The weights, in [0, inf), or with `log` their logarithms, in [-inf, inf).
    log : bool, default False
        Whether `weights` holds logarithms.

    Returns
    -------
    float, or ndarray of float64 or tensor, shape (rows,)
        $(\sum w)^2 / \sum w^2$, from 1 to `m`.

    Raises
    ------
    ValueError
        If a weight is negative, infinite or NaN; if all of a row are zero, or there are none.
    TypeError
        If the weights are no numbers.

    See Also
    --------
    ess : What the draws of chains are worth.

    Examples
    --------
    >>> from sortes.mcmc import weights_ess
    >>> weights_ess([1, 1, 0, 2])
    2.6666666666666665
    >>> weights_ess([[0.0, 0.0], [0.0, -1000.0]], log=True)
    array([2., 1.])
    """
    given = first_tensor(weights)
    matrix, one_dim = _rows(weights, "weights")
    scaled, _ = _scaled(matrix, "weights", log=flag(log, "log"))
    sizes = scaled.sum(1) ** 2 / (scaled**2).sum(1)
    return _each(sizes, one_dim, given)


def log_mean_weight(
    log_weights: ArrayLike,
) -> float | NDArray[np.float64] | torch.Tensor:
    r"""Return the logarithm of the mean weight: the step of a log evidence.

    Parameters
    ----------
    log_weights : array_like, shape (m,) or (rows, m)
        The logarithms of the weights, in [-inf, inf).

    Returns
    -------
    float, or ndarray of float64 or tensor, shape (rows,)
        $\ln \frac{1}{m} \sum_i e^{l_i}$, without overflow.

    Raises
    ------
    ValueError
        If one is infinite or NaN; if all of a row are -inf, or there are none.
    TypeError
        If they are no numbers.

    Examples
    --------
    >>> from sortes.mcmc import log_mean_weight
    >>> log_mean_weight([-1000.0, -1000.0])
    -1000.0
    """
    given = first_tensor(log_weights)
    matrix, one_dim = _rows(log_weights, "log_weights")
    scaled, top = _scaled(matrix, "log_weights", log=True)
    return _each(top + np.log(scaled.mean(1)), one_dim, given)


def next_temperature(
    log_likelihood: ArrayLike,
    current: Unit = 0.0,
    *,
    target_ess: Annotated[float, SHARE] = 0.5,
) -> float:
    r"""Find how far equal particles can be tempered on.

    Parameters
    ----------
    log_likelihood : array_like, shape (m,)
        The log likelihood of each particle, in [-inf, inf).
    current : float, default 0.0
        The inverse temperature that they have, in [0, 1).
    target_ess : float, default 0.5
        The effective sample size to keep, as a share of the particles, in (0, 1].

    Returns
    -------
    float
        The largest inverse temperature up to 1 at which weights $e^{(\beta - \beta_0) l_i}$ keep
        that size, to 1e-12.

    Raises
    ------
    ValueError
        If a log likelihood is infinite or NaN; if so many are -inf that no step keeps the size; if
        a number is out of its domain.
    TypeError
        If one of them is no number.

    Notes
    -----
    The size falls with the step, since the logarithm of a sum of exponentials is convex, so that
    halving finds where it crosses.

    Examples
    --------
    >>> from sortes.mcmc import next_temperature
    >>> next_temperature([0.0, 0.1, 0.2])
    1.0
    >>> round(next_temperature([0.0, -100.0, -200.0, -300.0]), 4)
    0.0106
    """
    array, one_dim = _rows(log_likelihood, "log_likelihood")
    if not one_dim:
        raise ValueError(f"log_likelihood: must have shape (m,), got {array.shape}")
    _, top = _scaled(array, "log_likelihood", log=True)
    start: float = UNIT.check(current, "current")
    least = SHARE.check(target_ess, "target_ess") * array.size
    possible = np.count_nonzero(array > -np.inf)
    if possible < least:
        got = f"{possible} of {array.size} items are finite"
        raise ValueError(f"log_likelihood: {got}, fewer than target_ess asks")
    shifted = array[0] - top[0]

    def keeps(step: float) -> bool:
        with np.errstate(invalid="ignore"):
            weights = np.exp(np.where(shifted == -np.inf, -np.inf, step * shifted))
        # Of equal weights the size may come out some roundings short.
        return bool(weights.sum() ** 2 / (weights**2).sum() >= least * (1 - 1e-14))

    low, high = 0.0, 1.0 - start
    if keeps(high):
        return 1.0
    while high - low > 1e-13:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return start + low


def _rows(x: Any, name: str) -> tuple[NDArray[np.float64], bool]:
    """View the caller's numbers as rows; and whether there was only one."""
    array = host(to_host(x), name)
    if array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ValueError(f"{name}: must have shape (m,) or (rows, m), m >= 1, got {array.shape}")
    matrix = array[np.newaxis] if array.ndim == 1 else array
    return np.require(matrix, np.float64, ("C", "A")), array.ndim == 1


def _scaled(
    matrix: NDArray[np.float64], name: str, *, log: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Check rows of weights, and divide each by its largest; and the largest."""
    domain = Domain("[-inf, inf)" if log else "[0, inf)")
    fine = np.asarray(domain.holds(matrix))
    if not fine.all():
        row, item = (int(i) for i in np.unravel_index(np.argmin(fine), fine.shape))
        got = matrix[row, item]
        raise ValueError(f"{name}: row {row}: item {item} must be in {domain}, got {got}")
    top = matrix.max(1)
    empty = top == (-np.inf if log else 0.0)
    if empty.any():
        what = "-inf" if log else "zero"
        row = int(np.argmax(empty))
        raise ValueError(f"{name}: row {row}: all {matrix.shape[1]} items are {what}")
    scaled = np.exp(matrix - top[:, None]) if log else matrix / top[:, None]
    return scaled, top


def _each(
    values: NDArray[np.float64], one_dim: bool, given: torch.Tensor | None
) -> float | NDArray[np.float64] | torch.Tensor:
    """Return a number for each row, or one."""
    if given is None:
        return float(values[0]) if one_dim else values
    return like(values[0:1].reshape(()) if one_dim else values, given)  # type: ignore[no-any-return]
