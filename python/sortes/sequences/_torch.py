"""Steps on tensors of another device: it looks for the tokens, the codes stay on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from sortes._device import to_device
from sortes.decode._torch import Uniforms, first_beyond, narrowed, read, written

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from sortes import _core
    from sortes.decode._call import Request
    from sortes.decode._torch_rules import Survivors


def step(
    codes: _core.sequences.arithmetic.ArithmeticCodes,
    logits: torch.Tensor,
    request: Request,
    finished: tuple[NDArray[np.bool_] | None, int],
    logprobs: bool,
    out: Any,
) -> tuple[torch.Tensor, ...]:
    """Take a token of each row: the tokens, and if asked for their log-probabilities.

    The logits stay where they are. What comes to the CPU, in one copy, is a token for each row and
    the ends of its part of the mass.
    """
    batch = read(logits, request)
    rows, vocabulary = batch.x.shape
    thresholds = codes.thresholds(rows, vocabulary)

    # 1. On the device: the first token whose end reaches the threshold of its row.
    survivors = narrowed(batch, request.rules, Uniforms(codes.streams(), np.zeros(rows, np.int64)))
    ids, weights = _ordered(codes, survivors)
    through = weights.cumsum(1, dtype=torch.float64)
    shares = through / through[:, -1:]
    below = to_device(np.nextafter(thresholds, 0), batch.x.device)[:, None]
    at = first_beyond(weights, shares, below)
    held = at.clamp_min(0)
    low = torch.where(at > 0, shares.gather(1, (held - 1).clamp_min(0)), 0.0)
    tokens = held if ids is None else ids.expand(rows, -1).gather(1, held)
    ln_p = survivors.exact_ln_p().gather(1, tokens)
    parts = (low, shares.gather(1, held), tokens, at < 0, batch.bad, ln_p)
    found = torch.cat([part.double() for part in parts], 1).cpu().numpy().T

    # 2. On the CPU: what is wrong with a row, then the integers.
    done, pad = finished
    _check_rows(found, done)
    known = np.ascontiguousarray(found[2]).astype(np.int64), np.ascontiguousarray(found[5])
    if done is not None:
        known[0][done], known[1][done] = pad, 0.0
    result, logprob = (batch.wrap(to_device(part, batch.x.device)) for part in known)
    result = written(result, out)
    ends = np.ascontiguousarray(found[0]), np.ascontiguousarray(found[1])
    codes.narrow(*ends, thresholds, done, vocabulary)
    return (result, logprob) if logprobs else (result,)


def _ordered(
    codes: _core.sequences.arithmetic.ArithmeticCodes, survivors: Survivors
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return the ids in the order of the codes, None for their own, and the weights in it."""
    weights = survivors.drawn_weights()
    if codes.token_order == "probability":
        _, ids = survivors.ranked("low")
        return ids, weights.gather(1, ids)
    if codes.token_order == "random":
        ids = to_device(codes.arrangement(weights.shape[1]), weights.device)
        return ids[None], weights.index_select(1, ids)
    return None, weights


def _check_rows(found: NDArray[np.float64], finished: NDArray[np.bool_] | None) -> None:
    for part, reason in ((found[4], "contains NaN or +inf"), (found[3], "no finite logit")):
        bad = part != 0
        if finished is not None:
            bad &= ~finished
        if bad.any():
            raise ValueError(f"logits: row {np.argmax(bad)}: {reason}")
