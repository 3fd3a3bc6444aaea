"""Draws from an array of weights, and the keys that they are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args, overload

import numpy as np

from sortes import _core
from sortes._arrays import vector_of
from sortes._check import flag, one_of
from sortes._progress import Progress, job_of
from sortes._rng import as_stream
from sortes.select.weighted._size import Shape, shape_of, shaped, too_many

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

Method = Literal["auto", "alias", "blocks"]
OnShort = Literal["raise", "all"]


@overload
def choice(
    weights: ArrayLike,
    size: None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: Literal["raise"] = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> int: ...
@overload
def choice(
    weights: ArrayLike,
    size: Shape | None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: OnShort = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.int64]: ...
def choice(
    weights: ArrayLike,
    size: Shape | None = None,
    *,
    replace: bool = True,
    method: Method = "auto",
    on_short: OnShort = "raise",
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> int | NDArray[np.int64]:
    r"""Draw indices in proportion to weights.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); they need not sum to one. float32 and float64 are read in place, and added up
        in double precision. An index of weight zero is never drawn.
    size : int or tuple of int, optional
        How many; without it, one, as an int.
    replace : bool, default True
        Draw with replacement. Without, the indices are distinct, in the order in which they were
        drawn.
    method : {"auto", "alias", "blocks"}, default "auto"
        How to draw with replacement: by an alias table, or by sums of blocks. Both have the same
        law; the draws differ. ``"auto"`` makes a table for `n` draws or more.
    on_short : {"raise", "all"}, default "raise"
        What to do without replacement when fewer than `size` weights are positive: raise, or
        return all of these.
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
    ndarray of int64, shape `size`, or int
        The indices.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all are zero and something must be drawn, or if
        there are too few for `size`; if an option is given that does not apply.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    With replacement, $P(i) = w_i / \sum_j w_j$. The first draws of a call do not depend on how
    many follow, given the method. A table costs several passes over the weights and then one memory
    access per draw; block sums cost one pass and then three accesses per draw. By blocks, the
    probability of an index is exact to $2^{-53}$ of the total; an index that is rarer than that
    needs the table.

    Without replacement,

    $$
    P(i_1, \dots, i_k) = \prod_{j=1}^k \frac{w_{i_j}}{W - w_{i_1} - \dots - w_{i_{j-1}}}.
    $$

    The `k` smallest of $E_i / w_i$ with independent exponentials $E_i$ have this law (Efraimidis
    and Spirakis 2006; the Gumbel top-k trick is the same in logarithms). The exponential of index
    `i` depends on `rng`, `step` and `i` alone, so the first `j` of `k` indices are the sample of
    size `j`, and samples for two sets of weights overlap as much as the weights let them. The cost
    is one pass over the weights.

    **The chance that `i` is in the sample is not** $k w_i / W$: large weights come up less often
    than that. For inclusion in proportion to weights use `inclusion_probabilities` and
    `pivotal_sample`.

    References
    ----------
    Walker, "An efficient method for generating discrete random variables with general
    distributions", ACM Transactions on Mathematical Software 3, 1977.

    Hübschle-Schneider and Sanders, "Parallel weighted random sampling", ESA 2019,
    arXiv:1903.00227.

    Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing
    Letters 97, 2006.

    Examples
    --------
    >>> from sortes.select import choice
    >>> choice([0.1, 0.0, 0.9], 6, rng=0)
    array([2, 2, 2, 2, 2, 2])
    >>> choice([5, 1, 1, 1], 3, replace=False, rng=0)
    array([0, 1, 3])
    """
    weights, shape = vector_of(weights), shape_of(size)
    wanted = math.prod(shape)
    one_of(method, "method", get_args(Method))
    one_of(on_short, "on_short", get_args(OnShort))
    if flag(replace, "replace"):
        if on_short != "raise":
            raise ValueError(f"on_short: must be 'raise' with replacement, got {on_short!r}")
    elif method != "auto":
        raise ValueError(f"method: must be 'auto' without replacement, got {method!r}")
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "draws") as job:
        if replace:
            alias = method == "alias" or (method == "auto" and wanted >= weights.size)
            drawn = _core.select.weighted.choice(weights, wanted, alias, stream, job)
        else:
            drawn = _core.select.weighted.successive(weights, wanted, stream, job)
    if drawn.size < wanted:
        if on_short == "raise":
            raise too_many(wanted, drawn.size)
        return drawn
    return shaped(drawn, size, shape)


def weighted_keys(
    weights: ArrayLike,
    *,
    log: bool = False,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> NDArray[np.float64]:
    r"""Return the random key of every item: the smallest keys are a sample without replacement.

    Parameters
    ----------
    weights : array_like, shape (n,)
        In [0, inf); or with `log`, logarithms of weights (logits), in [-inf, inf).
    log : bool, default False
        Take logarithms, and return the logarithms of the keys.
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
    ndarray of float64, shape (n,)
        Keys $E_i / w_i$, infinite for weight zero; with `log`, $\ln E_i - \ln w_i$. (Weights beyond
        1e-300 or 1e285 take quotients out of the range of float64: use `log`.)

    Raises
    ------
    ValueError
        If a weight is negative or not finite.
    TypeError
        If the weights are not numbers.

    Notes
    -----
    In increasing order, the `k` smallest keys are ``choice(weights, k, replace=False)`` with the
    same `rng` and `step`. $E_i$ depends on `rng`, `step` and `i` alone. With `log`, the negative of
    a key is a Gumbel variable with location $\ln w_i$.

    Examples
    --------
    >>> from sortes.select import weighted_keys
    >>> np.argsort(weighted_keys([5, 1, 1, 1], rng=0))[:3]
    array([0, 1, 3])
    """
    weights, log = vector_of(weights), flag(log, "log")
    stream = as_stream(rng, step)
    with job_of(num_threads, progress, "keys") as job:
        return _core.select.weighted.weighted_keys(weights, log, stream, job)
