"""Drafts that are verified on the device where the target's logits are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sortes import _core
from sortes._device import is_on_device, to_device
from sortes._rng import as_streams
from sortes.decode import _torch
from sortes.sequences._drafts import flat, lengths_of, shapes_fit, tokens_of

if TYPE_CHECKING:
    from sortes.decode._call import Request


def by_drawing(
    draft_tokens: Any, logits: torch.Tensor, lengths: Any, request: Request
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the target's token at every place at once, and compare: nothing waits for the device."""
    *lead, each, width = logits.shape
    texts = math.prod(lead)
    tokens = draft_tokens if is_on_device(draft_tokens) else tokens_of(draft_tokens, "draft_tokens")
    shapes_fit(tuple(tokens.shape), (*lead, each))
    for name, value in request.rules.params.items():
        if not isinstance(value, float):
            raise ValueError(f"{name}: must be one number for all texts on a device")

    # 1. A row for each place, in the stream of its text at the step of the place.
    ids = np.arange(texts) if request.rows is None else flat(request.rows)
    if ids.shape != (texts,):
        raise ValueError(f"rows: must have shape ({texts},), got {ids.shape}")
    streams = as_streams(request.rng, texts, request.step)
    of_text = [streams] * texts if isinstance(streams, _core.Stream) else streams
    places = [stream.advance(place) for stream in of_text for place in range(each)]
    mask = request.mask
    if mask is not None:
        mask = mask.reshape(-1, mask.shape[-1])
    asked = request._replace(mask=mask, rows=np.repeat(ids, each), rng=places, step=0)
    drawn = _torch.sample(logits.reshape(-1, width), asked, None, None, False, None)[0]
    drawn = drawn.reshape(texts, each)

    # 2. The draft is followed up to the first place at which it differs.
    if not is_on_device(tokens):
        tokens = to_device(tokens, logits.device)
    places_of = torch.arange(each, device=logits.device)
    agree = drawn[:, :-1] == tokens.reshape(texts, each - 1)
    if lengths is not None:
        known = to_device(lengths_of(lengths, tuple(lead), each - 1), logits.device)
        agree = agree & (places_of[:-1] < known[:, None])
    accepted = agree.long().cumprod(1).sum(1)
    text = drawn.masked_fill(places_of > accepted[:, None], -1)
    return accepted.reshape(lead), text.reshape(*lead, each)
