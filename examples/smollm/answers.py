"""All answers that the model may give to a request, as a tree: each row is computed once.

Thousands of texts of one request have most of their beginnings in common. Here a beginning is a
node, which knows the law of its next token, and its part of the model's cache.
"""

import inspect
from typing import NamedTuple

import numpy as np
import torch
from sortes import decode
from transformers import DynamicCache

import smollm

#: Beginnings that go through the model together, at most.
BATCH = 128


class Law(NamedTuple):
    """What may follow a beginning: the tokens that the rules left, by id."""

    tokens: np.ndarray
    #: Their logits, divided by the temperature.
    scores: np.ndarray
    #: Their log-probabilities in the model itself.
    logprobs: np.ndarray


class Answers:
    """The answers of at most `length` tokens to a request, in the law that rules leave.

    Parameters
    ----------
    model, tokenizer
        As `smollm.load` returns them.
    request : str
        What the user says.
    rules : dict
        Arguments of `sortes.decode.Rules`.
    length : int
        How many tokens an answer may have.
    width : int, optional
        How many tokens the rules leave at most: a draw reads as many numbers.

    Attributes
    ----------
    prompt : int
        How many tokens the request has.
    parents, tokens, depths, logprobs : list
        Of each node, the first of which is the empty beginning: the node above, the last token, how
        many tokens there are, and the sum of their log-probabilities in the model itself.
    expanded, calls : int
        How many rows `rows` was asked for, and how often.
    """

    def __init__(self, model, tokenizer, request, rules, length, width=None):
        self.model, self.tokenizer, self.length = model, tokenizer, length
        self.width = model.config.vocab_size if width is None else width
        self.rules, self.end = decode.Rules(**rules), tokenizer.eos_token_id
        self.parents, self.tokens, self.depths, self.logprobs = [0], [-1], [0], [0.0]
        self.expanded = self.calls = 0
        self._nodes, self._laws, self._caches = {}, {}, {}
        takes = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in takes else "past_key_values"
        ids = smollm.chat(tokenizer, [request])["input_ids"]
        self.prompt = ids.shape[1]
        output = model(ids, use_cache=True, logits_to_keep=1)
        layers = output[self._cache_name].layers
        self._before = [(layer.keys, layer.values) for layer in layers]
        self._learn([0], output.logits[:, -1])

    def draw(self, codes):
        """Run `sortes.sequences.ArithmeticCodes` to the ends of their texts; return the nodes."""
        nodes = np.zeros(len(codes), np.int64)
        while not (done := np.fromiter(map(self.is_end, nodes.tolist()), bool)).all():
            at, which = np.unique(np.where(done, 0, nodes), return_inverse=True)
            self._compute(at.tolist())
            # A code needs one vocabulary at all steps: columns without a token have no chance.
            scores = np.full((len(at), self.width), -np.inf, np.float32)
            for row, node in zip(scores, at.tolist(), strict=True):
                row[: len(self._laws[node].tokens)] = self._laws[node].scores
            columns = codes.step(scores[which], finished=done)
            moves = np.where(done, -1, nodes * self.width + columns)
            moves, which = np.unique(moves, return_inverse=True)
            below = [
                0 if move < 0 else self._below(*divmod(move, self.width)) for move in moves.tolist()
            ]
            nodes = np.where(done, nodes, np.array(below)[which])
        return nodes

    def rows(self, prefixes):
        """Return a row of logits for each beginning: the model of a search."""
        self.calls, self.expanded = self.calls + 1, self.expanded + len(prefixes)
        nodes = [self.find(prefix) for prefix in prefixes]
        self._compute(nodes)
        logits = np.full((len(nodes), self.model.config.vocab_size), -np.inf, np.float32)
        for row, law in zip(logits, map(self._laws.get, nodes), strict=True):
            row[law.tokens] = law.scores
        return logits

    def find(self, tokens):
        """Return the node of some tokens; those before the last must have come before."""
        node = 0
        for token in np.asarray(tokens).tolist():
            column = np.searchsorted(self._laws[node].tokens, token)
            node = self._below(node, int(column))
        return node

    def is_end(self, node):
        """Tell whether nothing follows."""
        return self.depths[node] == self.length or self.tokens[node] == self.end

    def path(self, node):
        """Return the nodes on the way to a node, the first token's first."""
        path = []
        while node:
            path.append(node)
            node = self.parents[node]
        return path[::-1]

    def text(self, node):
        """Return the text of a node."""
        tokens = [self.tokens[at] for at in self.path(node)]
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def _below(self, node, column):
        """Return the node that a token leads to."""
        found = self._nodes.get((node, column))
        if found is None:
            law, found = self._laws[node], len(self.parents)
            self._nodes[node, column] = found
            self.parents.append(node)
            self.tokens.append(int(law.tokens[column]))
            self.depths.append(self.depths[node] + 1)
            self.logprobs.append(self.logprobs[node] + float(law.logprobs[column]))
        return found

    def _compute(self, nodes):
        """Compute what may follow some nodes, as far as it is not known."""
        missing = sorted({node for node in nodes if node not in self._laws})
        for first in range(0, len(missing), BATCH):
            self._forward(missing[first : first + BATCH])

    def _forward(self, batch):
        """Run the model on the last tokens of nodes: all in one row, where each sees its own."""
        paths = [self.path(node) for node in batch]
        above = sorted({at for path in paths for at in path[:-1]})
        place = {node: self.prompt + i for i, node in enumerate([*above, *batch])}
        seen = torch.full((len(batch), self.prompt + len(place)), -torch.inf)
        seen[:, : self.prompt] = 0
        for row, path in zip(seen, paths, strict=True):
            row[[place[at] for at in path]] = 0
        layers = self._before
        if above:
            own = torch.stack([self._caches[at] for at in above], 3)[:, :, None]
            layers = [
                [torch.cat(pair, 2) for pair in zip(before, part, strict=True)]
                for before, part in zip(layers, own, strict=True)
            ]
        cache = DynamicCache(layers)
        output = self.model(
            torch.tensor([[self.tokens[node] for node in batch]]),
            attention_mask=seen[None, None],
            position_ids=torch.tensor([[self.prompt - 1 + len(path) for path in paths]]),
            **{self._cache_name: cache},
            use_cache=True,
        )
        new = [[layer.keys, layer.values] for layer in cache.layers]
        new = torch.stack([torch.cat(both)[:, :, -len(batch) :] for both in new])
        self._caches.update(zip(batch, new.unbind(3), strict=True))
        self._learn(batch, output.logits[0])

    def _learn(self, batch, logits):
        """Keep what may follow some nodes."""
        logits = logits.numpy()
        scores = decode.truncate(logits, self.rules, scaled=True)
        total = decode.row_stats(logits).lse
        for node, row, kept, lse in zip(batch, logits, scores, total, strict=True):
            tokens = np.flatnonzero(kept > -np.inf)
            if len(tokens) > self.width:
                raise ValueError(f"width: {len(tokens)} tokens are left, got {self.width}")
            self._laws[node] = Law(tokens, kept[tokens], row[tokens] - np.float32(lse))
