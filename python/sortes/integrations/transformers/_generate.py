"""A decoding loop for ``generate`` in which the draw is ours."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, get_args

import torch
from transformers import StopStringCriteria
from transformers.generation.configuration_utils import GenerationMode

from sortes import Interrupted, decode
from sortes._check import one_of, shown
from sortes._interrupt import OnInterrupt
from sortes._rng import holds_streams
from sortes.integrations.transformers._config import (
    enclosing_generate,
    processors_of_rows,
    rules_of_rows,
    rules_of_sampling,
    warn_of_second_cut,
    without_warpers,
)
from sortes.integrations.transformers._record import Record
from sortes.integrations.transformers._rng import ids_of_rows, stream_of
from sortes.integrations.transformers._warpers import Truncation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import ArrayLike
    from transformers.generation.utils import (
        GenerateDecoderOnlyOutput,
        GenerateEncoderDecoderOutput,
    )

    from sortes._progress import Callback
    from sortes._rng import Rng

RULE_ARGS = tuple(decode.RuleArgs.__annotations__)
GREEDY = decode.Rules(temperature=0.0)


def sample(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    synced_gpus: bool = False,
    streamer: Any = None,
    *,
    stop_strings: str | list[str] | None = None,
    tokenizer: Any = None,
    rows: ArrayLike | None = None,
    on_interrupt: OnInterrupt = "raise",
    rng: Rng = None,
    **kwargs: Any,
) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
    """Generate text with the rules and the draw of `sortes`: ``custom_generate=sample``.

    What ``generate`` prepares is used as it is: cache, stopping criteria, streamer, penalties and
    the user's logits processors. The warpers that its configuration asks for are applied inside
    the draw, in the same order, together with the rules below.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config
        Filled in by ``generate``.
    synced_gpus
        Not supported.
    streamer
        Pass it to ``generate`` as ever.
    stop_strings : str or list of str, optional
        Texts end with these, as in ``generate``.
    tokenizer : PreTrainedTokenizerBase, optional
        Needed for `stop_strings`. ``generate`` does not pass its own `tokenizer` on, so bind it:
        ``custom_generate=functools.partial(sample, tokenizer=tokenizer)``.
    rows : array_like of int, shape (B,), optional
        Stream ids of the rows, by default 0, 1, ... The text of a row does not depend on the others
        of its batch, as long as its logits do not.
    on_interrupt : {"raise", "return"}, default "raise"
        What Ctrl-C does: raise `sortes.Interrupted`, whose ``partial`` is what would have been
        returned, as far as it came; or return that.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        The same seed gives the same text. None draws a key from Torch's global generator, so that
        ``torch.manual_seed`` and ``transformers.set_seed`` decide.
    **kwargs
        Every rule argument of `sortes.decode.sample` is taken from the arguments of ``generate``,
        in the place of the configuration's value; ``temperature=0`` is greedy. All else goes to
        the model.

    Returns
    -------
    LongTensor, shape (B, T), or ModelOutput
        What ``generate`` returns: prompt and text, and more if ``return_dict_in_generate``.

    Raises
    ------
    ValueError
        For beams, an assistant or another mode that does not draw one token per text and step; for
        rules together with ``do_sample=False``; for stop strings without a tokenizer; for a bad
        argument.
    Interrupted
        If Ctrl-C stopped it.

    Notes
    -----
    A step costs what greedy decoding costs, and one read of the logits in the dtype of the model:
    they are neither copied nor converted unless a logits processor is to see them. ``scores``, if
    asked for, are the logits that the rules left, divided by the temperature, and normalised if
    ``renormalize_logits`` says so; without sampling, those that the processors left.

    The configuration's ``top_k`` is 50 unless something else says otherwise, as ever.

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
    >>> text = model.generate(
    ...     torch.tensor([[1, 5, 7]]),
    ...     custom_generate=sample,
    ...     do_sample=True,
    ...     eta_cutoff=3e-4,
    ...     max_new_tokens=4,
    ...     rng=0,
    ... )
    >>> text.shape
    torch.Size([1, 7])
    """
    stops = with_stop_strings(stopping_criteria, stop_strings, tokenizer)
    return Decoding(
        *(model, input_ids, logits_processor, stops, generation_config),
        *(synced_gpus, streamer, rng, kwargs),
        lambda rules, stream: Independent(rules, stream, rows),
        on_interrupt,
    ).run()


class Drawing(Protocol):
    """How the loop gets its tokens."""

    @property
    def rules(self) -> decode.Rules:
        """The rules of the rows."""

    def coins(self, step: int) -> dict[str, Any]:
        """Return `rng`, `rows` and `step` for the rules that act at random."""

    def tokens(
        self, logits: torch.Tensor, step: int, unfinished: torch.Tensor | None
    ) -> torch.Tensor:
        """Return a token for each row; None says that no text can end before the others."""

    def known(self, steps: int) -> dict[str, torch.Tensor]:
        """Return what the output holds beside the texts, of the first steps."""

    def of(self, rows: list[int]) -> Drawing | None:
        """Return how some of the rows get their tokens; None if it takes all at once."""


class Independent:
    """Each text draws on its own."""

    def __init__(self, rules: decode.Rules, stream: Any, rows: ArrayLike | None) -> None:
        self.rules, self.stream, self.rows = rules, stream, rows

    def coins(self, step: int) -> dict[str, Any]:
        return {"rng": self.stream, "rows": self.rows, "step": step}

    def tokens(
        self, logits: torch.Tensor, step: int, unfinished: torch.Tensor | None
    ) -> torch.Tensor:
        drawn: torch.Tensor = decode.sample(logits, self.rules, **self.coins(step))
        return drawn

    def known(self, steps: int) -> dict[str, torch.Tensor]:
        return {}

    def of(self, rows: list[int]) -> Independent:
        known = ids_of_rows(self.rows)
        ids = rows if known is None else known[rows]
        stream = (
            [self.stream[i] for i in rows] if holds_streams(self.stream, "rng") else self.stream
        )
        return type(self)(rules_of_rows(self.rules, rows), stream, ids)


class Decoding:
    """What decoding loops have in common: what happens at a place of a text, and what is kept.

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config, synced_gpus, streamer
        As ``generate`` gave them, the criteria with those of stop strings.
    rng, kwargs
        The randomness; what the model is told, and arguments of rules, which are taken out.
    begin
        Makes the `Drawing` of rules and a stream.
    on_interrupt
        What Ctrl-C does.
    """

    def __init__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        synced_gpus: bool,
        streamer: Any,
        rng: Rng,
        kwargs: dict[str, Any],
        begin: Callable[[decode.Rules, Any], Drawing],
        on_interrupt: str,
    ) -> None:
        one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
        rule_args = {name: kwargs.pop(name) for name in RULE_ARGS if name in kwargs}
        outer = enclosing_generate()
        self.streamer = streamer if streamer is not None else outer.get("streamer")
        refuse(generation_config, outer, synced_gpus, rule_args)
        if generation_config.do_sample:
            self.rules = rules_of_sampling(generation_config, **rule_args)
            processors = without_warpers(logits_processor, generation_config)
            for processor in processors:
                if isinstance(processor, Truncation):
                    warn_of_second_cut(processor, self.rules)
        else:
            self.rules, processors = GREEDY, list(logits_processor)
        self.processors = type(logits_processor)(processors)
        self.criteria, self.config, self.model = stopping_criteria, generation_config, model
        self.prompt, self.kwargs, self.on_interrupt = input_ids, kwargs, on_interrupt
        self.record = Record(generation_config, model.config.is_encoder_decoder)
        self.drawing = begin(self.rules, stream_of(rng))
        self.record.keep(input_ids, kwargs)
        #: Returns what else the output says.
        self.counts: Callable[[], dict[str, Any]] = dict
        pad = generation_config._pad_token_tensor
        ends = any(hasattr(c, "eos_token_id") for c in stopping_criteria)
        #: What follows the end of a text, if one can end before the others.
        self.pad = pad if ends else None

    def draw(
        self,
        ids: torch.Tensor,
        logits: torch.Tensor,
        unfinished: torch.Tensor,
        rows: list[int] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw the next token of texts.

        Parameters
        ----------
        ids : LongTensor, shape (n, T)
            The texts so far.
        logits : tensor, shape (n, V)
            Those of the model behind them.
        unfinished : tensor of bool, shape (n,)
            Whether they have not ended.
        rows : list of int, optional
            Their places in the batch, unless they are all of it.

        Returns
        -------
        tuple
            The texts with one more token, and whether each ends with it.
        """
        step = ids.shape[1] - self.prompt.shape[1]
        drawing, record = self.drawing_of(rows), self.record
        if self.processors or record.logits is not None:
            raw = logits.to(copy=True, dtype=torch.float32, device=ids.device)
            own = self.processors if rows is None else processors_of_rows(self.processors, rows)
            logits = own(ids, raw)
            record.add_logits(raw, step, rows)
        record.add_scores(logits, drawing.rules, drawing.coins(step), step, rows)
        tokens = drawing.tokens(logits, step, unfinished if self.pad is not None else None)
        tokens = tokens.to(ids.device)
        if self.pad is not None:
            tokens = torch.where(unfinished, tokens, self.pad.to(tokens.device))
        ids = torch.cat([ids, tokens[:, None]], dim=-1)
        return ids, self.criteria(ids, record.scores)

    def drawing_of(self, rows: list[int] | None) -> Drawing:
        """Return how some of the texts get their tokens."""
        drawing = self.drawing if rows is None else self.drawing.of(rows)
        if drawing is None:
            raise RuntimeError("texts that belong together are drawn together")
        return drawing

    def processed(self, ids: torch.Tensor, logits: torch.Tensor, rows: list[int]) -> torch.Tensor:
        """Return what the processors make of the logits behind some of the texts."""
        if not self.processors:
            return logits
        raw = logits.to(copy=True, dtype=torch.float32)
        processed: torch.Tensor = processors_of_rows(self.processors, rows)(ids, raw)
        return processed

    def report(self, ids: torch.Tensor, progress: Callback | None) -> None:
        """Keep texts that are a token longer, and show that they are."""
        self.record.keep(ids, self.kwargs)
        if progress is not None:
            length = self.prompt.shape[1]
            progress(ids.shape[1] - length, max(self.config.max_length - length, 0))
        if self.streamer is not None:
            self.streamer.put(ids[:, -1].cpu())

    def output(self) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
        """Return what ``generate`` returns, as far as it came."""
        return self.record.output({**self.drawing.known(len(self.record)), **self.counts()})

    def interrupts(self) -> AbstractContextManager[None]:
        """Turn Ctrl-C into the end of the texts, or into `Interrupted` with what there is."""
        return _interrupts(self.output, self.streamer, self.on_interrupt)

    def run(
        self, progress: Callback | None = None, outputs: Any = None
    ) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
        """Decode token by token; `outputs` are those of the prompt, if the model has seen it."""
        model, ids = self.model, self.prompt
        unfinished = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        if outputs is None:
            outputs = model._prefill(ids, self.config, self.kwargs)
        with self.interrupts(), model._optimize_model_for_decode():
            while True:
                self.kwargs = model._update_model_kwargs_for_generation(
                    outputs, self.kwargs, is_encoder_decoder=model.config.is_encoder_decoder
                )
                self.record.add_states(outputs)
                ids, ended = self.draw(ids, outputs.logits[:, -1], unfinished)
                self.report(ids, progress)
                unfinished &= ~ended
                if not unfinished.any():
                    break

                del outputs  # the logits of a long prompt need not outlive their step
                inputs = model.prepare_inputs_for_generation(
                    ids, next_sequence_length=1 if self.kwargs["use_cache"] else None, **self.kwargs
                )
                outputs = model(**inputs, return_dict=True)
        if self.streamer is not None:
            self.streamer.end()
        return self.output()


@contextmanager
def _interrupts(output: Callable[[], Any], streamer: Any, on_interrupt: str) -> Iterator[None]:
    """Turn Ctrl-C into the end of the texts, or into `Interrupted` with what there is of them."""
    try:
        yield
    except KeyboardInterrupt:
        if on_interrupt == "return":
            return
        if streamer is not None:
            streamer.end()
        raise Interrupted(output()) from None


def with_rule_arguments(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature that tells ``generate`` which of its arguments are ours."""
    signature = inspect.signature(function)
    *own, rest = signature.parameters.values()
    named = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in RULE_ARGS]
    return signature.replace(parameters=[*own, *named, rest])


sample.__signature__ = with_rule_arguments(sample)  # type: ignore[attr-defined]


def with_stop_strings(criteria: Any, stop_strings: Any, tokenizer: Any) -> Any:
    """Return the criteria with the one that ``generate`` would have made of stop strings."""
    if stop_strings is None:
        return criteria
    texts = [stop_strings] if isinstance(stop_strings, str) else stop_strings
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            f"stop_strings: must be a string or a list of strings, got {shown(stop_strings)}"
        )
    if not texts or not all(texts):
        raise ValueError(f"stop_strings: must not be empty, got {shown(stop_strings)}")
    if tokenizer is None:
        raise ValueError(
            "tokenizer: is needed for stop_strings, and generate() does not pass it on; write "
            "custom_generate=functools.partial(sample, tokenizer=tokenizer)"
        )
    return type(criteria)([*criteria, StopStringCriteria(tokenizer, list(texts))])


def refuse(config: Any, outer: Any, synced_gpus: bool, rule_args: dict[str, Any]) -> None:
    """Raise if this loop cannot do what the call of ``generate`` asks for."""
    mode = config.get_generation_mode(outer.get("assistant_model"))
    if mode not in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH):
        raise ValueError(
            f"custom_generate: sortes draws one token per text and step, got the mode {mode.value}"
        )
    if synced_gpus or outer.get("synced_gpus"):
        raise ValueError("synced_gpus: is not supported by custom_generate, got True")
    if config.watermarking_config is not None:
        raise ValueError("watermarking_config: is not supported by custom_generate")
    if rule_args and not config.do_sample:
        raise ValueError(f"do_sample: must be True with {', '.join(rule_args)}, got False")
