"""How much of a draft pays: what calls of a model take, and how often drafts come true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from sortes.integrations.transformers._trees import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sortes.integrations.transformers._drafts import Draft

#: What is known of models: of each size of batch what a call takes.
_KNOWN: WeakKeyDictionary[Any, dict[int, CallTimes]] = WeakKeyDictionary()
#: And of each kind of draft how often tokens came.
_CAME: WeakKeyDictionary[Any, dict[str, Acceptance]] = WeakKeyDictionary()
#: What a position more takes, in parts of a call for one, before it is measured: on a CPU, and on
#: what mostly waits for the weights.
_SLOPES: Final = (0.1, 0.01)
#: How much of what was measured counts after another call.
_DECAY: Final = 0.98
#: A draft is looked at if it makes a token cheaper by this much.
_MARGIN: Final = 1.02
#: How many kinds of tokens are told apart by how likely the draft has them.
_KINDS: Final = 10
#: How many looks what a draft says of itself counts as much as.
_TRUST: Final = 4.0


class CallTimes:
    """Seconds of a call of a model, by how many positions of a text it computes: a running line."""

    def __init__(self, slope: float) -> None:
        self._slope = slope
        self._one: float | None = None
        self._sums = np.zeros(5)
        self._calls = 0

    @classmethod
    def of(cls, model: Any, batch: int) -> CallTimes:
        """Return what is known of a model with so many texts."""
        known = _KNOWN.setdefault(model, {})
        if batch not in known:
            each = _SLOPES[model.device.type != "cpu"]
            known[batch] = cls(each * batch / (1 + each * (batch - 1)))
        return known[batch]

    def add(self, width: int, seconds: float) -> None:
        """Learn what a call took."""
        if self._calls >= 4:  # something else came between
            expected = float(self.of_widths(np.array([width]))[0])
            seconds = min(max(seconds, expected / 2), 2 * expected)
        self._calls += 1
        self._sums *= _DECAY  # or what once seemed dear would never be tried again
        if width == 1:
            self._one = seconds if self._one is None else self._one + 0.1 * (seconds - self._one)
        else:
            self._sums += np.array([1.0, width, width * width, seconds, width * seconds])

    def of_widths(self, widths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the seconds of calls."""
        n, x, xx, y, xy = self._sums
        one = self._one
        if one is None:
            one = y / (n + self._slope * (x - n)) if n else 1.0
        # What is not measured yet is as if two calls had been.
        for width in (2.0, 12.0):
            guess = one * (1 + self._slope * (width - 1))
            n, x, xx = n + 0.5, x + 0.5 * width, xx + 0.5 * width * width
            y, xy = y + 0.5 * guess, xy + 0.5 * width * guess
        slope = max((n * xy - x * y) / (n * xx - x * x), 0.0)
        line = (y - slope * x) / n + slope * widths
        return np.where(widths == 1, one, np.maximum(line, one))


class Acceptance:
    """How often the tokens of a draft come true, by how likely the draft has them."""

    @classmethod
    def of(cls, model: Any, kind: str) -> Acceptance:
        """Return what is known of a model and a kind of draft."""
        return _CAME.setdefault(model, {}).setdefault(kind, cls())

    def __init__(self) -> None:
        middle = (np.arange(_KINDS) + 0.5) / _KINDS
        self._looks = np.full(_KINDS, _TRUST)
        self._true = _TRUST * middle

    def add(self, draft: Draft, tokens: Sequence[int]) -> None:
        """Learn which tokens of a draft came, as far as those that did tell, looked at or not."""
        nodes = {edge: i for i, edge in enumerate(zip(draft.parents, draft.tokens, strict=True))}
        came, node = {}, 0
        for token in tokens:
            came[node] = node = nodes.get((node, token), -1)
            if node < 0:
                break
        for node in range(1, len(draft.tokens)):
            parent = draft.parents[node]
            if parent in came:
                kind = _kind(draft.probs[node] / draft.probs[parent])
                self._looks[kind] = _DECAY * self._looks[kind] + 1
                self._true[kind] = _DECAY * self._true[kind] + (node == came[parent])

    def probs(self, draft: Draft) -> list[float]:
        """Return the probabilities of its nodes."""
        shares = (self._true / self._looks).tolist()
        out = [1.0]
        for node in range(1, len(draft.tokens)):
            parent = draft.parents[node]
            out.append(out[parent] * shares[_kind(draft.probs[node] / draft.probs[parent])])
        return out


def _kind(share: float) -> int:
    return min(int(share * _KINDS), _KINDS - 1)


def best_part(draft: Draft, probs: list[float], nodes: int) -> Draft:
    """Return the likeliest nodes of a draft, with those before them."""
    if nodes >= len(probs):
        return draft
    order = sorted(range(len(probs)), key=lambda node: -probs[node])  # stable: parents come first
    kept = sorted(order[:nodes])
    place = {node: i for i, node in enumerate(kept)}
    return type(draft)(
        [draft.tokens[node] for node in kept],
        [place.get(draft.parents[node], -1) for node in kept],
        [draft.probs[node] for node in kept],
    )


def best_width(probs: Sequence[list[float]], times: CallTimes) -> int:
    """Return how many nodes each text is to have, so that a token takes the least time."""
    most = max(map(len, probs))
    if most == 1:
        return 1
    gains = np.zeros(most)
    for row in probs:
        gains[: len(row)] += np.sort(row)[::-1]
    rates = gains.cumsum() / times.of_widths(np.arange(1, most + 1))
    best = int(rates.argmax())
    return best + 1 if rates[best] > _MARGIN * rates[0] else 1


def tree_of(draft: Draft) -> Tree:
    """Return the tree of a draft."""
    return Tree(draft.tokens, draft.parents)
