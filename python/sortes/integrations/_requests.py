"""Rules of single requests, gathered into the rules of the batch that a server runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes import Stream, decode
from sortes._device import to_device
from sortes.decode._table import TABLE
from sortes.decode.rules import DEFAULTS

if TYPE_CHECKING:
    import torch


def _arguments(*, keeps_best: bool) -> tuple[str, ...]:
    """Return the parameters of the truncation rules that keep the most likely token, or may not."""
    rules = (rule for rule in TABLE.values() if "reshapes" not in rule.flags)
    chosen = (rule for rule in rules if ("keeps_best" in rule.flags) == keeps_best)
    return tuple(parameter.name for rule in chosen for parameter in rule.parameters)


#: Arguments of rules under which the most likely token stays the most likely one.
ARGMAX_INVARIANT = (*_arguments(keeps_best=True), "min_tokens_to_keep")

#: Arguments of rules that may remove the most likely token.
ARGMAX_CHANGING = _arguments(keeps_best=False)

#: The penalty that needs the text of the request.
DRY = (
    *("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"),
    "dry_sequence_breakers",
)


def rules_of(given: Mapping[str, Any] | None, names: Iterable[str]) -> dict[str, float]:
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
        if np.ndim(value):
            raise ValueError(f"{name}: must be a number, got {value!r}")
    try:
        return dict(decode.Rules(**asked).params)
    except TypeError as error:
        raise ValueError(str(error)) from error


def penalties_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
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


def after_coin(rules: dict[str, float], stream: Stream, step: int) -> dict[str, float]:
    """Return the rules of one row after XTC's coin: with probability 0 or 1.

    Parameters
    ----------
    rules
        The rules of the row.
    stream
        The randomness of its request.
    step
        How many tokens the request has.

    Returns
    -------
    dict
        Rules that need no randomness. The coins of a request depend on nothing else in its batch.
    """
    if "xtc_probability" not in rules:
        return rules
    coin = stream.advance(step).uniforms(1)[0]
    return {**rules, "xtc_probability": float(coin < rules["xtc_probability"])}
