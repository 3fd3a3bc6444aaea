"""A cache of keys and values in slots, of which the texts of a batch are made."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

#: The keys and the values of each layer.
States: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]


def plain_states(cache: object) -> States | None:
    """Return the keys and values of a text, of shape (1, heads, T, size), if a cache is just these.

    None if some layer holds less than all tokens or something else, or if there are none.
    """
    if type(cache) is not DynamicCache or getattr(cache, "offloading", False):
        return None
    states: States = []
    for layer in cache.layers:
        if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
            return None
        states.append((layer.keys, layer.values))
    length = cache.get_seq_length()
    if length == 0 or any(x.ndim != 4 or x.shape[::2] != (1, length) for kv in states for x in kv):
        return None
    return states


class SlotCache(Cache):
    """Keys and values of tokens, each in its slot, for texts that may share them.

    The texts are put together layer by layer while the model runs, which costs what it costs a
    `DynamicCache` to append a token.

    Parameters
    ----------
    states
        Keys and values of a text, for the first slots.
    real : tensor of bool, shape (T,)
        Which of its first tokens to take.
    """

    def __init__(self, states: States, real: torch.Tensor) -> None:
        self._slot_layers = [_SlotLayer(*pair, real) for pair in states]
        super().__init__(layers=list(self._slot_layers))

    @property
    def bytes_of_token(self) -> int:
        """What a slot takes."""
        return sum(layer.bytes_of_token for layer in self._slot_layers)

    def arrange(self, texts: torch.Tensor, written: torch.Tensor, end: int) -> None:
        """Say what the texts are of which the model is given the last tokens.

        Parameters
        ----------
        texts : LongTensor, shape (B, T)
            The slots of their tokens.
        written : LongTensor, shape (B, Q)
            Where the keys and values of the last tokens are to be stored.
        end : int
            One more than the last slot.
        """
        for layer in self._slot_layers:
            layer.arrange(texts, written, end)


class _SlotLayer(DynamicLayer):
    """A layer of it: keys and values of shape (slots, heads, size)."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, real: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self._device, real = keys.device, real.to(keys.device)
        self._stored = [x[0, :, : len(real)].transpose(0, 1)[real] for x in (keys, values)]
        self._length = len(self._stored[0])

    @property
    def bytes_of_token(self) -> int:
        return sum(x.element_size() * x.shape[1:].numel() for x in self._stored)

    def arrange(self, texts: torch.Tensor, written: torch.Tensor, end: int) -> None:
        self._texts, self._written = (x.to(self._device) for x in (texts, written.flatten()))
        self._length = texts.shape[1] - written.shape[1]
        if len(self._stored[0]) < end:
            # With room for more, so that each slot is moved a few times at most.
            self._stored = [_longer(x, end + end // 2) for x in self._stored]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store what is new; return the keys and values of the texts."""
        self._length = self._texts.shape[1]
        keys, values = self._stored
        return self._through(keys, key_states), self._through(values, value_states)

    def _through(self, stored: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        stored.index_copy_(0, self._written, new.transpose(1, 2).flatten(0, 1))
        texts = stored.index_select(0, self._texts.flatten())
        return texts.view(*self._texts.shape, *stored.shape[1:]).transpose(1, 2)

    def get_seq_length(self) -> int:
        return self._length


def _longer(x: torch.Tensor, size: int) -> torch.Tensor:
    longer = x.new_empty((size, *x.shape[1:]))
    longer[: len(x)] = x
    return longer
