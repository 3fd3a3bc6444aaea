"""What a generation configuration says about the draw."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
import torch
import transformers

from sortes import decode
from sortes._check import shown

if TYPE_CHECKING:
    from transformers import GenerationConfig, LogitsProcessor


class _Field(NamedTuple):
    """A field of the configuration that makes ``generate`` add a warper.

    Attributes
    ----------
    default
        What ``generate`` puts in the place of None.
    acts
        Whether a value adds the warper.
    warper
        The name of that warper's class.
    """

    default: float | None
    acts: Callable[[Any], bool]
    warper: str


# In the order in which `generate` adds them; the names are those of our own arguments.
_FIELDS = {
    "temperature": _Field(1.0, lambda v: v != 1.0, "TemperatureLogitsWarper"),
    "top_h": _Field(None, lambda v: True, "TopHLogitsWarper"),
    "top_k": _Field(50, lambda v: v != 0, "TopKLogitsWarper"),
    "top_p": _Field(1.0, lambda v: v < 1.0, "TopPLogitsWarper"),
    "min_p": _Field(None, lambda v: True, "MinPLogitsWarper"),
    "typical_p": _Field(1.0, lambda v: v < 1.0, "TypicalLogitsWarper"),
    "epsilon_cutoff": _Field(0.0, lambda v: 0.0 < v < 1.0, "EpsilonLogitsWarper"),
    "eta_cutoff": _Field(0.0, lambda v: 0.0 < v < 1.0, "EtaLogitsWarper"),
}


# What else changes the law of a token, with the value besides None at which it does not.
_ELSEWHERE = {
    "guidance_scale": 1.0,
    "sequence_bias": None,
    "encoder_repetition_penalty": 1.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "remove_invalid_values": False,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "watermarking_config": None,
    "num_beams": 1,
    "penalty_alpha": 0.0,
    "dola_layers": None,
}

#: From a processor up to `generate`: its list, the decoding loop, and one function to spare.
_DEPTH = 5


def from_generation_config(
    config: GenerationConfig, **rule_args: Unpack[decode.RuleArgs]
) -> decode.Rules:
    """Return the rules that ``generate`` applies when it samples under a configuration.

    Parameters
    ----------
    config : transformers.GenerationConfig
        Fields that are None count as what ``generate`` takes in their place: ``top_k=50``. With
        ``do_sample=False`` they all stand back for ``temperature=0``, which is greedy; with
        ``do_sample=None`` the rules are those of sampling.
    **rule_args
        Rule arguments of `sortes.decode.sample`, added to those of the configuration or taking
        their place.

    Returns
    -------
    Rules
        In the order of ``generate``, for `sample`, `truncate` and the like.

    Raises
    ------
    ValueError
        If a value is outside the domain of its rule.
    TypeError
        If `config` is no configuration, or a rule argument has the wrong type or is unknown.

    Warns
    -----
    UserWarning
        If the configuration asks for something that is no rule, such as a penalty; the warning
        names it all. `sortes.penalize` applies penalties, and ``generate`` everything.

    Examples
    --------
    >>> from transformers import GenerationConfig
    >>> config = GenerationConfig(temperature=0.7, top_p=0.9)
    >>> sorted(from_generation_config(config).params)
    ['temperature', 'top_k', 'top_p']
    """
    if not isinstance(config, transformers.GenerationConfig):
        raise TypeError(f"config: must be a GenerationConfig, got {shown(config)}")
    left_out = ", ".join(
        f"{name}={shown(value)}"
        for name, neutral in _ELSEWHERE.items()
        if (value := getattr(config, name, None)) is not None and value != neutral
    )
    if left_out:
        warnings.warn(
            f"config: these are no rules and are left out: {left_out}; sortes.penalize applies "
            "penalties, and inside generate() they act as ever",
            UserWarning,
            stacklevel=2,
        )
    if config.do_sample is False:
        greedy: dict[str, Any] = {"temperature": 0.0}
        return decode.Rules(**{**greedy, **rule_args})
    return rules_of_sampling(config, **rule_args)


def rules_of_sampling(
    config: GenerationConfig, **rule_args: Unpack[decode.RuleArgs]
) -> decode.Rules:
    """Return the rules of a configuration, whose other fields ``generate`` has seen to."""
    return decode.Rules(**{**configured(config), **rule_args})


def rules_of_rows(rules: decode.Rules, rows: list[int]) -> decode.Rules:
    """Return the rules of some rows, of those that have values for each."""
    params = {
        name: value if np.ndim(value) == 0 else value[rows] for name, value in rules.params.items()
    }
    if all(params[name] is value for name, value in rules.params.items()):
        return rules
    return decode.Rules(**params, order=rules.order, **rules.options)


def processors_of_rows(processors: Any, rows: list[int]) -> Any:
    """Return the processors for some rows, of those that hold something for each."""
    out = []
    for processor in processors:
        skipped = getattr(processor, "prompt_ignore_length", None)
        if isinstance(skipped, torch.Tensor):  # that of repetitions, from transformers 5.24 on
            processor = copy.copy(processor)
            processor.prompt_ignore_length = skipped[rows]
        out.append(processor)
    return type(processors)(out)


def configured(config: GenerationConfig) -> dict[str, Any]:
    """Return the fields of `config` for which ``generate`` adds a warper."""
    values = {}
    for name, field in _FIELDS.items():
        value = getattr(config, name, None)
        value = field.default if value is None else value
        if value is not None and field.acts(value):
            values[name] = value
    return values


def without_warpers(
    processors: list[LogitsProcessor], config: GenerationConfig
) -> list[LogitsProcessor]:
    """Return the processors without the warpers that ``generate`` added for `config`.

    They follow the user's own processors, so they are the last of their class. The normalisation
    that may end the list goes as well: no draw depends on it, and scores get it at the end.
    """
    kept = list(processors)
    ends = [_FIELDS[name].warper for name in configured(config)]
    if getattr(config, "renormalize_logits", False):
        ends.append("LogitNormalization")
    for name in ends:
        added = getattr(transformers, name)
        last = max((i for i, p in enumerate(kept) if type(p) is added), default=None)
        if last is not None:
            del kept[last]
    return kept


def enclosing_generate() -> Mapping[str, Any]:
    """Return the variables of the ``generate`` call that this one is inside of, if there is one.

    ``generate`` passes a ``custom_generate`` function neither the streamer nor the assistant
    model, and a processor not the configuration: this is the only way to learn of them.
    """
    frame = sys._getframe(1)
    for _ in range(_DEPTH):
        if frame.f_back is None:
            break
        frame = frame.f_back
        if frame.f_code.co_name == "generate":
            names = frame.f_locals
            if isinstance(names.get("generation_config"), transformers.GenerationConfig):
                return names
    return {}


def generate_with(processor: LogitsProcessor) -> Mapping[str, Any]:
    """Return the variables of the outermost ``generate`` call that was given a processor.

    Assisted generation hands its processors on to the ``generate`` of the assistant.
    """
    found: Mapping[str, Any] = {}
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_code.co_name == "generate":
            names = frame.f_locals
            is_one = isinstance(names.get("generation_config"), transformers.GenerationConfig)
            if is_one and any(one is processor for one in names.get("logits_processor") or ()):
                found = names
        frame = frame.f_back
    return found


def warn_of_second_cut(processor: LogitsProcessor, rules: decode.Rules) -> None:
    """Warn if `rules`, which act after the processor, cut or temper what it returns."""
    if rules.params:
        said = ", ".join(
            f"{name}={value:g}" if isinstance(value, float) else name
            for name, value in rules.params.items()
        )
        warnings.warn(
            f"generate() applies {said} after {type(processor).__name__}; switch that off "
            "(temperature=1.0, top_k=0, top_p=1.0), or pass all rules to one SortesLogitsWarper or "
            "to custom_generate=sortes.integrations.transformers.sample",
            UserWarning,
            stacklevel=3,
        )
