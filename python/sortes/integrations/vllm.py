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
from sortes._check import shown
from sortes._device import to_device
from sortes._rng import as_stream
from sortes.decode.rules import DEFAULTS
from sortes.integrations._requests import (
    ARGMAX_CHANGING,
    ARGMAX_INVARIANT,
    Arguments,
    after_coin,
    after_coins,
    batch_rules,
    or_nothing,
    penalties_of,
    rules_of,
    truncate,
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

    rules: Arguments
    penalties: Arguments
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

    vLLM checks the arguments of a request when it comes, and refuses a bad one. Should one reach
    the engine nevertheless, its row is left as it is, and it is reported once to the logger
    ``sortes``.

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
        cls._asked(sampling_params)

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
        return logits if self._rules is None else truncate(logits, self._rules)

    @classmethod
    def _asked(cls, params: SamplingParams) -> Arguments:
        """Return what a request asks for, under ``rules`` and ``penalties``."""
        return {"rules": rules_of(params.extra_args, cls.names)}

    def _request(self, params: SamplingParams, prompt: list[int], output: list[int]) -> _Request:
        asked = or_nothing(lambda: self._asked(params), _name(params))
        rules, penalties = asked.get("rules", {}), asked.get("penalties", {})
        return _Request(rules, penalties, as_stream(_seed(params)), prompt, output)

    def _rules_of_batch(self, rows: int) -> decode.Rules | None:
        nothing: Arguments = {}
        found = (self._requests.get(row) for row in range(rows))
        return batch_rules([nothing if r is None else self._now(r) for r in found], self._device)

    def _now(self, request: _Request) -> Arguments:
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

    @classmethod
    def _asked(cls, params: SamplingParams) -> Arguments:
        rules = _at_temperature(rules_of(params.extra_args, cls.names), params)
        return {"rules": rules, "penalties": penalties_of(params.extra_args)}

    def _now(self, request: _Request) -> Arguments:
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
        temperature of the request nevertheless. Under speculative decoding each row has the coin of
        XTC that its position has without.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> lengths = SimpleNamespace(gpu=torch.zeros(8, dtype=torch.int32))
        >>> states = SimpleNamespace(device="cpu", max_num_reqs=8, prompt_len=lengths)
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
            self._slots: list[Arguments] = [{} for _ in range(req_states.max_num_reqs)]
            self._keys = np.zeros((req_states.max_num_reqs, 2), np.int64)
            self._prompt_lengths = req_states.prompt_len
            self._table: dict[str, torch.Tensor] = {}
            self._changed = False

        def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
            """Take over a slot; return whether its rows are to be truncated."""
            params = sampling_params
            rules = or_nothing(lambda: rules_of(params.extra_args, self.names), _name(params))
            self._slots[req_idx] = _at_temperature(rules, params)
            key = as_stream(_seed(params)).key
            self._keys[req_idx] = key % 2**32, key // 2**32
            self._changed = True
            return bool(self._slots[req_idx])

        def apply_staged_writes(self) -> None:
            """Send the parameters of all slots to the device, if some have changed."""
            if self._changed:
                names = {name for slot in self._slots for name in slot}
                self._table = {name: self._column(name) for name in names}
                self._table["keys"] = self._sent(self._keys.copy())
                self._changed = False

        def apply(self, logits: torch.Tensor, ctx: Any) -> torch.Tensor:
            """Truncate the rows of the requests that ask for it."""
            asked = {name for slot in ctx.idx_mapping_np for name in self._slots[int(slot)]}
            if not asked - {"temperature"}:
                return logits
            at = ctx.expanded_idx_mapping.long()
            columns: dict[str, Any] = {name: self._table[name][at] for name in asked}
            if "xtc_probability" in asked:
                steps = ctx.pos + 1 - self._prompt_lengths.gpu[at]
                chance, keys = columns["xtc_probability"], self._table["keys"][at]
                columns["xtc_probability"] = after_coins(chance, keys, steps.long().clamp(min=0))
            return truncate(logits, decode.Rules(**columns))

        def _column(self, name: str) -> torch.Tensor:
            """Return one parameter of all slots."""
            neutral = DEFAULTS[name]
            return self._sent(
                np.array([slot.get(name, neutral) for slot in self._slots], np.float64)
            )

        def _sent(self, array: Any) -> torch.Tensor:
            on_cpu = self._device.type == "cpu"
            return torch.from_numpy(array) if on_cpu else to_device(array, self._device)


def _at_temperature(rules: Arguments, params: SamplingParams) -> Arguments:
    """Return rules that act before a temperature as if they came after it; none if greedy."""
    if not rules or params.temperature == 0:
        return {}
    return {**rules, "temperature": params.temperature}


def _seed(params: SamplingParams) -> int | None:
    """Return the seed of a request; vLLM takes negative ones as well."""
    return None if params.seed is None else params.seed % 2**64


def _name(params: SamplingParams) -> str:
    """Return what a report calls a request: processors are not told its id."""
    return f"with extra_args {shown(params.extra_args)}"
