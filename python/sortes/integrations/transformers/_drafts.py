"""Where drafts come from: text, or a function of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from sortes._check import shown
from sortes.sequences import SuffixDrafts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sortes.sequences import SuffixAutomaton

#: The least probability of a token that is drafted from text.
_LEAST: Final = 0.005
#: How likely tokens of a draft that does not say it are taken to be, each behind the last.
LIKELY: Final = 0.75


class Draft(NamedTuple):
    """A tree of tokens that may follow a text; the first, the root, is its last token.

    Attributes
    ----------
    tokens, parents : list of int
        The token of each node, and the node before it, which comes earlier; -1 at the root.
    probs : list of float
        How likely the text comes to each.
    """

    tokens: list[int]
    parents: list[int]
    probs: list[float]


class Drafts(Protocol):
    """Drafts of the texts of a batch."""

    def extend(self, row: int, tokens: list[int]) -> None:
        """Let a text go on."""

    def drafts(self, most: dict[int, tuple[int, int]]) -> dict[int, Draft]:
        """Return drafts of some texts, by how many tokens they may have, and how many in a row."""


class TextDrafts:
    """Drafts from the texts themselves, and a corpus."""

    def __init__(self, corpus: SuffixAutomaton | None, rows: int) -> None:
        self._texts = [SuffixDrafts(corpus=corpus) for _ in range(rows)]

    def extend(self, row: int, tokens: list[int]) -> None:
        self._texts[row]._native.extend(np.array(tokens, np.uint32))

    def drafts(self, most: dict[int, tuple[int, int]]) -> dict[int, Draft]:
        out = {}
        for row, (nodes, depth) in most.items():
            tokens, parents, _, probs = self._texts[row]._native.draft(nodes, depth, _LEAST)
            out[row] = Draft(tokens.tolist(), parents.tolist(), probs.tolist())
        return out


class CalledDrafts:
    """Drafts of a function: it is given a text and how many tokens to return."""

    def __init__(self, function: Callable[..., Any], rows: int, vocabulary: int) -> None:
        self._function, self._vocabulary = function, vocabulary
        self._texts: list[list[int]] = [[] for _ in range(rows)]

    def extend(self, row: int, tokens: list[int]) -> None:
        self._texts[row] += tokens

    def drafts(self, most: dict[int, tuple[int, int]]) -> dict[int, Draft]:
        return {row: self._draft(self._texts[row], *size) for row, size in most.items()}

    def _draft(self, text: list[int], nodes: int, depth: int) -> Draft:
        given = self._function(np.array(text), nodes)
        tokens = _integers(getattr(given, "tokens", given))
        if hasattr(given, "parents"):
            parents = _integers(given.parents)
            if len(parents) != len(tokens):
                raise ValueError(
                    f"draft: must have as many parents as tokens, {len(tokens)}, got {len(parents)}"
                )
        else:  # a chain, without its root
            tokens = [text[-1], *tokens]
            parents = list(range(-1, len(tokens) - 1))
        tokens[:1] = text[-1:]
        depths, out = [0], Draft([text[-1]], [-1], [1.0])
        places = {0: 0}
        for node in range(1, len(tokens)):
            token, parent = tokens[node], parents[node]
            if not 0 <= token < self._vocabulary:
                raise ValueError(
                    f"draft: item {node} must be in [0, {self._vocabulary}), got {token}"
                )
            if not 0 <= parent < node:
                raise ValueError(
                    f"draft: parent of item {node} must be in [0, {node}), got {parent}"
                )
            depths.append(depths[parent] + 1)
            if depths[node] > depth or len(out.tokens) > nodes or parent not in places:
                continue  # what does not fit is left out
            places[node] = len(out.tokens)
            out.tokens.append(token)
            out.parents.append(places[parent])
            out.probs.append(LIKELY * out.probs[places[parent]])
        return out


class SeveralDrafts:
    """Drafts of several kinds, in one tree."""

    def __init__(self, parts: Sequence[Drafts]) -> None:
        self._parts = parts

    def extend(self, row: int, tokens: list[int]) -> None:
        for part in self._parts:
            part.extend(row, tokens)

    def drafts(self, most: dict[int, tuple[int, int]]) -> dict[int, Draft]:
        out: dict[int, Draft] = {}
        for part in self._parts:
            for row, draft in part.drafts(most).items():
                out[row] = _united(out[row], draft) if row in out else draft
        return out


def _united(one: Draft, other: Draft) -> Draft:
    """Return both drafts as one; a node of both is as likely as in the one that trusts it more."""
    out = Draft(list(one.tokens), list(one.parents), list(one.probs))
    known = {(out.parents[node], out.tokens[node]): node for node in range(1, len(out.tokens))}
    places = [0]
    for node in range(1, len(other.tokens)):
        key = places[other.parents[node]], other.tokens[node]
        place = known.setdefault(key, len(out.tokens))
        if place == len(out.tokens):
            out.tokens.append(key[1])
            out.parents.append(key[0])
            out.probs.append(0.0)
        out.probs[place] = max(out.probs[place], other.probs[node])
        places.append(place)
    return out


def _integers(x: Any) -> list[int]:
    array = np.asarray(x)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"draft: must be a list of integers or a tree, got {shown(x)}")
    return [int(token) for token in array]
