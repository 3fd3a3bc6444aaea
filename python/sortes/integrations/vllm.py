"""Rules as logits processors of vLLM, with parameters of their own for each request.

Name the classes to the engine, and put rule arguments into ``SamplingParams.extra_args``
(``vllm_xargs`` over HTTP):

    LLM(model, logits_processors=["sortes.integrations.vllm:SortesLogitsProcessor"])
    SamplingParams(temperature=0.9, extra_args={"eta_cutoff": 3e-4})

None of them is an entry point: vLLM would load it into every engine.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# mypy: disallow-subclassing-any=False, warn-return-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from vllm.v1.sample.logits_processor import LogitsProcessor, MoveDirectionality

from sortes import Stream, decode
from sortes._device import to_device
from sortes._rng import as_stream
from sortes.decode.rules import DEFAULTS
from sortes.integrations._requests import (
    ARGMAX_CHANGING,
    ARGMAX_INVARIANT,
    after_coin,
    batch_rules,
    penalties_of,
    rules_of,
)

try:
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2LogitsProcessor
except ImportError:  # before the second model runner
    V2LogitsProcessor = None

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.v1.sample.logits_processor import BatchUpdate


class _Request(NamedTuple):
    """What a processor knows of one request.

    Attributes
    ----------
    rules, penalties
        Its arguments.
    stream
        The randomness of its coins.
    prompt, output
        Its tokens; vLLM appends to `output` as it goes.
    """

    rules: dict[str, float]
    penalties: dict[str, Any]
    stream: Stream
    prompt: list[int]
    output: list[int]


class SortesLogitsProcessor(LogitsProcessor):
    """The rules that keep the most likely token: they act after vLLM's temperature.

    Of ``SamplingParams.extra_args`` it reads the arguments in `names`, with the domains of
    `sortes.decode.Rules`; ``top_k``, ``top_p`` and ``min_p`` in the place of vLLM's own. vLLM's own
    ``top_k`` and ``top_p`` act afterwards.

    Parameters
    ----------
    vllm_config
        Not looked at.
    device : torch.device
        Where the logits will be.
    is_pin_memory
        Not looked at.

    Raises
    ------
    RuntimeError
        If Torch does not know the device.

    Notes
    -----
    Logits on a GPU stay there; the parameters of the batch are sent when its requests change, not
    at each step. vLLM refuses custom processors with speculative decoding.

    Examples
    --------
    >>> processor = SortesLogitsProcessor(None, torch.device("cpu"), False)
    >>> processor.is_argmax_invariant()
    True
    """

    names: ClassVar[tuple[str, ...]] = ARGMAX_INVARIANT

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raise ``ValueError`` if the arguments of a request are bad."""
        rules_of(sampling_params.extra_args, cls.names)

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._device = torch.device(device)
        self._requests: dict[int, _Request] = {}
        self._changed = False
        self._rules: decode.Rules | None = None

    def is_argmax_invariant(self) -> bool:
        """Whether greedy requests may skip this processor."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests as they leave, enter and change places in the batch."""
        if batch_update is None:
            return
        self._changed = True  # at least the number of rows
        requests = self._requests
        for index in batch_update.removed:
            requests.pop(index, None)
        for index, params, prompt, output in batch_update.added:
            requests.pop(index, None)
            request = self._request(params, prompt or [], output)
            if request.rules or request.penalties:
                requests[index] = request
        for a, b, direction in batch_update.moved:
            at_a, at_b = requests.pop(a, None), requests.pop(b, None)
            if at_a is not None:
                requests[b] = at_a
            if at_b is not None and direction == MoveDirectionality.SWAP:
                requests[a] = at_b

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Truncate the rows of the requests that ask for it."""
        if not self._requests:
            return logits
        if self._changed:
            self._rules = self._rules_of_batch(len(logits))
            self._changed = False
        return logits if self._rules is None else decode.truncate(logits, self._rules)

    def _request(self, params: SamplingParams, prompt: list[int], output: list[int]) -> _Request:
        rules = rules_of(params.extra_args, self.names)
        return _Request(rules, {}, as_stream(_seed(params)), prompt, output)

    def _rules_of_batch(self, rows: int) -> decode.Rules | None:
        nothing: dict[str, float] = {}
        found = (self._requests.get(row) for row in range(rows))
        return batch_rules([nothing if r is None else self._now(r) for r in found], self._device)

    def _now(self, request: _Request) -> dict[str, float]:
        """Return the rules of a request at this step."""
        return request.rules


class SortesReshapingLogitsProcessor(SortesLogitsProcessor):
    """The rules and the penalty that may remove the most likely token: typical, XTC and DRY.

    Of ``SamplingParams.extra_args`` it reads the arguments in `names`, and ``dry_multiplier``,
    ``dry_base``, ``dry_allowed_length``, ``dry_penalty_last_n`` and ``dry_sequence_breakers``
    (token ids).

    Parameters
    ----------
    vllm_config
        Not looked at.
    device : torch.device
        Where the logits will be.
    is_pin_memory
        Not looked at.

    Raises
    ------
    RuntimeError
        If Torch does not know the device.

    Notes
    -----
    vLLM runs such processors before penalties and temperature. What typical and XTC keep is
    decided at the temperature of the request nevertheless; greedy requests skip both, for at
    temperature 0 there is nothing to choose from. DRY reads the tokens of its requests on the CPU.

    Examples
    --------
    >>> processor = SortesReshapingLogitsProcessor(None, torch.device("cpu"), False)
    >>> processor.is_argmax_invariant()
    False
    """

    names = ARGMAX_CHANGING

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raise ``ValueError`` if the arguments of a request are bad."""
        super().validate_params(sampling_params)
        penalties_of(sampling_params.extra_args)

    def is_argmax_invariant(self) -> bool:
        """Whether greedy requests may skip this processor."""
        return False

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Charge repetitions, then truncate the rows of the requests that ask for it."""
        charged = {i: r for i, r in self._requests.items() if r.penalties and i < len(logits)}
        for row, request in charged.items():
            text = [*request.prompt, *request.output]
            logits[row] = decode.penalize(logits[row], text, **request.penalties)
        # The coins of XTC are thrown at each step.
        self._changed |= any("xtc_probability" in r.rules for r in self._requests.values())
        return super().apply(logits)

    def _request(self, params: SamplingParams, prompt: list[int], output: list[int]) -> _Request:
        request = super()._request(params, prompt, output)
        return request._replace(
            rules=_at_temperature(request.rules, params),
            penalties=penalties_of(params.extra_args),
        )

    def _now(self, request: _Request) -> dict[str, float]:
        return after_coin(request.rules, request.stream, len(request.output))


if V2LogitsProcessor is not None:

    class SortesV2LogitsProcessor(V2LogitsProcessor):
        """All rules, for vLLM's second model runner.

        Of ``SamplingParams.extra_args`` it reads the arguments in `names`.

        Parameters
        ----------
        vllm_config
            Not looked at.
        req_states
            The states of the requests: their device, and how many there are at most.

        Raises
        ------
        RuntimeError
            If Torch does not know the device.

        Notes
        -----
        This runner calls processors before the temperature; what is kept is decided at the
        temperature of the request nevertheless. Rows of a request under speculative decoding share
        the coin of XTC.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> states = SimpleNamespace(device="cpu", max_num_reqs=8)
        >>> processor = SortesV2LogitsProcessor(None, states)
        >>> rules = {"top_k": 2}
        >>> params = SimpleNamespace(temperature=1.0, seed=None, extra_args=rules)
        >>> processor.add_request(0, params)
        True
        """

        names: ClassVar[tuple[str, ...]] = (*ARGMAX_INVARIANT, *ARGMAX_CHANGING)

        @classmethod
        def validate_params(cls, sampling_params: SamplingParams) -> None:
            """Raise ``ValueError`` if the arguments of a request are bad."""
            rules_of(sampling_params.extra_args, cls.names)

        def __init__(self, vllm_config: Any, req_states: Any) -> None:
            self._device = torch.device(req_states.device)
            self._slots: list[dict[str, float]] = [{} for _ in range(req_states.max_num_reqs)]
            self._streams: dict[int, Stream] = {}
            self._table: dict[str, torch.Tensor] = {}
            self._changed = False

        def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
            """Take over a slot; return whether its rows are to be truncated."""
            rules = rules_of(sampling_params.extra_args, self.names)
            self._slots[req_idx] = _at_temperature(rules, sampling_params)
            self._streams[req_idx] = as_stream(_seed(sampling_params))
            self._changed = True
            return bool(self._slots[req_idx])

        def apply_staged_writes(self) -> None:
            """Send the parameters of all slots to the device, if some have changed."""
            if self._changed:
                names = {name for slot in self._slots for name in slot}
                self._table = {name: self._column(name) for name in names}
                self._changed = False

        def apply(self, logits: torch.Tensor, ctx: Any) -> torch.Tensor:
            """Truncate the rows of the requests that ask for it."""
            slots = [int(slot) for slot in ctx.idx_mapping_np]
            asked = {name for slot in slots for name in self._slots[slot]}
            if not asked - {"temperature"}:
                return logits
            if "xtc_probability" in asked:
                coins = {
                    slot: after_coin(self._slots[slot], self._streams[slot], int(length))
                    for slot, length in zip(slots, ctx.seq_lens_upper_bound_np, strict=True)
                }
                self._table["xtc_probability"] = self._column("xtc_probability", coins)
            at = ctx.expanded_idx_mapping.long()
            columns: dict[str, Any] = {name: self._table[name][at] for name in asked}
            return decode.truncate(logits, decode.Rules(**columns))

        def _column(self, name: str, now: dict[int, dict[str, float]] | None = None) -> Any:
            """Return one parameter of all slots; those of `now` override what they asked for."""
            neutral = DEFAULTS[name]
            rows = [(now or {}).get(i, slot) for i, slot in enumerate(self._slots)]
            column = np.array([row.get(name, neutral) for row in rows], np.float64)
            on_cpu = self._device.type == "cpu"
            return torch.from_numpy(column) if on_cpu else to_device(column, self._device)


def _at_temperature(rules: dict[str, float], params: SamplingParams) -> dict[str, float]:
    """Return rules that act before a temperature as if they came after it; none if greedy."""
    if not rules or params.temperature == 0:
        return {}
    return {**rules, "temperature": params.temperature}


def _seed(params: SamplingParams) -> int | None:
    """Return the seed of a request; vLLM takes negative ones as well."""
    return None if params.seed is None else params.seed % 2**64
