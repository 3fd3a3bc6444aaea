"""Models that are asked about trees of tokens behind texts: what may follow each."""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from sortes.integrations.transformers._tree_cache import TreeCache, plain_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What ``generate`` prepares for every model, besides the cache.
_PREPARED: Final = {"attention_mask", "position_ids", "use_cache", "logits_to_keep"}
#: Ways to compute attention that take a mask of any shape.
_ATTENTION: Final = {"eager", "sdpa"}
#: Positions that depend on how long the text is in all.
_ROPE: Final = {"dynamic", "longrope"}
#: What was found out about models: by attention and type of numbers, whether they know trees.
_KNOWN: WeakKeyDictionary[Any, dict[Any, bool]] = WeakKeyDictionary()


class Tree(NamedTuple):
    """Tokens that may follow a text, each behind its parent; the first is the root.

    Attributes
    ----------
    tokens, parents : list of int
        The token of each node, and the node before it, which comes earlier; -1 at the root.
    """

    tokens: list[int]
    parents: list[int]

    @property
    def is_chain(self) -> bool:
        """Whether each token follows the one before."""
        return self.parents == list(range(-1, len(self.parents) - 1))


class TreeModel:
    """A model with the keys and values of texts, which is asked about trees behind them.

    Parameters
    ----------
    model
        The model.
    cache : TreeCache
        Keys and values of the texts, but for their last tokens.

    Attributes
    ----------
    calls, positions : int
        How often the model was called, and for how many tokens in all, with padding.
    """

    def __init__(self, model: Any, cache: TreeCache) -> None:
        self.model, self.cache = model, cache
        takes = inspect.signature(model.forward).parameters
        self._cache_name = cache_name(model)
        self._keeps = "logits_to_keep" in takes
        self.calls = self.positions = 0

    def __call__(self, trees: Sequence[Tree], width: int, first: int = 0) -> torch.Tensor:
        """Return the logits behind the nodes of a tree for each text.

        Parameters
        ----------
        trees : sequence of Tree, length B
            Their roots are the tokens behind what the cache holds.
        width : int
            How many nodes each is filled up to, beside those that are known.
        first : int
            How many nodes of each the last calls have computed.

        Returns
        -------
        tensor, shape (B, width, V)
            Rows behind the nodes; those of filling mean nothing.
        """
        device, lengths = self.model.device, self.cache.lengths
        ids = np.zeros((len(trees), width), np.int64)
        for own, tree in zip(ids, trees, strict=True):
            new = tree.tokens[first:]
            own[: len(new)] = new
        end = self.cache.open(width, first)
        places = np.array(lengths)[:, None] + np.arange(first, first + width)
        mask = None
        if min(lengths) < max(lengths) or not all(tree.is_chain for tree in trees):
            seen = np.zeros((len(trees), width, end), np.bool_)
            for row, (tree, length) in enumerate(zip(trees, lengths, strict=True)):
                behind, depths = self._shape(tree, first + width)
                seen[row, :, :length] = True
                seen[row, :, length : length + first + width] = behind[first:]
                places[row] = length + depths[first:]
            least = torch.finfo(self.model.dtype).min
            mask = torch.zeros(seen.shape, dtype=self.model.dtype)
            mask = mask.masked_fill_(~torch.from_numpy(seen), least)[:, None].to(device)
        more: dict[str, Any] = {self._cache_name: self.cache, "use_cache": True}
        if self._keeps:
            more["logits_to_keep"] = width
        output = self.model(
            input_ids=torch.from_numpy(ids).to(device),
            position_ids=torch.from_numpy(places).to(device),
            attention_mask=mask,
            return_dict=True,
            **more,
        )
        self.calls += 1
        self.positions += ids.size
        return output.logits  # type: ignore[no-any-return]

    @staticmethod
    def _shape(tree: Tree, width: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return which nodes each sees, itself and those before it, and how deep it is."""
        seen, depths = np.eye(width, dtype=np.bool_), np.zeros(width, np.int64)
        for node, parent in enumerate(tree.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
                depths[node] = depths[parent] + 1
        return seen, depths


def cache_name(model: Any) -> str:
    """Return what a model calls its cache: the second name until transformers 5.23."""
    takes = inspect.signature(model.forward).parameters
    return "cache" if "cache" in takes else "past_key_values"


def columns_of(cache: Any) -> int:
    """Return how many tokens a plain cache holds, with padding."""
    layers = plain_layers(cache)
    return 0 if layers is None else layers[0].keys.shape[2]  # type: ignore[union-attr]


def why_no_trees(model: Any, kwargs: dict[str, Any]) -> str | None:
    """Say why a model cannot be asked about trees behind the cache of its prompt, if it cannot."""
    for name, value in kwargs.items():
        if value is not None and name not in {cache_name(model), *_PREPARED}:
            return f"{name} is given"
    if model.config.is_encoder_decoder:
        return "the model has an encoder"
    if kwargs.get("use_cache") is False or plain_layers(kwargs.get(cache_name(model))) is None:
        return "its cache holds more or less than the keys and values of all tokens"
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return "the model takes no positions"
    attention = getattr(model.config, "_attn_implementation", None)
    if attention not in _ATTENTION:
        return f"its attention is {attention!r}"
    if found := _ROPE & _kinds_of_rope(model.config):
        return f"its positions are {found.pop()!r}"
    if not _are_usual(kwargs.get("position_ids"), kwargs.get("attention_mask")):
        return "position_ids are given"
    known = _KNOWN.setdefault(model, {})
    key = (attention, model.dtype, str(model.device))
    if key not in known:
        known[key] = _knows_trees(model)
    return None if known[key] else "the model does not take the mask of a tree"


def _kinds_of_rope(config: Any) -> set[Any]:
    """Return how positions become angles, of all layers."""
    kinds = set()
    for name in ("rope_parameters", "rope_scaling"):  # the second until transformers 5
        given = getattr(config, name, None) or {}
        for part in (given, *given.values()):
            if isinstance(part, dict):
                kinds.add(part.get("rope_type", part.get("type")))
    return kinds


def _are_usual(positions: Any, mask: Any) -> bool:
    """Whether positions count the tokens that are no padding."""
    if positions is None:
        return True
    if positions.ndim != 2:
        return False
    real = torch.ones_like(positions) if mask is None else mask
    if real.shape != positions.shape:
        return False
    seen = real.bool()
    return torch.equal((real.long().cumsum(1) - 1)[seen], positions.long()[seen])


def _knows_trees(model: Any) -> bool:
    """Ask the model about a small tree, and about each of its paths alone."""
    tokens = [i % model.config.vocab_size for i in range(5, 15)]
    prompt, tree = tokens[:4], Tree(tokens[4:9], [-1, 0, 0, 1, 2])
    paths = [[0, 1, 3], [0, 2, 4]]
    device, name = model.device, cache_name(model)
    with torch.no_grad(), suppress(ValueError, TypeError, RuntimeError, IndexError):
        begun = model(torch.tensor([prompt], device=device), use_cache=True, return_dict=True)
        layers = plain_layers(begun.get(name))
        if layers is None:
            return False
        states: Any = [(layer.keys, layer.values) for layer in layers]
        cache = TreeCache(states, torch.ones(1, len(prompt), dtype=torch.bool))
        got = TreeModel(model, cache)([tree], len(tree.tokens))[0]
        texts = [prompt + [tree.tokens[node] for node in path] for path in paths]
        whole = torch.tensor(texts, device=device)
        want = model(whole, use_cache=False, return_dict=True).logits[:, -3:]
        got = torch.stack([got[path] for path in paths])
        loose = 0.25 if torch.finfo(model.dtype).bits < 32 else 0.01
        return bool((got - want).abs().max() <= loose * want.float().std())
    return False


class Taken(NamedTuple):
    """The cache of a prompt that a `TreeModel` has taken over, to be given back.

    Attributes
    ----------
    model : TreeModel
        Who has it.
    cache : DynamicCache
        What it was.
    before : list of int
        How many columns of padding stand before each text.
    """

    model: TreeModel
    cache: DynamicCache
    before: list[int]

    @classmethod
    def of(cls, model: Any, cache: DynamicCache, real: torch.Tensor) -> Taken:
        """Take the keys and values of prompts over; `real` says which are no padding."""
        layers, length = plain_layers(cache) or [], columns_of(cache)
        states: Any = [(layer.keys, layer.values) for layer in layers]
        taken = TreeCache(states, real)
        for layer in layers:  # nobody needs them twice
            layer.keys = layer.values = None
            layer.is_initialized = False
        return cls(TreeModel(model, taken), cache, (length - real.sum(1)).tolist())

    def give_back(self, columns: int) -> None:
        """Put the keys and values of the texts back, as token by token it would hold them."""
        states = self.model.cache.states(self.before, columns)
        layers: list[Any] = list(self.cache.layers)
        for layer, (keys, values) in zip(layers, states, strict=True):
            layer.keys, layer.values = keys, values
            layer.device, layer.dtype = keys.device, keys.dtype
            layer.is_initialized = True
