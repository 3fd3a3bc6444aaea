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
from sortes._rng import as_streams, keys_and_step
from sortes.decode._call import as_bias, as_mask, row_ids
from sortes.decode._torch_rules import Params, Survivors, collision, deviation, narrow
from sortes.decode.rules import Rules

#: Tokens whose weights are summed before the draw looks into one such block.
_BLOCK = 1024

#: What `sortes.decode._call.prepare` takes beside the logits.
Given = tuple[Any, Any, int, Any, Any]
_NOTHING: Given = (0, None, 0, None, None)

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class Coins(NamedTuple):
    """Where the random numbers of a call come from."""

    streams: _core.Stream | list[_core.Stream]
    rows: Any

    def uniforms(self, purpose: int, batch: int, device: torch.device) -> torch.Tensor:
        """Return a number of each row on [0, 1), float64 of shape (B, 1)."""
        keys, step = keys_and_step(self.streams)
        keys = np.atleast_1d(np.asarray(keys, np.uint64))
        low, high = keys.astype(np.uint32).astype(np.int64), (keys >> np.uint64(32)).view(np.int64)
        if is_on_device(self.rows):
            rows = _device_rows(self.rows, batch)
            key = to_device(low, device), to_device(high, device)
            draws: torch.Tensor = _philox.draws(key, rows, step, purpose)
            return draws.double()[:, None] * _philox.ULP
        # The counters are known here: one small copy costs less than a hundred small kernels.
        ids = np.arange(batch) if self.rows is None else row_ids(self.rows, batch)
        uniforms = _philox.draws((low, high), ids.astype(np.int64), step, purpose) * _philox.ULP
        return to_device(uniforms, device)[:, None]


class Batch(NamedTuple):
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


def read(logits: torch.Tensor, given: Given = _NOTHING) -> tuple[Batch, Coins]:
    """Check logits and what comes with them."""
    rng, rows, step, logit_bias, mask = given
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
    x = as_given.float()
    if logit_bias is not None:
        x = _biased(x, *as_bias(logit_bias))
    if mask is not None:
        x = x.masked_fill(~_allowed(mask, x), -torch.inf)
    top = x.amax(1, keepdim=True)  # NaN if there is one
    batch = Batch(as_given, x, ~(top < torch.inf), logit_bias is not None, one_dim)
    return batch, Coins(as_streams(rng, len(x), step), rows)


def sample(
    logits: torch.Tensor,
    rules: Rules,
    uniforms: Any,
    given: Given,
    top: int,
    processed: bool,
    out: Any,
) -> tuple[torch.Tensor, ...]:
    """Draw a token of each row: the fields of `SampleOutput`, only the first if `top` < 0."""
    batch, coins = read(logits, given)
    survivors = _narrow(batch, rules, coins)
    if uniforms is None:
        u = coins.uniforms(_core.PURPOSES["token"], len(batch.x), batch.x.device)
    else:
        u = _given_uniforms(uniforms, batch)
    tokens = _invert(survivors, u).masked_fill(batch.bad, -1)
    drawn = _write(batch.wrap(tokens[:, 0]), out)
    if top < 0:
        return (drawn,)
    details = _details(batch, survivors, tokens, top, processed)
    return (drawn, *(batch.wrap(part) for part in details))


def truncate(
    logits: torch.Tensor, rules: Rules, given: Given, filter_value: float, out: Any
) -> torch.Tensor:
    """Replace the logits of removed tokens; a row with NaN or plus infinity is all NaN."""
    batch, coins = read(logits, given)
    survivors = _narrow(batch, rules, coins)
    edited = batch.biased or "smoothing_factor" in rules.params
    values = survivors.x.to(batch.given.dtype) if edited else batch.given
    empty = batch.given.amax(1, keepdim=True) == -torch.inf  # such rows stay as they are
    kept = (survivors.x > -torch.inf) | empty
    # Rounded as the kernels do: to minus infinity where the type ends.
    fill = _constant(filter_value, batch).to(values.dtype)
    result = torch.where(kept, values, fill).masked_fill(batch.bad, torch.nan)
    return _write(batch.wrap(result), out)


def keep_mask(logits: torch.Tensor, rules: Rules, given: Given) -> torch.Tensor:
    """Tell which tokens are kept: none of a row with NaN or plus infinity."""
    batch, coins = read(logits, given)
    survivors = _narrow(batch, rules, coins)
    return batch.wrap((survivors.x > -torch.inf) & ~batch.bad)


def cutoffs(logits: torch.Tensor, rules: Rules, given: Given) -> torch.Tensor:
    """Return the lowest and the highest kept logit; NaN for a row that has none."""
    batch, coins = read(logits, given)
    x = _narrow(batch, rules, coins).x.double()
    lowest = x.masked_fill(x == -torch.inf, torch.inf).amin(1)
    ends = torch.stack([lowest, x.amax(1)], 1)
    return batch.wrap(ends.masked_fill(batch.bad | ends.isinf(), torch.nan))


def distribution(logits: torch.Tensor, rules: Rules, given: Given) -> torch.Tensor:
    """Return the law of the draw, averaged over XTC's coin; NaN for a row that has none."""
    batch, _ = read(logits, given)
    law = narrow(batch.x, rules, _constant(1.0, batch)).exact_ln_p().exp()
    if "xtc_probability" in rules.params and "xtc" in rules.order:
        p = Params(rules, batch.x)["xtc_probability"]
        law = p * narrow(batch.x, rules, _constant(-1.0, batch)).exact_ln_p().exp() + (1 - p) * law
    return batch.wrap(law.masked_fill(batch.bad, torch.nan))


def row_stats(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the fields of `RowStats`; NaN and -1 for a row with NaN or plus infinity."""
    batch, _ = read(logits)
    survivors = Survivors(batch.x)
    _, _, z = survivors.law()
    n, top = survivors.count(), batch.x.amax(1, keepdim=True).double()
    empty = n == 0
    mean = batch.x.double().masked_fill(batch.x == -torch.inf, 0).sum(1, keepdim=True) / n
    reals = {
        "max": top,
        "lse": top + z.log(),
        "entropy": survivors.entropy().masked_fill(empty, 0),
        "collision": collision(survivors).masked_fill(empty, 0),
        "mean": mean,
        "std": deviation(survivors, 0),
    }
    found = {name: value.masked_fill(batch.bad, torch.nan)[:, 0] for name, value in reals.items()}
    found["lse"] = found["lse"].masked_fill(empty[:, 0], -torch.inf)
    argmax = batch.x.argmax(1, keepdim=True).masked_fill(batch.bad | empty, -1)
    found |= {"argmax": argmax[:, 0], "n_finite": n.masked_fill(batch.bad, -1)[:, 0]}
    fields = ("max", "argmax", "lse", "entropy", "collision", "n_finite", "mean", "std")
    return tuple(batch.wrap(found[name]) for name in fields)


def critical(logits: torch.Tensor, rule: str, sigma_ddof: int, ties: str) -> torch.Tensor:
    """Return the parameter at which each token leaves; NaN for a row that has none."""
    batch, _ = read(logits)
    survivors = Survivors(batch.x)
    empty = ~(batch.x > -torch.inf).any(1, keepdim=True)
    result = _critical(survivors, rule, sigma_ddof, ties)
    return batch.wrap(result.masked_fill(batch.bad | empty, torch.nan))


def _critical(survivors: Survivors, rule: str, sigma_ddof: int, ties: str) -> torch.Tensor:
    x = survivors.x
    if rule == "top_n_sigma":
        return (survivors.max() - x.double()) / deviation(survivors, sigma_ddof)
    p = survivors.exact_ln_p().exp()
    if rule == "eta":
        return torch.maximum(p, (p * survivors.entropy().exp()).square())
    if rule in ("top_k", "top_p"):
        values, ids = survivors.ranked(ties)
        # Where the tokens with this logit begin in the ranked row.
        first = torch.searchsorted(-values, -values)
        before = torch.nn.functional.pad(p.gather(1, ids).cumsum(1)[:, :-1], (1, 0))
        before = before.gather(1, first) if ties == "all" else before
        ranked = before if rule == "top_p" else (first + 1).double()
        return torch.zeros_like(ranked).scatter(1, ids, ranked)
    return p / p.amax(1, keepdim=True) ** {"epsilon": 0, "min_p": 1, "top_a": 2}[rule]


def _narrow(batch: Batch, rules: Rules, coins: Coins) -> Survivors:
    coin = _constant(1.0, batch)
    if "xtc_probability" in rules.params and "xtc" in rules.order:
        coin = coins.uniforms(_core.PURPOSES["coin"], len(batch.x), batch.x.device)
    return narrow(batch.x, rules, coin)


def _constant(value: float, batch: Batch) -> torch.Tensor:
    return torch.full((1, 1), value, dtype=torch.float64, device=batch.x.device)


def _invert(survivors: Survivors, u: torch.Tensor) -> torch.Tensor:
    """Return the first ids whose running weight exceeds ``u`` times the total, of shape (B, 1)."""
    _, weights, _ = survivors.law()
    width = min(_BLOCK, weights.shape[1])
    padded = torch.nn.functional.pad(weights, (0, -weights.shape[1] % width))
    blocks = padded.view(len(weights), padded.shape[1] // width, width)
    sums = blocks.sum(2, dtype=torch.float64)
    through = sums.cumsum(1)
    target = u * through[:, -1:]
    block = _first_beyond(sums, through, target).clamp_min(0)
    before = torch.where(block > 0, through.gather(1, (block - 1).clamp_min(0)), 0.0)
    inside = blocks.gather(1, block[:, :, None].expand(-1, -1, width))[:, 0]
    at = _first_beyond(inside, before + inside.cumsum(1, dtype=torch.float64), target)
    return torch.where(at < 0, -1, block * width + at)


def _first_beyond(
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
    batch: Batch, survivors: Survivors, tokens: torch.Tensor, n: int, processed: bool
) -> tuple[torch.Tensor, ...]:
    """Return the log-probability, rank, mass, top ids and top log-probabilities of the tokens."""
    at = tokens.clamp_min(0)
    raw = Survivors(batch.given.float())
    rank = (raw.x >= raw.x.gather(1, at)).sum(1)
    whole = Survivors(survivors.whole)
    whole.heat(survivors.t)
    lower = (survivors.max().double() - whole.max()) / survivors.t
    mass = (survivors.law()[2] / whole.law()[2] * lower.exp()).clamp_max(1)
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
        packed = np.require(as_mask(mask), requirements="W")  # Torch wants no read-only memory
        packed = packed.view(np.int32) if packed.dtype == np.uint32 else packed
        allowed = to_device(packed, x.device)
    if allowed.dtype not in (torch.bool, torch.int32):
        raise TypeError(f"mask: must be bool or packed uint32 bits, got dtype {allowed.dtype}")
    batch, vocabulary = x.shape
    width = vocabulary if allowed.dtype == torch.bool else -(-vocabulary // 32)
    if tuple(allowed.shape) not in ((1, width), (batch, width)):
        raise ValueError(f"mask: expected shape ({batch}, {width}), got {tuple(allowed.shape)}")
    if allowed.dtype == torch.bool:
        return allowed
    ids = torch.arange(vocabulary, device=x.device)
    return (allowed.index_select(1, ids // 32) >> (ids % 32) & 1).bool()


def _given_uniforms(uniforms: Any, batch: Batch) -> torch.Tensor:
    device, n = batch.x.device, len(batch.x)
    if not is_on_device(uniforms):
        uniforms = to_device(numbers_of(uniforms, "uniforms", UNIT, rows=n), device)
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


def _write(result: torch.Tensor, out: Any) -> torch.Tensor:
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
