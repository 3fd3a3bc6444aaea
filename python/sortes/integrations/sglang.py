"""Rules as a custom logit processor of SGLang, with parameters of their own for each request.

Start the server with ``--enable-custom-logit-processor`` and send with a request:

    {"custom_logit_processor": SortesLogitProcessor.to_str(),
     "sampling_params": {"temperature": 0.9, "custom_params": {"eta_cutoff": 3e-4}}}

The string names this class, so the server needs `sortes` installed.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# mypy: disallow-subclassing-any=False

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor

from sortes._check import shown
from sortes._rng import as_stream
from sortes.integrations._requests import (
    ARGMAX_CHANGING,
    ARGMAX_INVARIANT,
    Arguments,
    after_coin,
    batch_rules,
    or_nothing,
    rules_of,
    truncate,
)

if TYPE_CHECKING:
    import torch

_NAMES = (*ARGMAX_INVARIANT, *ARGMAX_CHANGING)


class SortesLogitProcessor(CustomLogitProcessor):
    """Any combination of rules.

    Of the ``custom_params`` of a request it reads the arguments of every truncation rule of
    `sortes.decode.Rules`; the temperature is the request's own.

    Notes
    -----
    SGLang calls processors before the temperature; what is kept is decided at the temperature of
    the request nevertheless. SGLang's own ``top_k``, ``top_p`` and ``min_p`` act afterwards.
    Greedy requests are left as they are: there is nothing to choose from.

    What a call raises would end the server, and the texts of all. A request with a bad parameter is
    left as it is, and reported once to the logger ``sortes``; `validate_params` finds it before it
    is sent.

    The coins of XTC come from the request's ``sampling_seed`` and the number of its token, with
    drafts or without. With drafts that number is known in time only if the server runs with
    ``--disable-overlap-schedule``.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[2.0, 1.0, 0.0]])
    >>> SortesLogitProcessor()(logits, [{"top_k": 2}])
    tensor([[2., 1., -inf]])
    """

    @classmethod
    def validate_params(cls, custom_params: Mapping[str, Any] | None) -> None:
        """Check the ``custom_params`` of a request before it is sent.

        Parameters
        ----------
        custom_params : mapping of str to float, optional
            What the request carries. Names that are no rule arguments belong to others.

        Raises
        ------
        ValueError
            If a parameter is no number, or outside its domain.

        Examples
        --------
        >>> SortesLogitProcessor.validate_params({"min_p": 0.1, "thinking_budget": 100})
        >>> SortesLogitProcessor.validate_params({"min_p": 1.5})
        Traceback (most recent call last):
        ValueError: min_p: must be in [0, 1], got 1.5
        """
        _rules(custom_params)

    def __call__(
        self, logits: torch.Tensor, custom_param_list: list[dict[str, Any] | None] | None = None
    ) -> torch.Tensor:
        """Truncate rows.

        Parameters
        ----------
        logits : tensor, shape (B, V)
            Logits, on any device.
        custom_param_list
            The ``custom_params`` of each row, to which SGLang adds the request, ``__req__``. Rows
            of one request lie side by side: the next token, and those behind its drafts.

        Returns
        -------
        tensor, shape (B, V)
            `logits`, or a new tensor.

        Raises
        ------
        TypeError
            If the logits are no floating-point numbers.
        """
        rows: list[Arguments] = []
        before, offset = None, 0
        for params in custom_param_list or ():
            offset = offset + 1 if params is before else 0
            before = params
            rows.append(_now(params, offset) if params else {})
        rules = batch_rules(rows, logits.device)
        return logits if rules is None else truncate(logits, rules)


def _rules(params: Any) -> Arguments:
    if not isinstance(params, Mapping | None):
        raise ValueError(f"custom_params: must be a mapping, got {shown(params)}")
    return rules_of(params, _NAMES)


def _now(params: Any, offset: int) -> Arguments:
    """Return the rules of one row at this step, `offset` tokens behind the next."""
    request = params.get("__req__") if isinstance(params, Mapping) else None
    rules = or_nothing(lambda: _rules(params), getattr(request, "rid", "without an id"))
    if not rules or request is None:
        return after_coin(rules, as_stream(), 0)
    sampling = request.sampling_params
    if sampling.top_k <= 1 or sampling.temperature == 0:  # how SGLang writes greedy
        return {}
    seed = None if sampling.sampling_seed is None else sampling.sampling_seed % 2**64
    rules = after_coin(rules, as_stream(seed), _position(request) + offset)
    return {**rules, "temperature": sampling.temperature}


def _position(request: Any) -> int:
    """Return how many tokens a request has.

    The list of them lags a step behind where steps overlap. The cache does not, but with drafts it
    lacks the last token, and versions before 0.5.23 may not say how long it is.
    """
    cached = getattr(getattr(request, "kv", request), "kv_committed_len", 0)
    listed: int = len(request.output_ids)
    return max(listed, cached - len(request.origin_input_ids)) if cached else listed
