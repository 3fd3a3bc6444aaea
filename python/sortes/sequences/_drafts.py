"""What verifiers make of their arguments: rows of logits and tokens with any axes before them."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sortes._arrays import Rows, host, integers_of, rows_of
from sortes._check import Domain
from sortes._device import check_dense, to_host
from sortes.decode._call import Given, as_bias, as_mask, row_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes.decode._call import Asked
    from sortes.decode.rules import Rules

#: What is neither a token nor refused before the kernel looks at it.
_TOKEN: Final = Domain("[-2**63, 2**63)", integer=True)


class Stack(NamedTuple):
    """Rows of logits with axes before them.

    Attributes
    ----------
    rows : Rows
        All of them as a matrix.
    shape : tuple of int
        The axes of the rows, as the caller gave them.
    """

    rows: Rows
    shape: tuple[int, ...]


def stack_of(x: Any, name: str, axes: int) -> Stack:
    """View logits as rows, with at least `axes` axes before the last one.

    Parameters
    ----------
    x
        As in `rows_of`, with any number of axes. No copy where rows lie equally far apart.
    name
        What error messages call it.
    axes
        How many there must be.

    Examples
    --------
    >>> stack_of(np.zeros((2, 3, 5), np.float32), "logits", 1).shape
    (2, 3)
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        check_dense(x, name)
    elif getattr(x, "dtype", None) is None or not hasattr(x, "reshape"):
        x = host(x, name, None)
    shape = tuple(x.shape)
    if len(shape) <= axes:
        wanted = "(..., V)" if axes == 0 else "(..., g + 1, V)"
        raise ValueError(f"{name}: must have shape {wanted}, got {shape}")
    if len(shape) != 2:
        x = x.reshape(math.prod(shape[:-1]), shape[-1])
    return Stack(rows_of(x, name), shape[:-1])


def tokens_of(x: Any, name: str) -> NDArray[np.int64]:
    """Return tokens of any shape, as the kernels take them.

    Examples
    --------
    >>> tokens_of([[1, 2]], "draft_tokens")
    array([[1, 2]])
    """
    array = host(to_host(x), name, None)
    if not array.ndim:
        raise ValueError(f"{name}: must have shape (..., g), got ()")
    return integers_of(array.reshape(-1), name, _TOKEN).reshape(array.shape)


def shapes_fit(tokens: tuple[int, ...], rows: tuple[int, ...]) -> None:
    """Check that there is a row of logits at each drafted token, and one behind them.

    Examples
    --------
    >>> shapes_fit((2, 3), (2, 4))
    """
    if len(tokens) != len(rows):
        axes = "as many axes as the rows of target_logits have"
        raise ValueError(f"draft_tokens: must have {axes}, {len(rows)}, got shape {tokens}")
    wanted = (*tokens[:-1], tokens[-1] + 1)
    if rows != wanted:
        reason = f"draft_tokens having shape {tokens}"
        raise ValueError(f"target_logits: must have {wanted} rows, {reason}, got {rows}")


def lengths_of(lengths: Any, lead: tuple[int, ...], most: int) -> NDArray[np.int64]:
    """Return how many tokens each draft has.

    Examples
    --------
    >>> lengths_of([0, 2], (2,), 2)
    array([0, 2])
    """
    array = host(to_host(lengths), "lengths", None)
    if array.shape not in ((), lead):
        raise ValueError(f"lengths: must have shape {lead}, got {array.shape}")
    domain = Domain(f"[0, {most}]", integer=True)
    return integers_of(array.reshape(-1), "lengths", domain).repeat(
        1 if array.ndim or not lead else math.prod(lead)
    )


def given_of(stack: Stack, texts: int, request: Asked) -> Given:
    """Return what the kernels are given for texts of several rows."""
    rules, logit_bias, mask, rows, _, _ = request
    x = stack.rows.array
    ids = None if rows is None else row_ids(flat(rows), texts)
    bias = None if logit_bias is None else as_bias(logit_bias)
    allowed = None
    if mask is not None:
        allowed = to_host(mask)
        allowed = host(allowed, "mask", None)
        allowed = as_mask(allowed.reshape(-1, *allowed.shape[-1:]), x.shape)
    return Given(x, stack.rows.bf16, rules._for_host(), ids, bias, allowed)


def flat(rows: Any) -> Any:
    """Return ids of texts in one axis.

    Examples
    --------
    >>> flat([[1], [2]])
    array([1, 2])
    """
    array = host(to_host(rows), "rows", None)
    return array.reshape(-1) if array.ndim else array


def refuse_chance(rules: Rules, method: str) -> None:
    """Refuse rules that act at random where the law of the draft is needed.

    Examples
    --------
    >>> from sortes.decode import Rules
    >>> refuse_chance(Rules(top_p=0.9), "method='token'")
    """
    if rules.is_random:
        because = "which needs the draft's law: the coin of its XTC is not known"
        raise ValueError(f"xtc_probability: must not be given with {method}, {because}")


def on_the_cpu(name: str, what: str) -> str:
    """Return what the error says of tensors on a device.

    Examples
    --------
    >>> on_the_cpu("logits", "races")
    'logits: must be on the CPU with races; give logits.cpu()'
    """
    return f"{name}: must be on the CPU with {what}; give {name}.cpu()"
