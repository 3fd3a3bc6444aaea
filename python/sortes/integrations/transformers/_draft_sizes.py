"""How much of a draft pays: what calls of a model take, and how often drafts come true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from sortes.integrations.transformers._trees import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sortes.integrations.transformers._call_times import CallTimes
    from sortes.integrations.transformers._drafts import Draft

#: What is known of models: of each kind of draft what its probabilities are worth.
_CAME: WeakKeyDictionary[Any, dict[str, Acceptance]] = WeakKeyDictionary()
#: A draft is looked at if it makes a token cheaper by this much.
_MARGIN: Final = 1.02
#: Of sizes that make a token this nearly as cheap as the best one does the largest is taken.
_NEARLY: Final = 0.97
#: What tokens may come with: powers of the probability that the draft gives them.
_POWERS: Final = np.array([0.05, 0.12, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0])
#: How often a text goes over to any other power, and how much of what is known of a kind of draft
#: each token replaces.
_SHARE, _FORGOTTEN = 0.01, 0.02
#: No token is surer than this: what is copied is also changed.
_SUREST: Final = 0.97
#: No path is less likely: products of many probabilities end at zero.
_LEAST: Final = 1e-300


class Acceptance:
    """How often tokens of a kind of draft come true.

    A text copies or does not: by spells its tokens come far more often than a draft says, or less.
    So they are taken to come with a power of its probabilities, which stays for a while. How likely
    each power is follows by Bayes' rule from the tokens that came: some tokens tell, and a long
    draft is likely as soon as a large part of what is possible makes it so.
    """

    def __init__(self) -> None:
        #: How likely each power is where a text begins.
        self.weights = np.full(len(_POWERS), 1 / len(_POWERS))

    @classmethod
    def of(cls, model: Any, kind: str) -> Acceptance:
        """Return what is known of a model and a kind of draft."""
        return _CAME.setdefault(model, {}).setdefault(kind, cls())

    def of_text(self) -> TextAcceptance:
        """Return what is known where a text begins."""
        return TextAcceptance(self)


class TextAcceptance:
    """How often tokens of the drafts of one text come true."""

    def __init__(self, kind: Acceptance) -> None:
        self._kind, self._weights = kind, kind.weights

    def add(self, draft: Draft, tokens: Sequence[int]) -> None:
        """Learn whether the likeliest ones came, as far as is known, looked at or not."""
        nodes = {edge: i for i, edge in enumerate(zip(draft.parents, draft.tokens, strict=True))}
        likeliest, node = _likeliest(draft), 0
        probs = np.maximum(draft.probs, _LEAST)
        for token in tokens:
            if node in likeliest:
                best = likeliest[node]
                self._learn(probs[best] / probs[node], draft.tokens[best] == token)
            node = nodes.get((node, token), -1)
            if node < 0:
                break

    def _learn(self, share: float, came: bool) -> None:
        likely = _SUREST * share**_POWERS
        weights = self._weights * (likely if came else 1 - likely)
        first = self._kind.weights
        self._weights = weights = (1 - _SHARE) * weights / weights.sum() + _SHARE * first
        self._kind.weights = (1 - _FORGOTTEN) * first + _FORGOTTEN * weights

    def probs(self, draft: Draft) -> list[float]:
        """Return the probabilities of its nodes."""
        likeliest = _likeliest(draft)
        probs = np.maximum(draft.probs, _LEAST)
        parents, bests = np.array(draft.parents[1:], int), np.array([*likeliest.values()], int)
        shares, of_bests = probs[1:] / probs[parents], np.zeros(len(probs))
        of_bests[[*likeliest]] = probs[bests] / probs[[*likeliest]]
        best = of_bests[parents]
        likely = np.ones((len(probs), len(_POWERS)))
        likely[1:] = _SUREST * shares[:, None] ** _POWERS
        # The others have a part of what the likeliest token leaves.
        parts = shares / np.maximum(1 - best, 1e-9)
        left = (1 - _SUREST * best[:, None] ** _POWERS) * parts[:, None]
        is_other = ~np.isin(np.arange(1, len(probs)), bests)
        likely[1:][is_other] = np.minimum(likely[1:], left)[is_other]
        for node, parent in enumerate(draft.parents[1:], 1):
            likely[node] *= likely[parent]
        out: list[float] = (likely @ self._weights).tolist()
        return out


def _likeliest(draft: Draft) -> dict[int, int]:
    """Return of each node that something follows the likeliest node behind it."""
    likeliest: dict[int, int] = {}
    for node, parent in enumerate(draft.parents[1:], 1):
        best = likeliest.setdefault(parent, node)
        if draft.probs[node] > draft.probs[best]:
            likeliest[parent] = node
    return likeliest


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
    """Return how many nodes each text is to have, so that a token takes about the least time."""
    most = max(map(len, probs))
    if most == 1:
        return 1
    gains = np.zeros(most)
    for row in probs:
        gains[: len(row)] += np.sort(row)[::-1]
    rates = gains.cumsum() / times.of_widths(np.arange(1, most + 1))
    best = rates.max()
    if best <= _MARGIN * rates[0]:
        return 1
    return 1 + int(np.flatnonzero(rates >= max(_NEARLY * best, rates[0]))[-1])


def tree_of(draft: Draft) -> Tree:
    """Return the tree of a draft."""
    return Tree(draft.tokens, draft.parents)
