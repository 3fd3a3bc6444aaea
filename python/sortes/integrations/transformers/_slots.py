"""Slots for the tokens of beginnings: whose keys and values are stored, and where."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Stands above the first token of every beginning.
_ROOT = -1


class Slots:
    """Slots for the nodes of a tree of beginnings, which share those of the tokens they share.

    Parameters
    ----------
    first : int
        The first slot.

    Attributes
    ----------
    end : int
        One more than the last slot that was ever in use.
    """

    def __init__(self, first: int) -> None:
        #: By the slot above and the token. What was used longest ago is first, and always before
        #: what is above it, so that nothing is kept below a slot that is free.
        self._used: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._free: list[int] = []
        self.end = first

    def __len__(self) -> int:
        return len(self._used)

    def take(self, beginning: Iterable[int]) -> tuple[list[int], int]:
        """Return the slots of the tokens of a beginning, and how many are new: the last ones."""
        keys: list[tuple[int, int]] = []
        slots: list[int] = []
        above, new = _ROOT, 0
        for token in beginning:
            key = above, token
            slot = self._used.get(key)
            if slot is None:
                slot = self._used[key] = self._unused()
                new += 1
            keys.append(key)
            slots.append(slot)
            above = slot
        for key in reversed(keys):
            self._used.move_to_end(key)
        return slots, new

    def keep(self, most: int) -> None:
        """Free all but the `most` slots that were used last."""
        while len(self._used) > most:
            _, slot = self._used.popitem(last=False)
            self._free.append(slot)

    def _unused(self) -> int:
        if self._free:
            return self._free.pop()
        self.end += 1
        return self.end - 1
