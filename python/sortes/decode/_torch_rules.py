"""Truncation rules in Torch operations, for tensors that stay on their device.

Nothing here waits for the device: no value of a tensor decides which operation comes next. What is
compared is float64, exponentials included; only the weights of the draw are float32, as in the
kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import torch

from sortes._device import is_on_device, to_device
from sortes.decode._table import GREEDY, TABLE
from sortes.decode.rules import DEFAULTS, Rules

_TOP_H_HEAD = 100
#: Logarithms of weights are cut here before they meet a weight of zero.
_DEEPEST = -745.0
#: What is this far below the largest logit has a probability of zero in float64.
_ABSENT = 745.0
#: What is nearer than this part of itself counts as equal, as in the kernels; and sums of rounded
#: terms.
_TIE = 2.0**-50
_TIE_OF_SUMS = 2.0**-46


class Params:
    """The parameters of a batch as columns of shape (1, 1) or (B, 1), in float64.

    Attributes
    ----------
    options
        What holds for all rows.
    uniform
        A number of each row on [0, 1), for rules that act at random.
    """

    def __init__(self, rules: Rules, x: torch.Tensor, uniform: torch.Tensor) -> None:
        self.options: dict[str, Any] = {
            "ties": "high",
            "top_p_boundary": "smallest",
            "sigma_ddof": 0,
            "p_less_normalized": False,
            "protected_ids": None,
            **rules.options,
        }
        self.uniform = uniform
        self._device, self._vocabulary = x.device, x.shape[1]
        self._given: Mapping[str, Any] = rules.params
        for name, value in self._given.items():
            if not isinstance(value, float) and len(value) != len(x):
                raise ValueError(f"{name}: has {len(value)} values for {len(x)} rows of logits")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def __getitem__(self, name: str) -> torch.Tensor:
        value = self._given.get(name, DEFAULTS[name])
        if isinstance(value, float):
            return torch.full((1, 1), value, dtype=torch.float64, device=self._device)
        if not is_on_device(value):
            value = to_device(value.copy(), self._device)  # Torch wants no read-only memory
        column: torch.Tensor = value.to(self._device)[:, None]
        return column

    def bounds(self, name: str) -> tuple[float, float]:
        """Return what the host knows of the least and the greatest value over all rows."""
        value = self._given.get(name, DEFAULTS[name])
        if is_on_device(value):
            return -math.inf, math.inf
        return float(np.min(value, initial=math.inf)), float(np.max(value, initial=-math.inf))

    def protected(self) -> torch.Tensor | None:
        """Return the ids that XTC must not remove."""
        ids = self.options["protected_ids"]
        return None if ids is None else to_device(ids[ids < self._vocabulary], self._device)


class Survivors:
    """The tokens that are left of each row, and the law of the draw among them.

    Attributes
    ----------
    x : tensor of float32, shape (B, V)
        The logits, minus infinity where a token was removed.
    whole : tensor of float32, shape (B, V)
        The logits before any token was removed.
    t : tensor of float64, shape (B, 1) or (1, 1)
        The temperature.
    offset : tensor of float64, shape (B, 1) or (1, 1)
        What to add to a logit to show it: rules that rewrite a row leave differences.
    """

    def __init__(self, x: torch.Tensor) -> None:
        self.x = self.whole = x
        self.t = torch.ones((1, 1), dtype=torch.float64, device=x.device)
        self.offset = torch.zeros_like(self.t)
        self._law: tuple[torch.Tensor, torch.Tensor] | None = None

    def rewrite(self, x: torch.Tensor, offset: torch.Tensor) -> None:
        """Replace the logits by differences, before any token is removed."""
        self.x = self.whole = x
        self.offset = self.offset + offset
        self._law = None

    def shown(self) -> torch.Tensor:
        """Return the logits as they are shown, in float32."""
        return (self.x.double() + self.offset).float()

    def keep(self, kept: torch.Tensor) -> None:
        """Remove all other tokens."""
        self.x = self.x.masked_fill(~kept, -torch.inf)
        self._law = None

    def set_temperature(self, t: torch.Tensor) -> None:
        """Set the temperature."""
        self.t = t
        self._law = None

    def max(self) -> torch.Tensor:
        """Return the largest logits, float32 of shape (B, 1); finite even in an empty row."""
        return self.x.amax(1, keepdim=True).clamp_min(torch.finfo(torch.float32).min)

    def depth(self) -> torch.Tensor:
        """Return ``(l - max) / t`` in float64, the logarithms of the weights."""
        return (self.x.double() - self.max()) / self.t

    def law(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights in float64, and their sum of shape (B, 1)."""
        if self._law is None:
            weights = self.depth().exp()
            self._law = weights, weights.sum(1, keepdim=True)
        return self._law

    def drawn_weights(self) -> torch.Tensor:
        """Return the weights in float32, by which a token is drawn as the kernels draw it."""
        scale = (1 / self.t).float().clamp_min(torch.finfo(torch.float32).tiny)
        return ((self.x - self.max()) * scale).exp()

    def exact_ln_p(self) -> torch.Tensor:
        """Return the logarithms of the probabilities in float64; NaN in an empty row."""
        return self.depth().log_softmax(1)

    def entropy(self) -> torch.Tensor:
        """Return the entropy in nats, of shape (B, 1)."""
        weights, z = self.law()
        terms = weights * self.depth().clamp_min(_DEEPEST)
        return (z.log() - terms.sum(1, keepdim=True) / z).clamp_min(0)

    def counted(self) -> torch.Tensor:
        """Tell which tokens count where a rule averages over those that are left.

        Those further below the largest have no probability, and are bans that were written as
        numbers.
        """
        return (self.x > -torch.inf) & (self.x >= self.max().double() - _ABSENT)

    def count(self) -> torch.Tensor:
        """Return how many tokens count, of shape (B, 1)."""
        return self.counted().sum(1, keepdim=True)

    def logit_of(self, ln_p: torch.Tensor) -> torch.Tensor:
        """Return the logit of a token with the probability ``exp(ln_p)``."""
        return self.max() + self.t * (self.law()[1].log() + ln_p)

    def cut_at(self, ln_p: torch.Tensor) -> torch.Tensor:
        """Return where a token of the probability ``exp(ln_p)`` is cut from others: before it."""
        cut, ln_z = self.logit_of(ln_p), self.law()[1].log()
        ties = _TIE * self.max().double().abs() + _TIE * self.t * (ln_z.abs() + ln_p.abs())
        return torch.where(cut.isfinite(), cut - ties, cut)

    def keep_likely(self, ln_p: torch.Tensor, params: Params) -> None:
        """Keep the tokens of at least this log-probability; the most likely in any case."""
        self.keep_from(self.cut_at(ln_p), params)

    def keep_from(self, cut: torch.Tensor, params: Params) -> None:
        """Keep the logits from a cut in float64 on; the largest in any case, ties included."""
        cut = torch.minimum(cut, self.max())
        if "min_tokens_to_keep" in params:
            _, most = params.bounds("min_tokens_to_keep")
            cut = torch.minimum(cut, self.kth_largest(params["min_tokens_to_keep"], most))
        self.keep(self.x >= ceiling(cut))

    def kth_largest(self, k: torch.Tensor, largest_k: float) -> torch.Tensor:
        """Return the k-th largest logits, or the smallest where there are fewer."""
        most = int(min(max(largest_k, 1), self.x.shape[1]))
        at = k.clamp(1, most).long() - 1
        return self.x.topk(most).values.gather(1, at.expand(len(self.x), 1))

    def ranked(self, ties: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits and their ids, the largest first, equals in the order of `ties`."""
        if ties == "low":
            return torch.sort(self.x, stable=True, descending=True)
        values, ids = torch.sort(self.x, stable=True)
        return values.flip(1), ids.flip(1)

    def keep_first(
        self, n: torch.Tensor, values: torch.Tensor, ids: torch.Tensor, ties: str
    ) -> None:
        """Keep the first `n` of what `ranked` returned; with ``"all"``, the last one's equals."""
        last = n.clamp(1, values.shape[1]) - 1
        bound, bound_id = values.gather(1, last), ids.gather(1, last)
        every = torch.arange(self.x.shape[1], device=self.x.device)
        inside = every <= bound_id if ties == "low" else every >= bound_id
        at_bound = (self.x == bound) & (inside | (ties == "all"))
        self.keep((self.x > bound) | at_bound)


def narrow(x: torch.Tensor, rules: Rules, uniform: torch.Tensor) -> Survivors:
    """Apply the rules to logits.

    Parameters
    ----------
    x : tensor of float32, shape (B, V)
        The logits; biased and masked already.
    rules
        The rules.
    uniform : tensor of float64, shape (B, 1) or (1, 1)
        A number of each row: XTC acts where it is below its probability.

    Returns
    -------
    Survivors
        What is left. Rows without a finite logit stay as they are.
    """
    params = Params(rules, x, uniform)
    survivors = Survivors(x)
    # Smoothing acts first wherever it stands.
    for rule in sorted(rules.order, key=lambda rule: rule != "smoothing"):
        if any(name in params for name in TABLE[rule].switches):
            RULES[rule](survivors, params)
    return survivors


def ceiling(cut: torch.Tensor) -> torch.Tensor:
    """Return the smallest float32 that is not below a float64: both cut float32 logits alike."""
    nearest = cut.float()
    above = torch.nextafter(nearest, torch.full_like(nearest, torch.inf))
    return torch.where(nearest.double() < cut, above, nearest)


def _smoothing(survivors: Survivors, params: Params) -> None:
    factor, curve = params["smoothing_factor"], params["smoothing_curve"]
    x, top = survivors.x, survivors.max().double()
    d = x.double() - top
    smooth = (curve - 1) / 2 * factor * d**3 - (3 - curve) / 2 * factor * d**2
    on = factor > 0
    survivors.rewrite(smooth.float().where(on & (x > -torch.inf), x), top.where(on, 0.0))


def _temperature(survivors: Survivors, params: Params) -> None:
    t = params["temperature"]
    if "dynatemp_range" in params:
        width, n = params["dynatemp_range"], survivors.count()
        low, high = (t - width).clamp_min(0), t + width
        share = (survivors.entropy() / n.double().log()).clamp(0, 1)
        dynamic = low + (high - low) * share ** params["dynatemp_exponent"]
        t = dynamic.where((width > 0) & (n > 1), t)
    if "dynatemp_range" in params or params.bounds("temperature")[0] < GREEDY:
        greedy = t < GREEDY
        every = torch.arange(survivors.x.shape[1], device=survivors.x.device)
        survivors.keep(~greedy | (every == survivors.x.argmax(1, keepdim=True)))
        t = t.masked_fill(greedy, 1.0)
    survivors.set_temperature(t)


def _top_n_sigma(survivors: Survivors, params: Params) -> None:
    scale, n = params["top_n_sigma"], survivors.count()
    sigma = deviation(survivors, survivors.counted(), params.options["sigma_ddof"])
    cut = survivors.max() - scale * sigma * (1 + _TIE_OF_SUMS)
    survivors.keep_from(cut.where((scale > 0) & (n > 1), -torch.inf), params)


def deviation(survivors: Survivors, kept: torch.Tensor, ddof: int) -> torch.Tensor:
    """Return the standard deviation of some of the logits, of shape (B, 1)."""
    n = kept.sum(1, keepdim=True)
    d = (survivors.x.double() - survivors.max()).masked_fill(~kept, 0)
    mean = d.sum(1, keepdim=True) / n
    squares = (d - mean).masked_fill(~kept, 0).square().sum(1, keepdim=True)
    return (squares / (n - ddof)).sqrt()


def _top_h(survivors: Survivors, params: Params) -> None:
    share, ties = params["top_h"], params.options["ties"]
    values, ids = survivors.ranked(ties)
    weights = survivors.law()[0].gather(1, ids[:, :_TOP_H_HEAD])
    q = weights / weights.sum(1, keepdim=True)
    terms = -torch.special.xlogy(q, q)
    spent, whole = terms.cumsum(1), terms.sum(1, keepdim=True)
    n = (spent <= share * whole * (1 + _TIE_OF_SUMS)).sum(1, keepdim=True).clamp_min(1)
    n = n.masked_fill(share >= 1, _TOP_H_HEAD).masked_fill(share.isinf(), values.shape[1])
    survivors.keep_first(n, values, ids, ties)


def _top_k(survivors: Survivors, params: Params) -> None:
    k = params["top_k"]
    most = max(params.bounds(name)[1] for name in ("top_k", "min_tokens_to_keep"))
    cut = survivors.kth_largest(torch.maximum(k, params["min_tokens_to_keep"]), most)
    survivors.keep(survivors.x >= cut.where(k >= 1, -torch.inf))


def _top_p(survivors: Survivors, params: Params) -> None:
    survivors.keep_first(*_nucleus(survivors, params))


def _top_k_top_p(survivors: Survivors, params: Params) -> None:
    nucleus = _nucleus(survivors, params) if "top_p" in params else None
    if "top_k" in params:
        _top_k(survivors, params)
    if nucleus is not None:
        survivors.keep_first(*nucleus)


def _nucleus(
    survivors: Survivors, params: Params
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, str]:
    """Return how many of the ranked tokens top-p keeps, and these."""
    p, ties = params["top_p"], params.options["ties"]
    boundary = params.options["top_p_boundary"]
    values, ids = survivors.ranked(ties)
    through = survivors.law()[0].gather(1, ids).cumsum(1)
    before, target = torch.nn.functional.pad(through[:, :-1], (1, 0)), p * through[:, -1:]
    if boundary == "lenient":
        kept = before <= target * (1 + _TIE)
    elif boundary == "exclude":
        kept = through <= target * (1 + _TIE)
    else:
        kept = before < target * (1 - _TIE)
    n = kept.sum(1, keepdim=True)
    n = torch.maximum(n, params["min_tokens_to_keep"].long()).masked_fill(p >= 1, values.shape[1])
    return n, values, ids, "all" if boundary == "ties_all" else ties


def _min_p(survivors: Survivors, params: Params) -> None:
    cut = survivors.max() + survivors.t * params["min_p"].log()
    survivors.keep_from(cut, params)


def _typical(survivors: Survivors, params: Params) -> None:
    p = params["typical_p"]
    centre = survivors.logit_of(-survivors.entropy())
    distance = (centre - survivors.x).abs()
    ranked, ids = distance.sort(1)
    mass = survivors.law()[0].gather(1, ids).cumsum(1)
    crossing = (mass < p * mass[:, -1:] * (1 - _TIE)).sum(1, keepdim=True)
    crossing = torch.maximum(crossing, params["min_tokens_to_keep"].long() - 1)
    furthest = ranked.gather(1, crossing.clamp_max(ranked.shape[1] - 1))
    survivors.keep((distance <= furthest) | (p >= 1))


def _epsilon(survivors: Survivors, params: Params) -> None:
    survivors.keep_likely(params["epsilon_cutoff"].log(), params)


def _eta(survivors: Survivors, params: Params) -> None:
    ln_epsilon = params["eta_cutoff"].log()
    ln_eta = torch.minimum(ln_epsilon, 0.5 * ln_epsilon - survivors.entropy())
    survivors.keep_likely(ln_eta, params)


def _tfs(survivors: Survivors, params: Params) -> None:
    if survivors.x.shape[1] < 3:
        return
    z, ties, n = params["tfs"], params.options["ties"], survivors.count()
    values, ids = survivors.ranked(ties)
    p = survivors.law()[0].gather(1, ids)
    curvature = (p[:, :-2] - 2 * p[:, 1:-1] + p[:, 2:]).abs()
    inside = torch.arange(curvature.shape[1], device=p.device) < n - 2
    curvature = curvature.masked_fill(~inside, 0)
    total = curvature.sum(1, keepdim=True)
    stay = (((curvature / total).cumsum(1) <= z * (1 + _TIE_OF_SUMS)) & inside).sum(1, keepdim=True)
    stay = torch.maximum(1 + stay, params["min_tokens_to_keep"].long())
    stay = stay.masked_fill((z >= 1) | (n < 3) | (total <= 0), values.shape[1])
    survivors.keep_first(torch.minimum(stay, n), values, ids, ties)


def _top_a(survivors: Survivors, params: Params) -> None:
    _, z = survivors.law()
    survivors.keep_likely(params["top_a"].log() - 2 * z.log(), params)


def _p_less(survivors: Survivors, params: Params) -> None:
    threshold = collision(survivors)
    if params.options["p_less_normalized"]:
        n = survivors.count().double()
        threshold = ((n * threshold - 1) / (n - 1)).where(n > 1, 0.0).clamp_min(0)
    ln_p = threshold.log().where(params["p_less"] > 0, -torch.inf)
    survivors.keep_likely(ln_p, params)


def collision(survivors: Survivors) -> torch.Tensor:
    """Return ``sum(p**2)``, of shape (B, 1)."""
    weights, z = survivors.law()
    return weights.square().sum(1, keepdim=True) / z**2


def _mirostat(survivors: Survivors, params: Params) -> None:
    survivors.keep_likely(-params["mirostat_mu"] * math.log(2), params)


def _xtc(survivors: Survivors, params: Params) -> None:
    x = survivors.x
    cut = survivors.cut_at(params["xtc_threshold"].log())
    likely = x >= ceiling(cut)
    least = x.masked_fill(~likely, torch.inf).amin(1, keepdim=True)
    every = torch.arange(x.shape[1], device=x.device)
    stays = torch.where(likely & (x == least), every, -1).amax(1, keepdim=True)
    goes = likely & (every != stays)
    acts = params.uniform < params["xtc_probability"]
    protected = params.protected()
    if protected is not None:
        acts = acts & ~goes.index_select(1, protected).any(1, keepdim=True)
    survivors.keep(~(goes & acts))


#: What each rule does to rows in some of which it is on.
RULES: Final[Mapping[str, Callable[[Survivors, Params], None]]] = {
    "temperature": _temperature,
    "smoothing": _smoothing,
    "top_n_sigma": _top_n_sigma,
    "top_h": _top_h,
    "top_k": _top_k,
    "top_p": _top_p,
    "top_k_top_p": _top_k_top_p,
    "min_p": _min_p,
    "typical": _typical,
    "epsilon": _epsilon,
    "eta": _eta,
    "tfs": _tfs,
    "top_a": _top_a,
    "p_less": _p_less,
    "mirostat": _mirostat,
    "xtc": _xtc,
}

#: What `critical` takes beside the survivors: `sigma_ddof` and `ties`.
_Options: TypeAlias = Mapping[str, Any]


def _critical_of_p(
    f: Callable[[torch.Tensor, Survivors], torch.Tensor],
) -> Callable[[Survivors, _Options], torch.Tensor]:
    """Return the critical parameter of a rule as a function of the probabilities."""
    return lambda survivors, _: f(survivors.exact_ln_p().exp(), survivors)


def _of_eta(p: torch.Tensor, survivors: Survivors) -> torch.Tensor:
    return torch.maximum(p, (p * survivors.entropy().exp()).square())


def _of_top_n_sigma(survivors: Survivors, options: _Options) -> torch.Tensor:
    distance = survivors.max() - survivors.x.double()
    return distance / deviation(survivors, survivors.counted(), options["sigma_ddof"])


def _of_top_k(survivors: Survivors, options: _Options) -> torch.Tensor:
    values, ids = survivors.ranked(options["ties"])
    # Where the tokens with this logit begin in the ranked row.
    first = torch.searchsorted(-values, -values)
    return torch.zeros_like(values.double()).scatter(1, ids, (first + 1).double())


def _of_top_p(survivors: Survivors, options: _Options) -> torch.Tensor:
    values, ids = survivors.ranked(options["ties"])
    mass = survivors.exact_ln_p().exp().gather(1, ids).cumsum(1)
    before = torch.nn.functional.pad(mass[:, :-1], (1, 0))
    if options["ties"] == "all":
        before = before.gather(1, torch.searchsorted(-values, -values))
    return torch.zeros_like(before).scatter(1, ids, before)


#: The critical parameter of each token, of every rule that has one.
CRITICAL: Final[Mapping[str, Callable[[Survivors, _Options], torch.Tensor]]] = {
    "epsilon": _critical_of_p(lambda p, _: p),
    "eta": _critical_of_p(_of_eta),
    "min_p": _critical_of_p(lambda p, _: p / p.amax(1, keepdim=True)),
    "top_a": _critical_of_p(lambda p, _: p / p.amax(1, keepdim=True) ** 2),
    "top_k": _of_top_k,
    "top_n_sigma": _of_top_n_sigma,
    "top_p": _of_top_p,
}
