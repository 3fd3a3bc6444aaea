"""Rules as a custom logit processor of SGLang, with parameters of their own for each request.

Start the server with ``--enable-custom-logit-processor`` and send with a request:

    {"custom_logit_processor": SortesLogitProcessor.to_str(),
     "sampling_params": {"temperature": 0.9, "custom_params": {"eta_cutoff": 3e-4}}}

The string names this class, so the server needs `sortes` installed.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor

from sortes import decode
from sortes._rng import as_stream
from sortes.integrations._requests import (
    ARGMAX_CHANGING,
    ARGMAX_INVARIANT,
    after_coin,
    batch_rules,
    rules_of,
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

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[2.0, 1.0, 0.0]])
    >>> SortesLogitProcessor()(logits, [{"top_k": 2}])
    tensor([[2., 1., -inf]])
    """

    def __call__(
        self, logits: torch.Tensor, custom_param_list: list[dict[str, Any] | None] | None = None
    ) -> torch.Tensor:
        """Truncate rows.

        Parameters
        ----------
        logits : tensor, shape (B, V)
            Logits, on any device.
        custom_param_list
            The ``custom_params`` of each row, to which SGLang adds the request, ``__req__``.

        Returns
        -------
        tensor, shape (B, V)
            `logits`, or a new tensor.

        Raises
        ------
        ValueError
            If a parameter is outside its domain.
        """
        rows = [_now(params or {}) for params in custom_param_list or ()]
        rules = batch_rules(rows, logits.device)
        return logits if rules is None else decode.truncate(logits, rules)


def _now(params: dict[str, Any]) -> dict[str, float]:
    """Return the rules of one row at this step."""
    rules = rules_of(params, _NAMES)
    request = params.get("__req__")
    if not rules or request is None:
        return after_coin(rules, as_stream(), 0)
    sampling, step = request.sampling_params, len(request.output_ids)
    seed = None if sampling.sampling_seed is None else sampling.sampling_seed % 2**64
    rules = after_coin(rules, as_stream(seed), step)
    return {**rules, "temperature": sampling.temperature}
