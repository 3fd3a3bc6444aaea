"""A decoding loop for ``generate`` in which the draw is ours."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, get_args

import torch
from transformers import StopStringCriteria
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.utils import (
    ALL_CACHE_NAMES,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

from sortes import Interrupted, decode
from sortes._check import one_of, shown
from sortes._interrupt import OnInterrupt
from sortes.integrations.transformers._config import (
    enclosing_generate,
    rules_of_sampling,
    warn_of_second_cut,
    without_warpers,
)
from sortes.integrations.transformers._rng import stream_of
from sortes.integrations.transformers._warpers import Truncation

#: What outputs call the cache: the second name until transformers 5.23.
_CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike

    from sortes._progress import Callback
    from sortes._rng import Rng

RULE_ARGS = tuple(decode.RuleArgs.__annotations__)
_GREEDY = decode.Rules(temperature=0.0)


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
    return decoded(
        *(model, input_ids, logits_processor, stops, generation_config),
        *(synced_gpus, streamer, rng, kwargs),
        lambda rules, stream: _Independent(rules, stream, rows),
        on_interrupt=on_interrupt,
    )


class Drawing(Protocol):
    """How the loop gets its tokens."""

    def coins(self, step: int) -> dict[str, Any]:
        """Return `rng`, `rows` and `step` for the rules that act at random."""

    def tokens(
        self, logits: torch.Tensor, step: int, unfinished: torch.Tensor | None
    ) -> torch.Tensor:
        """Return a token for each row; None says that no text can end before the others."""

    def known(self, steps: int) -> dict[str, torch.Tensor]:
        """Return what the output holds beside the texts, of the first steps."""


class _Independent:
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


def decoded(
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
    *,
    on_interrupt: str = "raise",
    progress: Callback | None = None,
) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
    """Decode as `sample` says, with the tokens of ``begin(rules, stream)``.

    Ctrl-C raises `sortes.Interrupted`, or returns what there is.
    """
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    rule_args = {name: kwargs.pop(name) for name in RULE_ARGS if name in kwargs}
    outer = enclosing_generate()
    streamer = streamer if streamer is not None else outer.get("streamer")
    refuse(generation_config, outer, synced_gpus, rule_args)
    if generation_config.do_sample:
        rules = rules_of_sampling(generation_config, **rule_args)
        processors = without_warpers(logits_processor, generation_config)
        for processor in processors:
            if isinstance(processor, Truncation):
                warn_of_second_cut(processor, rules)
    else:
        rules, processors = _GREEDY, list(logits_processor)
    logits_processor = type(logits_processor)(processors)
    stream = stream_of(rng)
    record = _Record(generation_config, model.config.is_encoder_decoder)
    drawing = begin(rules, stream)
    length = input_ids.shape[1]
    record.keep(input_ids, kwargs)

    pad = generation_config._pad_token_tensor
    pads = pad is not None and any(hasattr(c, "eos_token_id") for c in stopping_criteria)
    unfinished = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    outputs = model._prefill(input_ids, generation_config, kwargs)
    step = 0
    ends = _interrupts(lambda: record.output(drawing), streamer, on_interrupt)
    with ends, model._optimize_model_for_decode():
        while True:
            kwargs = model._update_model_kwargs_for_generation(
                outputs, kwargs, is_encoder_decoder=model.config.is_encoder_decoder
            )
            logits = outputs.logits[:, -1]
            if processors or record.logits is not None:
                raw = logits.to(copy=True, dtype=torch.float32, device=input_ids.device)
                logits = logits_processor(input_ids, raw)
                record.add_logits(raw)
            record.add_scores(logits, rules, drawing.coins(step))
            record.add_states(outputs)
            tokens = drawing.tokens(logits, step, unfinished if pads else None)
            tokens = tokens.to(input_ids.device)
            if pads:
                tokens = torch.where(unfinished, tokens, pad.to(tokens.device))
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            record.keep(input_ids, kwargs)
            if progress is not None:
                progress(step + 1, max(generation_config.max_length - length, 0))
            if streamer is not None:
                streamer.put(tokens.cpu())
            unfinished &= ~stopping_criteria(input_ids, record.scores)
            if not unfinished.any():
                break

            del outputs, logits  # the logits of a long prompt need not outlive their step
            inputs = model.prepare_inputs_for_generation(
                input_ids, next_sequence_length=1 if kwargs["use_cache"] else None, **kwargs
            )
            outputs = model(**inputs, return_dict=True)
            step += 1

    if streamer is not None:
        streamer.end()
    return record.output(drawing)


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


class _Record:
    """The texts so far, and what ``return_dict_in_generate`` asks to be kept of the steps.

    Attributes
    ----------
    scores, logits
        One tensor for each step, or None if nobody asked.
    """

    _sequences: torch.Tensor
    _kwargs: dict[str, Any]

    def __init__(self, config: Any, is_encoder_decoder: bool) -> None:
        def asked(name: str) -> tuple[Any, ...] | None:
            return () if config.return_dict_in_generate and getattr(config, name) else None

        self._steps = -1  # the prompt comes first
        self._is_wanted = config.return_dict_in_generate
        self.scores = asked("output_scores")
        self._normalises = config.renormalize_logits
        self.logits = asked("output_logits")
        self._attentions = asked("output_attentions")
        self._cross_attentions = self._attentions
        self._hidden_states = asked("output_hidden_states")
        self._is_encoder_decoder = is_encoder_decoder

    def keep(self, sequences: torch.Tensor, model_kwargs: dict[str, Any]) -> None:
        """Keep the texts, which are a token longer, and what the model is told with them."""
        self._sequences, self._kwargs = sequences, model_kwargs
        self._steps += 1

    def add_logits(self, logits: torch.Tensor) -> None:
        if self.logits is not None:
            self.logits += (logits,)

    def add_scores(self, logits: torch.Tensor, rules: decode.Rules, coins: dict[str, Any]) -> None:
        if self.scores is None:
            return
        scores = logits.to(copy=True, dtype=torch.float32)
        if rules is not _GREEDY:  # without sampling, ``generate`` has no warpers
            scores = decode.truncate(scores, rules, scaled=True, **coins)
            scores = scores.log_softmax(-1) if self._normalises else scores
        self.scores += (scores,)

    def add_states(self, outputs: Any) -> None:
        decoder = "decoder_" if self._is_encoder_decoder else ""
        if self._attentions is not None:
            self._attentions += (outputs[f"{decoder}attentions"],)
        if self._cross_attentions is not None and self._is_encoder_decoder:
            self._cross_attentions += (outputs.cross_attentions,)
        if self._hidden_states is not None:
            self._hidden_states += (outputs[f"{decoder}hidden_states"],)

    def output(
        self, drawing: Drawing
    ) -> torch.Tensor | GenerateDecoderOnlyOutput | GenerateEncoderDecoderOutput:
        """Return the texts, or the record in the class that ``generate`` uses for the model."""
        if not self._is_wanted:
            return self._sequences
        names = (name for name in ALL_CACHE_NAMES if name in self._kwargs)
        output: Any
        common: dict[str, Any] = {
            "sequences": self._sequences,
            "scores": self._whole(self.scores),
            "logits": self._whole(self.logits),
            _CACHE: self._kwargs.get(next(names, "")),
        }
        attentions, states = self._whole(self._attentions), self._whole(self._hidden_states)
        if not self._is_encoder_decoder:
            output = GenerateDecoderOnlyOutput(
                **common, attentions=attentions, hidden_states=states
            )
        else:
            encoder = self._kwargs["encoder_outputs"]
            output = GenerateEncoderDecoderOutput(
                **common,
                encoder_attentions=encoder.get("attentions") if attentions else None,
                encoder_hidden_states=encoder.get("hidden_states") if states else None,
                decoder_attentions=attentions,
                cross_attentions=self._whole(self._cross_attentions),
                decoder_hidden_states=states,
            )
        for name, value in drawing.known(self._steps).items():
            output[name] = value
        return output  # type: ignore[no-any-return]

    def _whole(self, parts: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Return the parts of steps that came to their end, which an interrupted one did not."""
        return None if parts is None else parts[: self._steps]
