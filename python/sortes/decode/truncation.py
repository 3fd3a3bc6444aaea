"""What the rules leave: truncated logits, masks, cuts, and the exact law of the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Unpack, overload

import numpy as np

from sortes import _core
from sortes._check import Domain, flag
from sortes._device import is_on_device
from sortes._progress import Progress, at_once, job_of
from sortes.decode._call import (
    CallArgs,
    LogitBias,
    Request,
    RowArgs,
    prepare,
    rows_in,
    streams_of,
    written,
)
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from sortes._rng import Rng

FILL: Final = Domain("[-inf, inf)")
_NOTHING: Final = -float("inf")


class TruncateArgs(CallArgs, total=False):
    """The keywords of `truncate`."""

    filter_value: float
    scaled: bool
    out: Any


@overload
def truncate(
    logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[TruncateArgs]
) -> torch.Tensor: ...
@overload
def truncate(
    logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[TruncateArgs]
) -> NDArray[Any]: ...
def truncate(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    filter_value: Annotated[float, FILL] = _NOTHING,
    scaled: bool = False,
    rng: Rng = None,
    step: int = 0,
    out: Any = None,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Replace the logits of removed tokens.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments.
    logit_bias, mask, rows
        As in `sample`.
    filter_value : float, default -inf
        What tokens get that the rules remove. Those that are ``-inf`` already, or that `mask` or
        `logit_bias` bans, are ``-inf`` in the result as well.
    scaled : bool, default False
        Divide the kept logits by the temperature, so that the softmax of the result is the law of
        the draw. Quotients are rounded once, from float32 (float64 for float64 logits). In a row
        whose largest quotient would be beyond the range of the dtype, the largest logit is
        subtracted first, which leaves the softmax as it is. A greedy row keeps its logit.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It matters for XTC alone, which acts on a row or not.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Of XTC.
    out : array or tensor, optional
        Where to write the result; it must not overlap an input. The one exception: it may be
        `logits` itself, if that is C-contiguous, as `out` must be.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    logits : same kind, device and dtype as given
        The kept logits, with bias and smoothing where there are; `filter_value` elsewhere. A
        temperature only decides what is kept, unless `scaled`. A row without a finite logit is
        returned as it is.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or an argument is out of its domain. On another device such
        a row becomes NaN.
    TypeError
        If an argument has the wrong type.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import truncate
    >>> truncate(np.array([1.0, 3.0, 2.0], np.float32), top_k=2)
    array([-inf,   3.,   2.], dtype=float32)
    >>> truncate(np.array([1.0, 3.0, 2.0]), top_k=2, temperature=0.5, scaled=True)
    array([-inf,   6.,   4.])
    """
    fill = filter_value
    if fill is not _NOTHING:  # the check takes as long as a third of a short call
        fill = FILL.check(filter_value, "filter_value")
    flag(scaled, "scaled")
    request = (as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return _torch.truncate(logits, Request(*request), fill, scaled, out)
    view, given = prepare(logits, request)
    x = view.array
    array = np.empty(x.shape, x.dtype) if out is None else written(out, view, mask=given.mask)
    native = _core.decode.sampling.truncate
    with job_of(num_threads, progress) as job:
        streams = streams_of(request, len(x))
        native(given, streams, fill, scaled, array, job)
    return view.wrap(array) if out is None else out


@overload
def keep_mask(
    logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> torch.Tensor: ...
@overload
def keep_mask(
    logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> NDArray[np.bool_]: ...
def keep_mask(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Tell which tokens the rules keep.

    Parameters
    ----------
    logits, rules, logit_bias, mask, rows
        As in `truncate`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It matters for XTC alone, which acts on a row or not.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Of XTC.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    keep : bool, shape of `logits`
        Whether each token is kept. Removed tokens (``-inf``) never are.

    Raises
    ------
    ValueError
        As `truncate`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import keep_mask
    >>> keep_mask(np.log([0.5, 0.3, 0.2]), min_p=0.5)
    array([ True,  True, False])
    """
    request = Request(as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return _torch.keep_mask(logits, request)
    kernel = _core.decode.sampling.keep_mask
    return _by_rows(kernel, logits, request, None, np.bool_, num_threads, progress)


@overload
def cutoffs(
    logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> torch.Tensor: ...
@overload
def cutoffs(
    logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[CallArgs]
) -> NDArray[np.float64]: ...
def cutoffs(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Give the lowest and the highest logit that the rules keep.

    Parameters
    ----------
    logits, rules, logit_bias, mask, rows
        As in `truncate`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        It matters for XTC alone, which acts on a row or not.
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws. Of XTC.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    ends : float64, shape (B, 2) or (2,)
        Every rule keeps an interval of logits (ties at its ends may be broken by id). NaN for a row
        without a finite logit.

    Raises
    ------
    ValueError
        As `truncate`.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import cutoffs
    >>> cutoffs(np.array([1.0, 3.0, 2.0]), top_k=2)
    array([2., 3.])
    """
    request = Request(as_rules(rules, rule_args), logit_bias, mask, rows, rng, step)
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return _torch.cutoffs(logits, request)
    kernel = _core.decode.sampling.cutoffs
    return _by_rows(kernel, logits, request, 2, np.float64, num_threads, progress)


@overload
def distribution(
    logits: torch.Tensor, rules: Rules | None = None, **arguments: Unpack[RowArgs]
) -> torch.Tensor: ...
@overload
def distribution(
    logits: ArrayLike, rules: Rules | None = None, **arguments: Unpack[RowArgs]
) -> NDArray[np.float64]: ...
def distribution(
    logits: ArrayLike,
    rules: Rules | None = None,
    *,
    logit_bias: LogitBias | None = None,
    mask: ArrayLike | None = None,
    num_threads: int | None = None,
    progress: Progress = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Compute the exact law from which `sample` draws.

    Parameters
    ----------
    logits, rules, logit_bias, mask
        As in `truncate`.
    num_threads : int, optional
        How many threads to use at most; results never depend on it.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts rows.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    probabilities : float64, shape of `logits`
        They sum to one in each row. They are averaged over whether XTC acts.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or no finite logit.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import distribution
    >>> distribution(np.log([0.5, 0.3, 0.2]), top_k=2).round(3)
    array([0.625, 0.375, 0.   ])
    """
    request = Request(as_rules(rules, rule_args), logit_bias, mask)
    if is_on_device(logits):
        from sortes.decode import _torch

        with at_once(progress, rows_in(logits)):
            return _torch.distribution(logits, request)
    kernel = _core.decode.sampling.distribution
    return _by_rows(kernel, logits, request, None, np.float64, num_threads, progress)


def _by_rows(
    kernel: Callable[..., None],
    logits: Any,
    request: Request,
    width: int | None,
    dtype: DTypeLike,
    num_threads: int | None,
    progress: Progress,
) -> Any:
    """Let a kernel write so many numbers of each row, by default one for each token."""
    view, given = prepare(logits, request)
    rows, vocabulary = given.logits.shape
    out = np.empty((rows, width or vocabulary), dtype)
    with job_of(num_threads, progress) as job:
        kernel(given, streams_of(request, rows), out, job)
    return view.wrap(out)
