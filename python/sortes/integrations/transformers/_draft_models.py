"""Drafts of a smaller model: its likeliest continuations, as trees, or what it would say."""

from __future__ import annotations

import time
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from sortes.integrations.transformers._call_times import CallTimes
from sortes.integrations.transformers._drafts import LIKELY, Draft
from sortes.integrations.transformers._trees import (
    Taken,
    Tree,
    cache_name,
    columns_of,
    why_no_trees,
)
from sortes.sequences import DraftTreeBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Draws a token of a text behind what is drafted; returns it and the logits that it came from.
    Draws = Callable[[int, list[int], torch.Tensor], tuple[int, torch.Tensor]]

#: How many levels of a tree follow one another, at most.
_DEPTH: Final = 8
#: After so many rounds without a draft one is made, to learn whether it would pay by now.
_PATIENCE: Final = 16
#: How much of what was learned counts after another look.
_DECAY: Final = 0.95


class _Grown:
    """The tokens that were drafted behind a text, with what the draft's cache holds of them."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        #: How many of them the cache holds.
        self.known = 0

    def path(self, tokens: list[int]) -> list[int]:
        """Return the nodes in the cache that tokens lead to, one behind the other."""
        nodes: list[int] = []
        at = -1
        for token in tokens:
            below = (
                i
                for i in range(at + 1, self.known)
                if self.parents[i] == at and self.tokens[i] == token
            )
            at = next(below, -1)
            if at < 0:
                break
            nodes.append(at)
        return nodes


class ModelDrafts:
    """Trees of the likeliest tokens of a draft model, or with `draws` what it says.

    Parameters
    ----------
    model
        The draft model.
    prompt, real : tensor, shape (B, T)
        The prompts, and which of their tokens are no padding.
    target
        The model that is to say the text.
    top_k : int
        How many tokens of a level are gone on from; 1 for the one likeliest continuation.
    draws : callable, optional
        How the draft draws its tokens, instead of taking the likeliest.
    is_fixed : bool
        Whether there are always as many levels as there may be.
    """

    def __init__(
        self,
        model: Any,
        prompt: torch.Tensor,
        real: torch.Tensor,
        target: Any,
        top_k: int,
        draws: Draws | None = None,
        *,
        is_fixed: bool = False,
    ) -> None:
        self._top_k, self._draws, self._is_fixed = top_k, draws, is_fixed
        real = real.bool()
        positions = (real.long().cumsum(1) - 1).clamp_min(0)
        device = model.device
        more = (
            {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
        )
        begun = model(
            input_ids=prompt.to(device),
            attention_mask=real.long().to(device),
            position_ids=positions.to(device),
            use_cache=True,
            return_dict=True,
            **more,
        )
        cache = begun.get(cache_name(model))
        reason = why_no_trees(model, {cache_name(model): cache})
        if reason is None and columns_of(cache) != prompt.shape[1]:
            reason = "its cache does not hold the prompt"
        if reason is not None:
            raise ValueError(f"draft_model: cannot be asked about trees: {reason}")
        self._model = Taken.of(model, cache, real.to(device)).model
        batch = len(prompt)
        self._times, self._targets = CallTimes.of(model, batch), CallTimes.of(target, batch)
        self._has_prompt = [False] * batch
        #: Tokens of the texts that the cache does not hold, behind what was drafted.
        self._new: list[list[int]] = [[] for _ in range(batch)]
        self._grown = [_Grown() for _ in range(batch)]
        self._last = [-1] * batch
        #: Where there was a draft of so many levels: how often so many of them came true.
        self._looks, self._true = np.full(_DEPTH, 2.0), 2.0 * 0.6 ** np.arange(1.0, _DEPTH + 1)
        self._idle = 0
        #: The logits that drawn tokens came from.
        self.logits: dict[int, list[torch.Tensor]] = {}

    def extend(self, row: int, tokens: list[int]) -> None:
        """Let a text go on; the prompt comes first, and is known."""
        if self._has_prompt[row]:
            self._new[row] += tokens
        self._has_prompt[row] = True

    def drafts(self, most: dict[int, tuple[int, int]]) -> dict[int, Draft]:
        """Return drafts of some texts."""
        if not most:
            return {}
        self._learn(most)
        nodes = max(nodes for nodes, _ in most.values())
        depth = nodes if self._is_fixed else self._depth(len(most))
        depth = min(depth, max(depth for _, depth in most.values()))
        if depth == 0:
            return {}
        first = self._catch_up(most)
        if self._draws is None:
            drafts = self._trees(most, first, depth, nodes)
        else:
            drafts = self._drawn(most, first, min(depth, nodes))
        return {row: _cut(draft, *most[row]) for row, draft in drafts.items()}

    def _learn(self, most: dict[int, tuple[int, int]]) -> None:
        """Learn how many levels of the last drafts came true."""
        for row in most:
            grown = self._grown[row]
            if not grown.tokens:
                continue
            levels = [0]
            for parent in grown.parents:
                levels.append(1 + (levels[parent + 1] if parent >= 0 else 0))
            deep, came = max(levels), 0
            at = -1
            for token in self._new[row]:
                nodes = zip(grown.parents, grown.tokens, strict=True)
                at = next((i for i, node in enumerate(nodes) if node == (at, token)), -1)
                if at < 0:
                    break
                came += 1
            for level in range(min(deep, _DEPTH)):
                self._looks[level] = _DECAY * self._looks[level] + 1
                self._true[level] = _DECAY * self._true[level] + (came > level)

    def _depth(self, rows: int) -> int:
        """Return how many levels pay, by what the calls of both models take."""
        shares = np.minimum.accumulate(self._true / self._looks)
        gains = rows * (1 + np.concatenate([[0.0], shares.cumsum()]))
        depths = np.arange(_DEPTH + 1)
        # The first call of the draft goes through what was accepted; each level takes one.
        widths = 1 + depths * (1 if self._draws or self._top_k == 1 else 4)
        level = self._times.of_widths(np.array([self._top_k if self._draws is None else 1]))[0]
        seconds = self._targets.of_widths(widths) + depths * level
        best = int((gains / seconds).argmax())
        if best == 0:
            self._idle += 1
            if self._idle % _PATIENCE == 0:
                return 1
        return best

    def _ask(self, trees: dict[int, Tree], width: int, first: int = 0) -> torch.Tensor:
        """Call the model; texts without a tree have one of no matter."""
        aside = Tree([0] * (first + width), list(range(-1, first + width - 1)))
        began = time.perf_counter()
        logits = self._model([trees.get(row, aside) for row in range(len(self._new))], width, first)
        rows = logits[list(trees)].cpu()
        self._times.add(width, time.perf_counter() - began)
        return rows

    def _catch_up(self, most: dict[int, tuple[int, int]]) -> torch.Tensor:
        """Take what the texts have come to into the cache; return the logits behind it."""
        lengths = self._model.cache.lengths
        paths: list[list[int]] = [[] for _ in self._new]
        for row in most:
            # The logits behind the last token are needed, so that it is computed in any case.
            paths[row] = self._grown[row].path(self._new[row][:-1])
        self._model.cache.keep(paths)
        trees = {}
        for row in most:
            tokens = self._new[row][len(paths[row]) :]
            trees[row] = Tree(tokens, list(range(-1, len(tokens) - 1)))
        width = max(len(tree.tokens) for tree in trees.values())
        logits = self._ask(trees, width)
        ends = [len(tree.tokens) - 1 for tree in trees.values()]
        out = logits[torch.arange(len(ends)), ends]
        for row, tree in trees.items():
            lengths[row] += len(tree.tokens)
            self._last[row] = tree.tokens[-1]
            self._new[row] = []
            self._grown[row] = _Grown()
        return out

    def _trees(
        self, most: dict[int, tuple[int, int]], first: torch.Tensor, depth: int, nodes: int
    ) -> dict[int, Draft]:
        rows = list(most)
        builder = DraftTreeBuilder(self._top_k, depth - 1, nodes, batch_size=len(rows))
        builder.start(first, root_token=[self._last[row] for row in rows])
        before = [-1] * self._top_k
        known = 0
        for level in range(depth):
            frontier = builder.frontier()
            width = frontier.tokens.shape[1]
            for i, row in enumerate(rows):
                grown = self._grown[row]
                places = frontier.parents[i].tolist()
                grown.parents += [before[place] if place >= 0 else -1 for place in places]
                grown.tokens += frontier.tokens[i].tolist()
            if level == depth - 1:
                break  # the last level has no children
            trees = {
                row: Tree([max(t, 0) for t in self._grown[row].tokens], self._grown[row].parents)
                for row in rows
            }
            logits = self._ask(trees, width, known)
            before = list(range(known, known + width))
            known += width
            for row in rows:
                self._grown[row].known = known
            builder.expand(logits)
        found = builder.finish()
        assert isinstance(found, list)
        return {
            row: Draft(tree.tokens.tolist(), tree.parents.tolist(), np.exp(tree.logprobs).tolist())
            for row, tree in zip(rows, found, strict=True)
            if tree.logprobs is not None
        }

    def _drawn(
        self, most: dict[int, tuple[int, int]], logits: torch.Tensor, depth: int
    ) -> dict[int, Draft]:
        assert self._draws is not None
        rows = list(most)
        self.logits = {row: [] for row in rows}
        drafts = {row: Draft([self._last[row]], [-1], [1.0]) for row in rows}
        for level in range(depth):
            for row, own in zip(rows, logits, strict=True):
                grown, draft = self._grown[row], drafts[row]
                token, own = self._draws(row, grown.tokens, own[None])
                self.logits[row].append(own[0])
                grown.tokens.append(token)
                grown.parents.append(level - 1)
                draft.tokens.append(token)
                draft.parents.append(level)
                draft.probs.append(LIKELY * draft.probs[-1])
            if level == depth - 1:
                break
            trees = {row: Tree(self._grown[row].tokens, self._grown[row].parents) for row in rows}
            logits = self._ask(trees, 1, level)[:, 0]
            for row in rows:
                self._grown[row].known = level + 1
        return drafts


def _cut(draft: Draft, nodes: int, depth: int) -> Draft:
    """Return the part of a draft that fits: the first nodes, none of them too deep."""
    depths, out, places = [0], Draft(draft.tokens[:1], [-1], [1.0]), {0: 0}
    for node in range(1, len(draft.tokens)):
        parent = draft.parents[node]
        depths.append(depths[parent] + 1)
        if depths[node] <= depth and parent in places and len(out.tokens) <= nodes:
            places[node] = len(out.tokens)
            out.tokens.append(draft.tokens[node])
            out.parents.append(places[parent])
            out.probs.append(draft.probs[node])
    return out
