"""Values of our warpers for single requests, in the continuous batching of Transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    CLASSIC_TO_CB_PROCESSORS_MAP,
    ContinuousBatchingLogitsProcessor,
)

from sortes import decode
from sortes.decode._table import PARAMETERS
from sortes.integrations.transformers._warpers import OneRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sortes.decode._table import Parameter

#: A share travels as so many billionths: what users type in comes back as the same float64.
_BILLION: Final = 10**9
_INT32: Final = np.iinfo(np.int32)
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


class PerRequest(ContinuousBatchingLogitsProcessor):
    """A warper of one rule, with a value for each row of the batch.

    ``add_request(..., top_p=0.5)`` sets the value of a request; None switches the rule off, and so
    does the value at which `sortes.decode.Rules` has it off, such as ``top_k=0``. Requests that
    say nothing get the value of the warper.

    Parameters
    ----------
    warper
        The warper.
    """

    def __init__(self, warper: OneRule) -> None:
        self._warper = warper
        self._parameter = PARAMETERS[warper.rule]
        self._own = warper.rules.params.get(warper.rule, self._parameter.neutral)
        self.supported_kwargs: dict[str, type] = {warper.rule: _values_of(self._parameter)}
        self.ignored_kwargs = ("filter_value", "min_tokens_to_keep")

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Write the warper's own value into every place."""
        int32_tensor.fill_(_coded(self._own, self._parameter))

    def prepare_tensor_args(self, requests_with_new_token: Iterable[Any]) -> torch.Tensor:
        """Return the values of these requests, as int32."""
        values = [
            request.state.logit_processor_kwargs.get(self._warper.rule, self._own)
            for request in requests_with_new_token
        ]
        return torch.tensor([_coded(v, self._parameter) for v in values], dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Truncate each row at the value of its request."""
        values = _decoded(tensor_arg[: len(scores)], self._parameter)
        rules = decode.Rules(**{**self._warper.rules.params, self._warper.rule: values})
        fill = self._warper.filter_value
        return decode.truncate(scores, rules, filter_value=fill, scaled=True)


def register() -> None:
    """Tell continuous batching of our warpers, which it then turns into these if it is asked to."""
    CLASSIC_TO_CB_PROCESSORS_MAP[OneRule] = PerRequest


def _values_of(parameter: Parameter) -> type:
    """Return a type that the values of a parameter are instances of; a bad value raises.

    Continuous batching looks at nothing but the type of what a request brings, and a value that
    fails later ends all of its requests.
    """

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            if value is not None:
                parameter.domain.check(value, parameter.name)
            return True

    return Meta(parameter.name, (), {})


def _coded(value: float | None, parameter: Parameter) -> int:
    """Return a value in 32 bits, the nearest there is of its domain."""
    value = parameter.neutral if value is None else value
    if value == np.inf and parameter.neutral == np.inf:
        return -1  # of a share that is switched off
    if parameter.domain.integer:
        return min(max(int(value), _INT32.min), _INT32.max)
    value = float(value)
    if _is_share(parameter):
        nearest = round(value * _BILLION)
        near = (nearest, nearest + 1, nearest - 1)
        return next(code for code in near if code / _BILLION in parameter.domain)
    return int(np.float32(min(max(value, -_FLOAT32_MAX), _FLOAT32_MAX)).view(np.int32))


def _decoded(codes: torch.Tensor, parameter: Parameter) -> torch.Tensor:
    """Return the values, as float64."""
    if parameter.domain.integer:
        return codes.double()
    if _is_share(parameter):
        return (codes.double() / _BILLION).masked_fill(codes < 0, torch.inf)
    return codes.view(torch.float32).double()


def _is_share(parameter: Parameter) -> bool:
    return 2.0 not in parameter.domain
