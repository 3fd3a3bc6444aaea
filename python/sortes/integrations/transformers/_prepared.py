"""What loops over whole texts take from ``generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from sortes import decode
from sortes.integrations.transformers._beginnings import Beginnings
from sortes.integrations.transformers._config import (
    enclosing_generate,
    rules_of_sampling,
    without_warpers,
)
from sortes.integrations.transformers._generate import RULE_ARGS, refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What a text may end by.
_CRITERIA = (MaxLengthCriteria, EosTokenCriteria)


class Prepared(NamedTuple):
    """The model, its law, and how long texts may be.

    Attributes
    ----------
    beginnings
        The logits behind the prompt and more.
    rules
        What acts on them.
    ends
        Tokens that end a text.
    length
        How many tokens it may have.
    """

    beginnings: Beginnings
    rules: decode.Rules
    ends: list[int] | None
    length: int


def prepared(
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    config: Any,
    synced_gpus: bool,
    streamer: Any,
    kwargs: dict[str, Any],
    max_cached_tokens: int | None,
    instead: str,
    *,
    draws: bool,
) -> Prepared:
    """Take over what ``generate`` has prepared; `instead` is what to use for a streamer."""
    rule_args = {name: kwargs.pop(name) for name in RULE_ARGS if name in kwargs}
    outer = enclosing_generate()
    refuse(config, outer, synced_gpus, rule_args)
    streamer = streamer if streamer is not None else outer.get("streamer")
    _refuse_settings(model, input_ids, stopping_criteria, config, streamer, instead, draws)

    rules, processors = decode.Rules(), list(logits_processor)
    if config.do_sample:
        rules = rules_of_sampling(config, **rule_args)
        processors = without_warpers(logits_processor, config)
    ends = config._eos_token_tensor
    left = type(logits_processor)(processors)
    return Prepared(
        Beginnings(model, input_ids, left, config, kwargs, max_cached_tokens),
        rules,
        None if ends is None else ends.reshape(-1).tolist(),
        config.max_length - input_ids.shape[1],
    )


def behind_prompt(prompt: torch.Tensor, texts: NDArray[np.int64], config: Any) -> torch.Tensor:
    """Return prompt and texts; the pad token of the configuration is behind their ends."""
    tokens = torch.from_numpy(texts).to(prompt)
    pad = config._pad_token_tensor
    tokens = tokens.masked_fill(tokens < 0, 0 if pad is None else int(pad))
    return torch.cat([prompt.expand(len(tokens), -1), tokens], 1)


def _refuse_settings(
    model: Any,
    input_ids: torch.Tensor,
    criteria: Any,
    config: Any,
    streamer: Any,
    instead: str,
    draws: bool,
) -> None:
    """Raise if the settings of ``generate`` contradict a search."""
    if draws and not config.do_sample:
        raise ValueError("do_sample: must be True for texts that are drawn, got False")
    if model.config.is_encoder_decoder:
        raise ValueError("model: must be decoder-only, got an encoder-decoder")
    n = config.num_return_sequences or 1
    if n != 1:
        raise ValueError(f"num_return_sequences: must be 1 (give num_samples), got {n}")
    if len(input_ids) != 1:
        reason = "call generate for each, with a step of its own"
        raise ValueError(f"input_ids: must hold one prompt, got {len(input_ids)} ({reason})")
    for name in ("output_scores", "output_logits"):
        if getattr(config, name):
            raise ValueError(f"{name}: a search has no scores by step, got True (see logprobs)")
    if streamer is not None:
        raise ValueError(f"streamer: is not supported ({instead})")
    for criterion in criteria:
        if not isinstance(criterion, _CRITERIA):
            name = type(criterion).__name__
            raise ValueError(f"stopping_criteria: a search cannot stop by {name}")
    length = config.max_length - input_ids.shape[1]
    if length < 1:
        raise ValueError(f"max_new_tokens: must be at least 1, got {length}")
