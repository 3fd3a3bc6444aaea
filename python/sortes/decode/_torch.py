"""The decode family on tensors of another device: the same laws, in Torch operations.

The logits are never copied to the host, and the host never waits: a row that cannot be drawn from
is reported in the result, by the token -1 and by NaN. Uniforms are those of the native module.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from sortes import _core, _philox
from sortes._arrays import numbers_of
from sortes._check import UNIT
from sortes._device import is_on_device, to_device
from sortes.decode._call import Request, as_bias, as_mask, check_mask, row_ids, streams_of
from sortes.decode._torch_rules import CRITICAL, Params, Survivors, collision, deviation, narrow
from sortes.decode.rules import Rules

#: Tokens whose weights are summed before the draw looks into one such block.
_BLOCK = 1024

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Uniforms(NamedTuple):
    """Where the random numbers of a call come from: a stream for all rows, or one for each."""

    streams: list[_core.Stream]
    rows: Any

    def of(self, purpose: str, batch: int, device: torch.device) -> torch.Tensor:
        """Return a number of each row on [0, 1), float64 of shape (B, 1)."""
        keys = np.array([stream.key for stream in self.streams], np.uint64)
        steps = np.array([stream.step for stream in self.streams], np.int64)
        key = keys.astype(np.uint32).astype(np.int64), (keys >> np.uint64(32)).view(np.int64)
        number = _core.PURPOSES[purpose]
        if is_on_device(self.rows):
            rows = _device_rows(self.rows, batch)
            low, high, step = (to_device(part, device) for part in (*key, steps))
            draws: torch.Tensor = _philox.draws((low, high), rows, step, number)
            return draws.double()[:, None] * _philox.ULP
        # The counters are known here: one small copy costs less than a hundred small kernels.
        ids = np.arange(batch) if self.rows is None else row_ids(self.rows, batch)
        uniforms = _philox.draws(key, ids.astype(np.int64), steps, number) * _philox.ULP
        return to_device(uniforms, device)[:, None]


class Logits(NamedTuple):
    """The logits of a call as they were given, and as the rules take them.

    Attributes
    ----------
    given : tensor, shape (B, V)
        The logits in the caller's type.
    x : tensor of float32, shape (B, V)
        The same with bias and mask.
    bad : tensor of bool, shape (B, 1)
        Whether `x` holds NaN or plus infinity.
    biased : bool
        Whether logits in `x` differ from those given.
    one_dim : bool
        Whether the caller gave one row.
    """

    given: torch.Tensor
    x: torch.Tensor
    bad: torch.Tensor
    biased: bool
    one_dim: bool

    def wrap(self, result: torch.Tensor) -> torch.Tensor:
        """Return a result of shape (B, ...) in the caller's shape."""
        return result[0] if self.one_dim else result


def read(logits: torch.Tensor, request: Request | None = None) -> Logits:
    """Check logits, with the bias and the mask of a request."""
    x = logits.detach()
    if x.dtype not in _FLOATS:
        expected = "float32, float16, bfloat16 or float64"
        raise TypeError(f"logits: dtype must be {expected}, got {x.dtype}")
    if x.device.type == "mps":
        raise TypeError("logits: mps has no float64, which exact draws need; use logits.cpu()")
    if x.ndim not in (1, 2):
        raise ValueError(f"logits: must have shape (V,) or (B, V), got {tuple(x.shape)}")
    if x.shape[-1] == 0:
        shape = tuple(x.shape)
        raise ValueError(f"logits: must have at least one column, got shape {shape}")
    one_dim = x.ndim == 1
    as_given = x[None] if one_dim else x
    x, biased = as_given.float(), False
    if request is not None and request.logit_bias is not None:
        x, biased = _biased(x, *as_bias(request.logit_bias)), True
    if request is not None and request.mask is not None:
        x = x.masked_fill(~_allowed(request.mask, x), -torch.inf)
    top = x.amax(1, keepdim=True)  # NaN if there is one
    return Logits(as_given, x, ~(top < torch.inf), biased, one_dim)


def uniforms_of(request: Request, batch: int) -> Uniforms:
    """Settle what the rows draw from: a generator is advanced, once for the call."""
    streams = streams_of(request, batch)
    return Uniforms([streams] if isinstance(streams, _core.Stream) else streams, request.rows)


def sample(
    logits: torch.Tensor,
    request: Request,
    uniforms: Any,
    top: int | None,
    processed: bool,
    out: Any,
) -> tuple[torch.Tensor, ...]:
    """Draw a token of each row: the fields of `SampleOutput`, only the first if `top` is None."""
    batch = read(logits, request)
    u = None if uniforms is None else _given_uniforms(uniforms, batch)
    drawing = uniforms_of(request, len(batch.x))
    survivors = narrowed(batch, request.rules, drawing)
    if u is None:
        u = drawing.of("token", len(batch.x), batch.x.device)
    tokens = _invert(survivors, u).masked_fill(batch.bad, -1)
    drawn = written(batch.wrap(tokens[:, 0]), out)
    if top is None:
        return (drawn,)
    details = _details(batch, survivors, tokens, top, processed)
    return (drawn, *(batch.wrap(part) for part in details))


def truncate(
    logits: torch.Tensor, request: Request, filter_value: float, scaled: bool, out: Any
) -> torch.Tensor:
    """Replace the logits of removed tokens; a row with NaN or plus infinity is all NaN."""
    batch = read(logits, request)
    rules = request.rules
    survivors = narrowed(batch, rules, uniforms_of(request, len(batch.x)))
    dtype = batch.given.dtype
    edited = batch.biased or "smoothing_factor" in rules.params
    values = survivors.shown() if edited else batch.given
    if scaled:
        values = _quotients(survivors, values, dtype)
    empty = batch.given.amax(1, keepdim=True) == -torch.inf  # such rows stay as they are
    kept = (survivors.x > -torch.inf) | empty
    # Rounded as the kernels do: to minus infinity where the type ends.
    fill = _constant(filter_value, batch).to(dtype)
    if filter_value > -torch.inf:
        fill = fill.expand_as(values).masked_fill(batch.x == -torch.inf, -torch.inf)
    result = torch.where(kept, values.to(dtype), fill).masked_fill(batch.bad, torch.nan)
    return written(batch.wrap(result), out)


def _quotients(survivors: Survivors, values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return logits divided by the temperature, the largest subtracted where it would not fit."""
    exact = torch.float64 if values.dtype == torch.float64 else torch.float32
    top = survivors.max().double() + survivors.offset
    too_large = (top / survivors.t).abs() > torch.finfo(dtype).max
    shift = torch.where(too_large, top, 0.0).to(exact)
    t = survivors.t
    quotients = (values.to(exact) - shift) / t.to(exact)
    return torch.where(t == 1, values.to(exact), quotients)


def keep_mask(logits: torch.Tensor, request: Request) -> torch.Tensor:
    """Tell which tokens are kept: none of a row with NaN or plus infinity."""
    batch = read(logits, request)
    survivors = narrowed(batch, request.rules, uniforms_of(request, len(batch.x)))
    return batch.wrap((survivors.x > -torch.inf) & ~batch.bad)


def cutoffs(logits: torch.Tensor, request: Request) -> torch.Tensor:
    """Return the lowest and the highest kept logit; NaN for a row that has none."""
    batch = read(logits, request)
    x = narrowed(batch, request.rules, uniforms_of(request, len(batch.x))).shown().double()
    lowest = x.masked_fill(x == -torch.inf, torch.inf).amin(1)
    ends = torch.stack([lowest, x.amax(1)], 1)
    return batch.wrap(ends.masked_fill(batch.bad | ends.isinf(), torch.nan))


def distribution(logits: torch.Tensor, request: Request) -> torch.Tensor:
    """Return the law of the draw, averaged over whether XTC acts; NaN for a row that has none."""
    batch, rules = read(logits, request), request.rules
    never = narrow(batch.x, rules, _constant(1.0, batch)).exact_ln_p().exp()
    law = never
    if rules.is_random:
        always = _constant(-1.0, batch)
        p = Params(rules, batch.x, always)["xtc_probability"]
        law = p * narrow(batch.x, rules, always).exact_ln_p().exp() + (1 - p) * never
    return batch.wrap(law.masked_fill(batch.bad, torch.nan))


def row_stats(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the fields of `RowStats`; NaN and -1 for a row with NaN or plus infinity."""
    batch = read(logits)
    survivors = Survivors(batch.x)
    _, z = survivors.law()
    finite, top = batch.x > -torch.inf, batch.x.amax(1, keepdim=True).double()
    n = finite.sum(1, keepdim=True)
    empty = n == 0
    mean = batch.x.double().masked_fill(batch.x == -torch.inf, 0).sum(1, keepdim=True) / n
    reals = {
        "max": top,
        "lse": top + z.log(),
        "entropy": survivors.entropy().masked_fill(empty, 0),
        "collision": collision(survivors).masked_fill(empty, 0),
        "mean": mean,
        "std": deviation(survivors, finite, 0),
    }
    found = {name: value.masked_fill(batch.bad, torch.nan)[:, 0] for name, value in reals.items()}
    found["lse"] = found["lse"].masked_fill(empty[:, 0], -torch.inf)
    argmax = batch.x.argmax(1, keepdim=True).masked_fill(batch.bad | empty, -1)
    found |= {"argmax": argmax[:, 0], "n_finite": n.masked_fill(batch.bad, -1)[:, 0]}
    fields = ("max", "argmax", "lse", "entropy", "collision", "n_finite", "mean", "std")
    return tuple(batch.wrap(found[name]) for name in fields)


def critical(logits: torch.Tensor, rule: str, sigma_ddof: int, ties: str) -> torch.Tensor:
    """Return the parameter at which each token leaves; NaN for a row that has none."""
    batch = read(logits)
    empty = ~(batch.x > -torch.inf).any(1, keepdim=True)
    result = CRITICAL[rule](Survivors(batch.x), {"sigma_ddof": sigma_ddof, "ties": ties})
    return batch.wrap(result.masked_fill(batch.bad | empty, torch.nan))


def narrowed(batch: Logits, rules: Rules, drawing: Uniforms) -> Survivors:
    """Return what the rules leave of logits."""
    uniform = _constant(1.0, batch)
    if rules.is_random:
        uniform = drawing.of("coin", len(batch.x), batch.x.device)
    return narrow(batch.x, rules, uniform)


def _constant(value: float, batch: Logits) -> torch.Tensor:
    return torch.full((1, 1), value, dtype=torch.float64, device=batch.x.device)


def _invert(survivors: Survivors, u: torch.Tensor) -> torch.Tensor:
    """Return the first ids whose running weight exceeds ``u`` times the total, of shape (B, 1)."""
    weights = survivors.drawn_weights()
    width = min(_BLOCK, weights.shape[1])
    padded = torch.nn.functional.pad(weights, (0, -weights.shape[1] % width))
    blocks = padded.view(len(weights), padded.shape[1] // width, width)
    sums = blocks.sum(2, dtype=torch.float64)
    through = sums.cumsum(1)
    target = u * through[:, -1:]
    block = first_beyond(sums, through, target).clamp_min(0)
    before = torch.where(block > 0, through.gather(1, (block - 1).clamp_min(0)), 0.0)
    inside = blocks.gather(1, block[:, :, None].expand(-1, -1, width))[:, 0]
    at = first_beyond(inside, before + inside.cumsum(1, dtype=torch.float64), target)
    return torch.where(at < 0, -1, block * width + at)


def first_beyond(
    weights: torch.Tensor, through: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return the first index with weight whose running sum exceeds the target, of shape (B, 1).

    Where rounding leaves none, the last with weight; -1 where nothing has weight. A weight is asked
    for because a device adds in parallel: its running sums may waver by a rounding.
    """
    n = weights.shape[1]
    every = torch.arange(n, device=weights.device)
    first = torch.where((weights > 0) & (through > target), every, n).amin(1, keepdim=True)
    last = torch.where(weights > 0, every, -1).amax(1, keepdim=True)
    return torch.where(first < n, first, last)


def _details(
    batch: Logits, survivors: Survivors, tokens: torch.Tensor, n: int, processed: bool
) -> tuple[torch.Tensor, ...]:
    """Return the log-probability, rank, mass, top ids and top log-probabilities of the tokens."""
    at = tokens.clamp_min(0)
    raw = Survivors(batch.given.float())
    rank = (raw.x >= raw.x.gather(1, at)).sum(1)
    whole = Survivors(survivors.whole)
    whole.set_temperature(survivors.t)
    lower = (survivors.max().double() - whole.max()) / survivors.t
    mass = (survivors.law()[1] / whole.law()[1] * lower.exp()).clamp_max(1)
    law = survivors if processed else raw
    ln_p = law.exact_ln_p()
    values, ids = (part[:, :n] for part in law.ranked("low"))
    fewer = (0, n - ids.shape[1])
    top = torch.nn.functional.pad(ln_p.gather(1, ids), fewer, value=-torch.inf)
    ids = torch.nn.functional.pad(ids.masked_fill(values == -torch.inf, -1), fewer, value=-1)
    bad = tokens < 0
    return (
        ln_p.gather(1, at).masked_fill(bad, torch.nan)[:, 0],
        rank.masked_fill(bad[:, 0], -1),
        mass.masked_fill(bad, torch.nan)[:, 0],
        ids.masked_fill(bad, -1),
        top.masked_fill(bad, torch.nan),
    )


def _biased(x: torch.Tensor, ids: Any, values: Any) -> torch.Tensor:
    outside = ids[(ids < 0) | (ids >= x.shape[1])]
    if outside.size:
        reason = f"id {outside[0]} is outside a vocabulary of {x.shape[1]} tokens"
        raise ValueError(f"logit_bias: {reason}")
    added = to_device(values, x.device).expand(len(x), -1)
    return x.index_add(1, to_device(ids, x.device), added)


def _allowed(mask: Any, x: torch.Tensor) -> torch.Tensor:
    """Return a mask of booleans, of shape (B, V) or (1, V)."""
    allowed: torch.Tensor
    if is_on_device(mask):
        allowed = mask[None] if mask.ndim == 1 else mask
        allowed = allowed.view(torch.int32) if allowed.dtype == torch.uint32 else allowed
    else:
        packed = np.require(
            as_mask(mask, x.shape), requirements="W"
        )  # Torch wants no read-only memory
        packed = packed.view(np.int32) if packed.dtype == np.uint32 else packed
        allowed = to_device(packed, x.device)
    if allowed.dtype not in (torch.bool, torch.int32):
        raise TypeError(f"mask: must be bool or packed uint32 bits, got dtype {allowed.dtype}")
    check_mask(tuple(allowed.shape), allowed.dtype == torch.bool, tuple(x.shape))
    if allowed.dtype == torch.bool:
        return allowed
    ids = torch.arange(x.shape[1], device=x.device)
    return (allowed.index_select(1, ids // 32) >> (ids % 32) & 1).bool()


def _given_uniforms(uniforms: Any, batch: Logits) -> torch.Tensor:
    device, n = batch.x.device, len(batch.x)
    if not is_on_device(uniforms):
        numbers = numbers_of(uniforms, "uniforms", UNIT, rows=n)
        uniforms = to_device(numbers if numbers.ndim else np.full(n, numbers), device)
    if tuple(uniforms.shape) not in ((), (n,)):
        raise ValueError(f"uniforms: must have shape ({n},), got {tuple(uniforms.shape)}")
    column: torch.Tensor = uniforms.double().expand(n)[:, None]
    return column


def _device_rows(rows: torch.Tensor, batch: int) -> torch.Tensor:
    if rows.dtype not in _INTEGERS:
        raise TypeError(f"rows: must be integers, got dtype {rows.dtype}")
    if rows.shape != (batch,):
        raise ValueError(f"rows: must have shape ({batch},), got {tuple(rows.shape)}")
    return rows.long() & 0xFFFFFFFF


def written(result: torch.Tensor, out: Any) -> torch.Tensor:
    """Return a result, in `out` if that is given."""
    if out is None:
        return result
    if not isinstance(out, torch.Tensor) or out.device != result.device:
        raise TypeError(f"out: must be a tensor on {result.device}")
    if out.dtype != result.dtype:
        raise TypeError(f"out: dtype must be {result.dtype}, got {out.dtype}")
    if out.shape != result.shape:
        shapes = f"{tuple(result.shape)}, got {tuple(out.shape)}"
        raise ValueError(f"out: must have shape {shapes}")
    return out.copy_(result)
