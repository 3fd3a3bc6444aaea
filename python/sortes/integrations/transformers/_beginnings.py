"""The model of a search of texts: the logits behind a prompt and each of some beginnings."""

from __future__ import annotations

import copy
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from sortes._check import COUNT
from sortes.integrations.transformers._slot_cache import SlotCache, plain_states
from sortes.integrations.transformers._store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Prefixes = Sequence[NDArray[np.int64]]

#: What ``generate`` prepares for every model, besides the cache.
_PREPARED: Final = {"attention_mask", "position_ids", "use_cache", "logits_to_keep"}
#: Layers of a cache whose copies can be gone on from; the last one is new in transformers 5.
_COPIED: Final = {"DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer"}
_EMPTY: Final = np.empty(0, np.int64)


class Beginnings:
    """The logits behind a prompt and each of some beginnings.

    The cache that the model makes of the prompt decides how the tokens behind it are computed:

    - If it holds the keys and values of each token and nothing else, those of the beginnings are
      kept as well, and shared by all that begin alike. Mostly one token is to be computed.
    - Another one, such as that of sliding windows, is copied for each batch.
    - Without one, or with a recurrent state, from which not every model can go on by several
      tokens, texts are computed as a whole.

    Parameters
    ----------
    model, prompt, processors
        The model, the prompt of shape (1, T), and the processors of its logits.
    config : GenerationConfig
        As ``generate`` prepared it.
    kwargs : dict
        What it prepared for the model.
    max_cached_tokens : int, optional
        How many tokens behind the prompt are kept between calls, at most.

    Attributes
    ----------
    calls, positions : int
        How often the model was called, and for how many tokens in all, with padding.

    Raises
    ------
    ValueError
        If the model is to be told something that cannot be told of beginnings.
    """

    def __init__(
        self,
        model: Any,
        prompt: torch.Tensor,
        processors: Any,
        config: Any,
        kwargs: dict[str, Any],
        max_cached_tokens: int | None,
    ) -> None:
        self._model, self._prompt, self._processors = model, prompt, processors
        self._takes = inspect.signature(model.forward).parameters
        #: What the model calls its cache: the second name until transformers 5.23.
        self._cache_name = "cache" if "cache" in self._takes else "past_key_values"
        _refuse_inputs(prompt, config, kwargs, {self._cache_name, *_PREPARED})
        mask = kwargs.get("attention_mask")
        self._is_real = torch.ones_like(prompt[0]).bool() if mask is None else mask[0].bool()
        #: The tokens of the prompt, without padding.
        self._ids = prompt[:, self._is_real]
        is_recurrent = getattr(model, "_is_stateful", False)
        self._uses_cache = kwargs.get("use_cache") is not False and not is_recurrent
        self._given, self._most = kwargs.get(self._cache_name), max_cached_tokens
        if max_cached_tokens is not None:
            self._most = COUNT.check(max_cached_tokens, "max_cached_tokens")
        self.calls = self.positions = 0
        #: The logits behind the prompt, and what computes those behind more.
        self._first: torch.Tensor | None = None
        self._behind: Callable[[Prefixes], torch.Tensor]

    def __call__(self, prefixes: list[NDArray[np.int64]]) -> torch.Tensor:
        """Return the logits behind beginnings. The empty one comes alone, before the others."""
        if self._first is None:
            self._first = self._begun()
        logits = self._behind(prefixes) if len(prefixes[0]) else self._first
        return self._processed(logits, prefixes)

    def _begun(self) -> torch.Tensor:
        """Return the logits behind the prompt, and decide what computes those behind more."""
        length = self._ids.shape[1]
        if self._uses_cache and (states := plain_states(self._given)):
            # The caller has computed some of it; the last token is left, for its logits.
            known = self._is_real[:-1][: states[0][0].shape[2]]
            store = Store(SlotCache(states, known), self._ids[0], self._most)
            first = self._missing(store, [_EMPTY], max(1, length - int(known.sum())))
            self._behind = partial(self._missing, store)
            return first
        seen = torch.ones_like(self._ids)
        output = self._forward(self._ids, seen, use_cache=self._uses_cache)
        cache = output.get(self._cache_name)
        states = plain_states(cache)
        if states and states[0][0].shape[2] == length:
            store = Store(SlotCache(states, seen[0].bool()), self._ids[0], self._most)
            self._behind = partial(self._missing, store)
        else:
            self._behind = partial(self._anew, cache if _can_be_copied(cache) else None)
        return output.logits[:, -1].clone()  # type: ignore[no-any-return]

    def _missing(self, store: Store, prefixes: Prefixes, least: int = 1) -> torch.Tensor:
        """Compute the tokens that are not stored, or at least so many: the last ones."""
        batch = store.open(prefixes, least)
        output = self._forward(batch.ids, batch.mask, batch.cache)
        store.close()
        return output.logits[:, -1]  # type: ignore[no-any-return]

    def _anew(self, before: DynamicCache | None, prefixes: Prefixes) -> torch.Tensor:
        """Compute all tokens behind copies of the cache of the prompt, or without one whole texts.

        Beginnings of one length go together: in a window or a state, padding would count.
        """
        rows = [torch.empty(0)] * len(prefixes)
        for length in {len(prefix) for prefix in prefixes}:
            places = [i for i, prefix in enumerate(prefixes) if len(prefix) == length]
            ids = torch.from_numpy(np.stack([prefixes[i] for i in places])).to(self._ids)
            texts = torch.cat([self._ids.expand(len(ids), -1), ids], 1)
            seen = torch.ones_like(texts)
            if before is None:
                output = self._forward(texts, seen, use_cache=False)
            else:
                cache = copy.deepcopy(before)
                cache.batch_repeat_interleave(len(ids))
                output = self._forward(ids, seen, cache)
            for i, row in zip(places, output.logits[:, -1], strict=True):
                rows[i] = row
        return torch.stack(rows)

    def _forward(
        self, ids: torch.Tensor, seen: torch.Tensor, cache: Any = None, *, use_cache: bool = True
    ) -> Any:
        """Run the model on the last tokens of texts, of which `seen` says what is real."""
        more: dict[str, Any] = {"use_cache": use_cache}
        if cache is not None:
            more[self._cache_name] = cache
        if "position_ids" in self._takes:
            more["position_ids"] = (seen.cumsum(1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        if "logits_to_keep" in self._takes:
            more["logits_to_keep"] = 1
        output = self._model(input_ids=ids, attention_mask=seen, return_dict=True, **more)
        self.calls += 1
        self.positions += ids.numel()
        return output

    def _processed(self, logits: torch.Tensor, prefixes: Prefixes) -> torch.Tensor:
        """Apply the processors to each row, behind its own tokens."""
        if not self._processors:
            return logits
        rows = []
        for row, prefix in zip(logits.float(), prefixes, strict=True):
            tokens = torch.from_numpy(prefix).to(self._prompt)[None]
            text = torch.cat([self._prompt, tokens], 1)
            rows.append(self._processors(text, row[None].clone()))
        return torch.cat(rows)


def _can_be_copied(cache: object) -> TypeGuard[DynamicCache]:
    """Whether several texts can go on from copies of a cache."""
    if type(cache) is not DynamicCache:
        return False
    return all(type(layer).__name__ in _COPIED for layer in cache.layers)


def _refuse_inputs(
    prompt: torch.Tensor, config: Any, kwargs: dict[str, Any], known: set[str]
) -> None:
    """Raise if the prompt is not all that the model is to be told."""
    for name, value in kwargs.items():
        if value is not None and name not in known:
            raise ValueError(f"{name}: is not supported by a search")
    mask = kwargs.get("attention_mask")
    # A mask of ones is dropped, from transformers 5.13 on.
    length = getattr(config, "_mask_length", None) if mask is None else mask.shape[1]
    if length is not None and length != prompt.shape[1]:
        raise ValueError(
            f"input_ids: must hold all {length} tokens of the prompt, also those of which the keys "
            f"and values are given, got {prompt.shape[1]}"
        )
