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
        taken = [self._slots.take(prefix.tolist()) for prefix in prefixes]
        new = [max(new, missing) for _, new in taken]

        # Right-aligned, as deep as the row of which most is missing. Padding is read from the first
        # slot, for it must be finite; what is computed of it, or again, is written aside.
        known = len(self._prompt)
        width, depth = known + max(map(len, prefixes)), max(new)
        ids, written = np.zeros((len(new), depth), np.int64), np.full((len(new), depth), known)
        mask, texts = np.zeros((2, len(new), width), np.int64)
        for row, (prefix, (slots, _)) in enumerate(zip(prefixes, taken, strict=True)):
            end = width - len(prefix)
            mask[row, end - known :] = 1
            texts[row, end - known : end], texts[row, end:] = np.arange(known), slots
            tokens = np.append(self._prompt, prefix)[-depth:]
            ids[row, -len(tokens) :] = tokens
            written[row, -new[row] :] = texts[row, -new[row] :]
        arrays = (torch.from_numpy(x).to(self._device) for x in (ids, mask, texts, written))
        given, seen, read, write = arrays
        self._cache.arrange(read, write, self._slots.end)
        return Batch(given, seen, self._cache)

    def close(self) -> None:
        """Take note that the model has computed the batch; drop what was used longest ago."""
        self._slots.keep(self._most)
        self._is_open = False
