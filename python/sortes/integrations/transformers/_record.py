"""What ``generate`` returns, as it comes to be."""

from __future__ import annotations

from typing import Any

import torch
from transformers.generation.utils import (
    ALL_CACHE_NAMES,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
)

from sortes import decode

#: What outputs call the cache: the second name until transformers 5.23.
_CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"


class Record:
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

        self._prompt: int | None = None
        self._is_wanted = config.return_dict_in_generate
        self.scores = asked("output_scores")
        self._normalises = config.renormalize_logits
        self._cuts = config.do_sample  # without sampling, ``generate`` has no warpers
        self.logits = asked("output_logits")
        self._attentions = asked("output_attentions")
        self._cross_attentions = self._attentions
        self._hidden_states = asked("output_hidden_states")
        self._is_encoder_decoder = is_encoder_decoder

    def keep(self, sequences: torch.Tensor, model_kwargs: dict[str, Any]) -> None:
        """Keep the texts, the prompt first, and what the model is told with them."""
        self._sequences, self._kwargs = sequences, model_kwargs
        if self._prompt is None:
            self._prompt = sequences.shape[1]

    def add_logits(self, logits: torch.Tensor, step: int, rows: list[int] | None) -> None:
        """Keep the logits of a step: of all texts, or of these."""
        if self.logits is not None:
            self.logits = self._with(self.logits, logits, step, rows)

    def add_scores(
        self,
        logits: torch.Tensor,
        rules: decode.Rules,
        coins: dict[str, Any],
        step: int,
        rows: list[int] | None,
    ) -> None:
        """Keep the scores of a step: of all texts, or of these."""
        if self.scores is None:
            return
        scores = logits.to(copy=True, dtype=torch.float32)
        if self._cuts:
            scores = decode.truncate(scores, rules, scaled=True, **coins)
            scores = scores.log_softmax(-1) if self._normalises else scores
        self.scores = self._with(self.scores, scores, step, rows)

    def _with(
        self, parts: tuple[torch.Tensor, ...], part: torch.Tensor, step: int, rows: list[int] | None
    ) -> tuple[torch.Tensor, ...]:
        """Return parts with one of a step; rows that never come to it have zeros."""
        if rows is None:
            return (*parts[:step], part)
        if len(parts) == step:
            parts += (part.new_zeros((len(self._sequences), part.shape[1])),)
        parts[step][rows] = part
        return parts

    def add_states(self, outputs: Any) -> None:
        decoder = "decoder_" if self._is_encoder_decoder else ""
        if self._attentions is not None:
            self._attentions += (outputs[f"{decoder}attentions"],)
        if self._cross_attentions is not None and self._is_encoder_decoder:
            self._cross_attentions += (outputs.cross_attentions,)
        if self._hidden_states is not None:
            self._hidden_states += (outputs[f"{decoder}hidden_states"],)

    def output(
        self, known: dict[str, Any]
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
        for name, value in known.items():
            output[name] = value
        return output  # type: ignore[no-any-return]

    def _whole(self, parts: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Return the parts of steps that came to their end, which an interrupted one did not."""
        return None if parts is None else parts[: len(self)]

    def __len__(self) -> int:
        """Return how many steps the texts have come."""
        return self._sequences.shape[1] - (self._prompt or 0)
