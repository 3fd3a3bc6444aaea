"""The keys and values of a prompt and of beginnings behind it, as many as a bound allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from sortes.integrations.transformers._slots import Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sortes.integrations.transformers._slot_cache import SlotCache

#: How many bytes the tokens behind the prompt take, unless it is said how many there may be.
_BYTES: Final = 2**30


class Batch(NamedTuple):
    """What the model is given: the last tokens of some texts, which are padded in front.

    Attributes
    ----------
    ids : LongTensor, shape (B, Q)
        The last tokens.
    mask : LongTensor, shape (B, T)
        Which tokens of the texts are no padding.
    cache : SlotCache
        Holds the others, and takes the last ones in.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    cache: SlotCache


class Store:
    """The keys and values of a prompt and of beginnings behind it.

    Parameters
    ----------
    cache : SlotCache
        Holds the first tokens of the prompt.
    prompt : LongTensor, shape (T,)
        All of its tokens.
    most : int, optional
        How many tokens behind it are kept from one batch to the next, at most; by default as many
        as take 1 GiB.
    """

    def __init__(self, cache: SlotCache, prompt: torch.Tensor, most: int | None) -> None:
        self._cache, self._device = cache, prompt.device
        self._prompt = prompt.cpu().numpy()
        self._most = max(1, _BYTES // cache.bytes_of_token) if most is None else most
        self._slots, self._is_open = self._no_slots(), False

    def _no_slots(self) -> Slots:
        """Return slots behind those of the prompt and one in which nobody looks."""
        return Slots(len(self._prompt) + 1)

    def open(self, prefixes: Sequence[NDArray[np.int64]], missing: int = 1) -> Batch:
        """Return what of the beginnings is to be computed: the last token, or at least `missing`.

        The batch is to be closed when the model has taken it in. If that failed, nothing behind the
        prompt is kept.
        """
        if self._is_open:
            self._slots = self._no_slots()
        self._is_open = True
        rows = []
        for prefix in prefixes:
            slots, new = self._slots.take(prefix.tolist())
            rows.append((np.append(self._prompt, prefix), slots, max(new, missing)))

        # Right-aligned, as deep as the row of which most is missing. Padding is read from the first
        # slot, for it must be finite; what is computed of it, or again, is written aside.
        behind = len(self._prompt)
        width, depth = max(len(ids) for ids, *_ in rows), max(new for *_, new in rows)
        ids, mask, texts = np.zeros((3, len(rows), width), np.int64)
        written = np.full((len(rows), depth), behind)
        for row, (text, slots, new) in enumerate(rows):
            at = width - len(text)
            ids[row, at:], mask[row, at:] = text, 1
            texts[row, at:] = *range(behind), *slots
            written[row, -new:] = texts[row, -new:]
        arrays = (ids[:, -depth:], mask, texts, written)
        given, seen, read, write = (torch.from_numpy(x).to(self._device) for x in arrays)
        self._cache.arrange(read, write, self._slots.end)
        return Batch(given, seen, self._cache)

    def close(self) -> None:
        """Take note that the model has computed the batch; drop what was used longest ago."""
        self._slots.keep(self._most)
        self._is_open = False
