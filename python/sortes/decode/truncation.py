"""What the rules leave: truncated logits, masks, cuts, and the exact law of the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from sortes import _core
from sortes._check import real
from sortes._device import is_on_device
from sortes.decode._call import prepare, written
from sortes.decode.rules import RuleArgs, Rules, as_rules

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng


def truncate(
    logits: Any,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    rng: Rng = 0,
    rows: ArrayLike | None = None,
    step: int = 0,
    filter_value: float = -float("inf"),
    out: Any = None,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Replace the logits of removed tokens.

    Parameters
    ----------
    logits : array_like or tensor, shape (B, V) or (V,)
        As in `sample`.
    rules : Rules, optional
        Compiled rules; or give the rules as keyword arguments.
    logit_bias, mask, rng, rows, step
        As in `sample`; `rng` matters for XTC's coin alone.
    filter_value : float, default -inf
        What removed tokens get.
    out : array or tensor, shape of `logits`, optional
        Where to write the result; it must be C-contiguous, and may be `logits` itself.
    num_threads : int, optional
        How many threads to use at most.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    logits : same kind, device and dtype as given
        The kept logits as given (temperature scales nothing: it only decides what is kept, but a
        bias and smoothing do show), `filter_value` elsewhere. A row without a finite logit is
        returned as it is.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or an argument is out of its domain. On another device such
        a row becomes NaN.

    Examples
    --------
    >>> import numpy as np
    >>> truncate(np.array([1.0, 3.0, 2.0], np.float32), top_k=2)
    array([-inf,   3.,   2.], dtype=float32)
    """
    compiled = as_rules(rules, rule_args)
    given = (rng, rows, step, logit_bias, mask)
    fill = real(filter_value, "filter_value")
    if is_on_device(logits):
        from sortes.decode import _torch

        return _torch.truncate(logits, compiled, given, fill, out)
    view, keys, ids, step, bias, allowed = prepare(logits, *given)
    result = _core.decode.sampling.truncate(
        view.array,
        compiled.native,
        keys,
        ids,
        step,
        bf16=view.bf16,
        bias=bias,
        mask=allowed,
        fill=fill,
        out=None if out is None else written(out, view),
        num_threads=num_threads,
    )
    return view.wrap(result) if out is None else out


def _per_row(
    name: Literal["keep_mask", "cutoffs", "distribution"],
    logits: Any,
    rules: Rules | None,
    rule_args: RuleArgs,
    given: tuple[Any, Any, int, Any, Any],
    num_threads: int | None,
) -> Any:
    compiled = as_rules(rules, rule_args)
    if is_on_device(logits):
        from sortes.decode import _torch

        return getattr(_torch, name)(logits, compiled, given)
    view, keys, ids, step, bias, allowed = prepare(logits, *given)
    result = getattr(_core.decode.sampling, name)(
        view.array,
        compiled.native,
        keys,
        ids,
        step,
        bf16=view.bf16,
        bias=bias,
        mask=allowed,
        num_threads=num_threads,
    )
    return view.wrap(result)


def keep_mask(
    logits: Any,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    rng: Rng = 0,
    rows: ArrayLike | None = None,
    step: int = 0,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Tell which tokens the rules keep.

    Parameters
    ----------
    logits, rules, logit_bias, mask, rng, rows, step, num_threads
        As in `truncate`.
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
    >>> keep_mask(np.log([0.5, 0.3, 0.2]), min_p=0.5)
    array([ True,  True, False])
    """
    given = (rng, rows, step, logit_bias, mask)
    return _per_row("keep_mask", logits, rules, rule_args, given, num_threads)


def cutoffs(
    logits: Any,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    rng: Rng = 0,
    rows: ArrayLike | None = None,
    step: int = 0,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Give the lowest and the highest logit that the rules keep.

    Parameters
    ----------
    logits, rules, logit_bias, mask, rng, rows, step, num_threads
        As in `truncate`.
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
    >>> cutoffs(np.array([1.0, 3.0, 2.0]), top_k=2)
    array([2., 3.])
    """
    given = (rng, rows, step, logit_bias, mask)
    return _per_row("cutoffs", logits, rules, rule_args, given, num_threads)


def distribution(
    logits: Any,
    rules: Rules | None = None,
    *,
    logit_bias: Any = None,
    mask: Any = None,
    num_threads: int | None = None,
    **rule_args: Unpack[RuleArgs],
) -> Any:
    """Compute the exact law from which `sample` draws.

    Parameters
    ----------
    logits, rules, logit_bias, mask, num_threads
        As in `truncate`.
    **rule_args
        The arguments of `Rules`.

    Returns
    -------
    probabilities : float64, shape of `logits`
        They sum to one in each row. XTC's coin is averaged over.

    Raises
    ------
    ValueError
        If a row holds NaN or ``+inf``, or no finite logit.

    Examples
    --------
    >>> import numpy as np
    >>> distribution(np.log([0.5, 0.3, 0.2]), top_k=2).round(3)
    array([0.625, 0.375, 0.   ])
    """
    given = (0, None, 0, logit_bias, mask)
    return _per_row("distribution", logits, rules, rule_args, given, num_threads)
