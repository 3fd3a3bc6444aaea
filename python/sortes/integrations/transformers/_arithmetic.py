"""Arithmetic sampling in ``generate``: as a decoding loop, and as a logits processor."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np
import torch
from transformers import LogitsProcessor
from transformers.generation.configuration_utils import GenerationMode

from sortes import decode
from sortes._check import UNIT
from sortes._interrupt import OnInterrupt
from sortes._progress import Progress, reporter
from sortes.decode.rules import as_rules
from sortes.integrations.transformers._config import configured, enclosing_generate
from sortes.integrations.transformers._generate import (
    Decoding,
    with_rule_arguments,
    with_stop_strings,
)
from sortes.integrations.transformers._rng import settled, stream_of
from sortes.sequences import ArithmeticCodes
from sortes.sequences.arithmetic import SOME, Codebook, TokenOrder

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from transformers.generation.utils import (
        GenerateDecoderOnlyOutput,
        GenerateEncoderDecoderOutput,
    )

    from sortes._rng import Rng


def arithmetic_sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    codebook: Codebook | None = None,
    codes: Annotated[ArrayLike, UNIT] | None = None,
    token_order: TokenOrder = "id",
    stop_strings: str | list[str] | None = None,
    tokenizer: Any = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    progress: Progress = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
    """Generate several texts of each prompt, spread evenly: ``custom_generate=arithmetic_sample``.

    The texts are the ``num_return_sequences`` of each prompt, each of them an exact sample. All
    else is as with `sample` of this module.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        Filled in by ``generate``.
    synced_gpus
        Not supported.
    streamer
        Pass it to ``generate`` as ever.
    codebook, codes, token_order
        As in `sortes.sequences.ArithmeticCodes`.
    stop_strings, tokenizer
        As in `sample`.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws a key from Torch's global generator, so that ``torch.manual_seed`` and
        ``transformers.set_seed`` decide.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts tokens of a text.
    **kwargs
        Every rule argument of `sortes.decode.sample` is taken from the arguments of ``generate``,
        in the place of the configuration's value. All else goes to the model.

    Returns
    -------
    LongTensor, shape (B, T), or ModelOutput
        What ``generate`` returns: prompt and text. If ``return_dict_in_generate``, the output has
        ``logprobs`` as well, float64 of shape (B, new tokens): the log-probabilities of the tokens
        in the law that the rules left, 0 after the end of a text.

    Raises
    ------
    ValueError
        For beams, an assistant or ``do_sample=False``; for a bad argument; for logits that hold NaN
        or ``+inf``.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    Penalties and processors that make two texts with one beginning see different laws are as exact
    as ever, but those texts are no longer spread evenly.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> config = LlamaConfig(
    ...     vocab_size=64,
    ...     hidden_size=32,
    ...     intermediate_size=64,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=2,
    ... )
    >>> model = LlamaForCausalLM(config)
    >>> texts = model.generate(
    ...     torch.tensor([[1, 5, 7]]),
    ...     custom_generate=arithmetic_sample,
    ...     do_sample=True,
    ...     num_return_sequences=8,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> len(set(map(tuple, texts.tolist())))
    8
    """
    if not generation_config.do_sample:
        raise ValueError("do_sample: must be True for arithmetic sampling, got False")
    n = generation_config.num_return_sequences or 1
    spread = partial(ArithmeticCodes, codebook=codebook, codes=codes, token_order=token_order)

    def begin(rules: decode.Rules, stream: Any) -> _Codes:
        return _Codes(spread(len(input_ids) // n, n, rng=stream), rules)

    stops = with_stop_strings(stopping_criteria, stop_strings, tokenizer)
    with reporter(progress, "tokens") as report:
        return Decoding(
            *(model, input_ids, logits_processor, stops, generation_config),
            *(synced_gpus, streamer, rng, kwargs),
            begin,
            on_interrupt,
        ).run(report)


arithmetic_sample.__signature__ = with_rule_arguments(arithmetic_sample)  # type: ignore[attr-defined]


class _Codes:
    """The texts of each prompt are spread evenly."""

    def __init__(self, codes: ArithmeticCodes, rules: decode.Rules) -> None:
        self.codes, self.rules = codes, rules
        self.logprobs: list[torch.Tensor] = []

    def coins(self, step: int) -> dict[str, Any]:
        rows = np.zeros(len(self.codes), np.int64)  # the streams are those of the prompts
        return {"rng": self.codes._native.streams(), "rows": rows}

    def tokens(
        self, logits: torch.Tensor, step: int, unfinished: torch.Tensor | None
    ) -> torch.Tensor:
        finished = None if unfinished is None else ~unfinished
        out = self.codes.step(logits, self.rules, finished=finished, logprobs=True)
        self.logprobs.append(out.logprob)
        return out.tokens

    def known(self, steps: int) -> dict[str, torch.Tensor]:
        empty = torch.empty((len(self.codes), 0), dtype=torch.float64)
        known = torch.stack(self.logprobs[:steps], 1) if steps else empty
        return {"logprobs": known}

    def of(self, rows: list[int]) -> None:
        return None  # all codes take a step together


class ArithmeticLogitsProcessor(LogitsProcessor):
    """Draw the tokens of `n` texts of each prompt, spread evenly, and leave no other choice.

    For pipelines that take logits processors but no ``custom_generate``; `arithmetic_sample` of
    this module does the same without the rows that this one has to write. Rows belong together `n`
    by `n`, as ``num_return_sequences=n`` makes them. The rules are given here, and those of
    ``generate`` must be off: ``do_sample=True, temperature=1.0, top_k=0, top_p=1.0``.

    Parameters
    ----------
    n : int
        How many texts of each prompt, in [1, 2**31].
    rules : Rules, optional
        The rules, instead of `rule_args`.
    codebook, codes, token_order
        As in `sortes.sequences.ArithmeticCodes`.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws from Torch's global generator.
    **rule_args
        Rule arguments of `sortes.decode.sample`.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    It has a state, so it belongs to one call of ``generate`` at a time. A text that does not go on
    where the last one stopped begins anew, with other codes: the second call with one processor
    gives other texts than the first. Beams and assistants, which reorder or repeat rows, are
    refused.

    Examples
    --------
    >>> text = torch.zeros(2, 4, dtype=torch.long)
    >>> logits = torch.tensor([[2.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    >>> ArithmeticLogitsProcessor(2, top_k=1)(text, logits)
    tensor([[0., -inf, -inf],
            [0., -inf, -inf]])
    """

    supports_continuous_batching = False

    def __init__(
        self,
        n: Annotated[int, SOME],
        rules: decode.Rules | None = None,
        *,
        codebook: Codebook | None = None,
        codes: Annotated[ArrayLike, UNIT] | None = None,
        token_order: TokenOrder = "id",
        rng: Rng = None,
        **rule_args: Unpack[decode.RuleArgs],
    ) -> None:
        self.n = SOME.check(n, "n")
        self.rules = as_rules(rules, rule_args)
        self._spread = partial(
            ArithmeticCodes, n=self.n, codebook=codebook, codes=codes, token_order=token_order
        )
        self._spread(1, rng=0)  # bad arguments are reported here
        self._rng = settled(rng)
        self._codes: ArithmeticCodes | None = None
        self._text = torch.empty(0)
        self._texts = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return rows that are zero at the token of the text and minus infinity elsewhere.

        Parameters
        ----------
        input_ids : LongTensor, shape (prompts * n, T)
            The texts so far.
        scores : tensor, shape (prompts * n, V)
            The logits.

        Returns
        -------
        tensor, shape (prompts * n, V)
            A new tensor.

        Raises
        ------
        ValueError
            If a score is NaN or plus infinity, a row has no finite one, the rows are not `n` for
            each prompt, or ``generate`` is to do something else with the scores.
        TypeError
            If the scores are no floats.
        """
        codes = self._codes
        if codes is None or not torch.equal(input_ids[:, :-1], self._text):
            codes = self._begin(input_ids)
        tokens = codes.step(scores, self.rules)
        self._codes, self._text = codes, input_ids
        return torch.full_like(scores, -math.inf).scatter_(1, tokens[:, None], 0.0)

    def _begin(self, prompts: torch.Tensor) -> ArithmeticCodes:
        """Return codes for texts that begin, in a ``generate`` that leaves the tokens to them."""
        rows = len(prompts)
        outer = enclosing_generate()
        config = outer.get("generation_config")
        if config is not None:
            _refuse(config, outer)
        if rows % self.n:
            raise ValueError(f"n: must divide the {rows} rows of the batch, got {self.n}")
        groups = prompts.reshape(rows // self.n, self.n, -1)
        if not torch.equal(groups, groups[:, :1].expand_as(groups)):
            raise ValueError(f"n: rows must hold each prompt {self.n} times in a row")
        stream = stream_of(self._rng)
        step, self._texts = self._texts, self._texts + 1
        return self._spread(rows // self.n, rng=stream, step=step)


def _refuse(config: Any, outer: Any) -> None:
    """Raise if ``generate`` would not take the tokens as they are."""
    mode = config.get_generation_mode(outer.get("assistant_model"))
    if mode is not GenerationMode.SAMPLE:
        raise ValueError(
            "do_sample: must be True, without beams or an assistant, for "
            f"ArithmeticLogitsProcessor, got the mode {mode.value}"
        )
    for name, value in configured(config).items():
        raise ValueError(
            f"{name}: generate() would apply {value} after ArithmeticLogitsProcessor; give it to "
            "the processor, and generate() temperature=1.0, top_k=0, top_p=1.0"
        )
