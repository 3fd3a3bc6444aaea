"""Rules of single requests, gathered into the rules of the batch that a server runs.

A step of a server is one call for all its requests: what one of them has wrong must not end it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from sortes import Stream, _core, decode
from sortes._check import shown
from sortes._device import to_device
from sortes._philox import ULP, draws
from sortes.decode._table import TABLE
from sortes.decode.rules import DEFAULTS

if TYPE_CHECKING:
    import torch


def _arguments(*, keeps_best: bool) -> tuple[str, ...]:
    """Return the parameters of the truncation rules that keep the most likely token, or may not."""
    rules = (rule for rule in TABLE.values() if "reshapes" not in rule.flags)
    chosen = (rule for rule in rules if ("keeps_best" in rule.flags) == keeps_best)
    return tuple(parameter.name for rule in chosen for parameter in rule.parameters)


#: The rules of one request, or its penalties.
Arguments: TypeAlias = dict[str, Any]

_LOGGER = logging.getLogger("sortes")

#: Arguments of rules under which the most likely token stays the most likely one.
ARGMAX_INVARIANT = (*_arguments(keeps_best=True), "min_tokens_to_keep")

#: Arguments of rules that may remove the most likely token.
ARGMAX_CHANGING = _arguments(keeps_best=False)

#: The penalty that needs the text of the request.
DRY = (
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"),
    "dry_sequence_breakers",
)


def rules_of(given: Mapping[str, Any] | None, names: Iterable[str]) -> Arguments:
    """Return the checked rules of one request.

    Parameters
    ----------
    given
        What the request carries; other names in it belong to others.
    names
        The rule arguments to look for.

    Returns
    -------
    dict
        Those that do something.

    Raises
    ------
    ValueError
        If a value is no number or outside its domain: servers answer it with a client error.
    """
    asked = {name: given[name] for name in names if name in given} if given else {}
    for name, value in asked.items():
        if not isinstance(value, Real | None):
            raise ValueError(f"{name}: must be a number, got {shown(value)}")
    try:
        return dict(decode.Rules(**asked).params)
    except TypeError as error:
        raise ValueError(str(error)) from error


def penalties_of(given: Mapping[str, Any] | None) -> Arguments:
    """Return the checked DRY arguments of one request, none if it does not ask for the penalty.

    Raises
    ------
    ValueError
        As `rules_of`.
    """
    asked = {name: given[name] for name in DRY if name in given} if given else {}
    try:
        decode.penalize(np.zeros(1, np.float32), [], **asked)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return asked if asked.get("dry_multiplier") else {}


def or_nothing(check: Callable[[], Arguments], request: object) -> Arguments:
    """Return what a check returns; if it refuses, report that once and leave the request alone.

    Parameters
    ----------
    check
        Returns the arguments of a request, or raises ``ValueError``.
    request
        What the report calls the request.

    Returns
    -------
    dict
        The arguments, none if the request is bad: it is then drawn as if it asked for none.
    """
    try:
        return check()
    except ValueError as error:
        _report(str(request), str(error))
        return {}


@lru_cache(4096)  # once for each request, which comes with every token
def _report(request: str, fault: str) -> None:
    _LOGGER.error("request %s goes on without the rules of sortes: %s", request, fault)


def batch_rules(rows: Sequence[Mapping[str, float]], device: torch.device) -> decode.Rules | None:
    """Return the rules of a batch, or None if no row has any.

    Parameters
    ----------
    rows
        The rules of each row.
    device
        Where the logits are: parameters are sent there once, not at each step.

    Returns
    -------
    Rules or None
        With one value for each row.
    """
    names = {name for row in rows for name in row}
    if not names - {"temperature"}:
        return None
    columns: dict[str, Any] = {
        name: np.array([row.get(name, DEFAULTS[name]) for row in rows], np.float64)
        for name in names
    }
    if device.type != "cpu":
        columns = {name: to_device(column, device) for name, column in columns.items()}
    return decode.Rules(**columns)


def truncate(logits: torch.Tensor, rules: decode.Rules) -> torch.Tensor:
    """Truncate a batch in which rows may be broken.

    Parameters
    ----------
    logits : tensor, shape (B, V)
        The rows.
    rules
        Theirs.

    Returns
    -------
    tensor, shape (B, V)
        The truncated rows. Those that hold NaN or plus infinity are returned as they are on the
        CPU, and are NaN on other devices.
    """
    try:
        return decode.truncate(logits, rules)
    except ValueError:
        broken = ~(logits < math.inf).all(1, keepdim=True)
        if not broken.any():
            raise
    return decode.truncate(logits.masked_fill(broken, 0), rules).where(~broken, logits)


def after_coin(rules: Arguments, stream: Stream, step: int) -> Arguments:
    """Return the rules of one row after XTC's coin: with probability 0 or 1.

    Parameters
    ----------
    rules
        The rules of the row.
    stream
        The randomness of its request.
    step
        How many tokens the request has before this one.

    Returns
    -------
    dict
        Rules that need no randomness. The coins of a request depend on nothing else in its batch.
    """
    if "xtc_probability" not in rules:
        return rules
    coin = stream.advance(step).uniforms(1)[0]
    return {**rules, "xtc_probability": float(coin < rules["xtc_probability"])}


def after_coins(probability: Any, keys: Any, steps: Any) -> Any:
    """Return the same for many rows: probabilities 0 or 1, by the same coins.

    Parameters
    ----------
    probability : tensor of float64, shape (B,)
        Those of XTC.
    keys : tensor of int64, shape (B, 2)
        Low and high half of the key of each row's stream.
    steps : tensor of int64, shape (B,)
        How many tokens each row has before this one.

    Returns
    -------
    tensor of float64, shape (B,)
        On the device of what is given, for which nothing waits.
    """
    rows, purpose = 0 * steps, _core.PURPOSES["uniform"]
    uniforms = draws((keys[:, 0], keys[:, 1]), rows, steps, purpose) * ULP
    return (uniforms < probability).to(probability.dtype)
