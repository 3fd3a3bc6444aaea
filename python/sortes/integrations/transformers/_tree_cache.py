"""A cache of keys and values with room behind each text, where trees of tokens are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    from sortes.integrations.transformers._slot_cache import States


class TreeCache(Cache):
    """Keys and values of the texts of a batch, each from the first column on.

    Behind the tokens of a text are those of a tree that goes on from it; of these some stay.

    Parameters
    ----------
    states
        Keys and values of prompts, of shape (B, heads, T, size) for each layer.
    real : tensor of bool, shape (B, T)
        Which of their tokens are no padding.

    Attributes
    ----------
    lengths : list of int
        How many tokens each text has here.
    """

    def __init__(self, states: States, real: torch.Tensor) -> None:
        self.lengths: list[int] = real.sum(1).tolist()
        self._tree_layers = [_TreeLayer(*pair, real) for pair in states]
        super().__init__(layers=list(self._tree_layers))

    def open(self, width: int, behind: int = 0) -> int:
        """Make room for tokens behind each text and some more; return the number of columns."""
        first = min(self.lengths) + behind
        end = max(self.lengths) + behind + width
        columns = None
        if end - first > width:
            columns = torch.tensor(self.lengths)[:, None] + behind + torch.arange(width)
        for layer in self._tree_layers:
            layer.open(first, columns, width, end)
        return end

    def keep(self, paths: list[list[int]]) -> None:
        """Keep some of the tokens behind each text: ascending, one behind the other."""
        rows: list[int] = []
        taken: list[int] = []
        put: list[int] = []
        for row, path in enumerate(paths):
            length = self.lengths[row]
            self.lengths[row] = length + len(path)
            for place, node in enumerate(path):
                if node != place:
                    rows.append(row)
                    taken.append(length + node)
                    put.append(length + place)
        if rows:
            for layer in self._tree_layers:
                layer.move(rows, taken, put)

    def states(self, before: list[int], columns: int) -> States:
        """Return the keys and values as a plain cache has them: text behind `before` columns."""
        return [layer.states(self.lengths, before, columns) for layer in self._tree_layers]


class _TreeLayer(DynamicLayer):
    """A layer of it: keys and values of shape (B, heads, columns, size)."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, real: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        self._device, real = keys.device, real.to(keys.device)
        self._stored = [_to_the_front(x, real) for x in (keys, values)]
        self._length = self._end = 0

    def open(self, first: int, columns: torch.Tensor | None, width: int, end: int) -> None:
        self._length, self._end = end - width, end
        self._first, self._columns = first, columns
        if columns is not None:
            self._columns = columns.to(self._device)
            self._rows = torch.arange(len(columns), device=self._device)[:, None]
        if self._stored[0].shape[2] < end:
            # With room for more, so that each column is moved a few times at most.
            self._stored = [_wider(x, end + max(end // 2, 64)) for x in self._stored]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store what is new; return the keys and values of all columns."""
        self._length = self._end
        keys, values = self._stored
        return self._through(keys, key_states), self._through(values, value_states)

    def _through(self, stored: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        if self._columns is None:
            stored[:, :, self._first : self._end] = new
        else:
            stored[self._rows, :, self._columns] = new.transpose(1, 2)
        return stored[:, :, : self._end]

    def move(self, rows: list[int], taken: list[int], put: list[int]) -> None:
        for x in self._stored:
            x[rows, :, put] = x[rows, :, taken]

    def get_seq_length(self) -> int:
        return self._length

    def states(
        self, lengths: list[int], before: list[int], columns: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        out = []
        for x in self._stored:
            if len(lengths) == 1 and not before[0]:
                out.append(x[:, :, :columns].contiguous())
                continue
            whole = x.new_zeros((*x.shape[:2], columns, x.shape[3]))
            for row, (length, start) in enumerate(zip(lengths, before, strict=True)):
                length = min(length, columns - start)
                whole[row, :, start : start + length] = x[row, :, :length]
            out.append(whole)
        return out[0], out[1]


def _to_the_front(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return keys or values with some room, and without what is not real."""
    batch, heads, length, size = x.shape
    out = x.new_zeros((batch, heads, length + max(length // 2, 64), size))
    if bool(real.all()):
        out[:, :, :length] = x
    else:
        for row in range(batch):
            own = x[row][:, real[row]]
            out[row, :, : own.shape[1]] = own
    return out


def _wider(x: torch.Tensor, columns: int) -> torch.Tensor:
    wider = x.new_zeros((*x.shape[:2], columns, x.shape[3]))
    wider[:, :, : x.shape[2]] = x
    return wider


def plain_layers(cache: object) -> list[DynamicLayer] | None:
    """Return the layers of a cache that holds the keys and values of all tokens, and no more."""
    if type(cache) is not DynamicCache or getattr(cache, "offloading", False) or not cache.layers:
        return None
    layers = []
    for layer in cache.layers:
        if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
            return None
        if layer.keys.ndim != 4 or layer.values.ndim != 4:
            return None
        layers.append(layer)
    return layers
