"""RS2: every epoch trains on a random subset, and the subsets take turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from sortes import _core
from sortes._check import count, flag, one_of
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

Wrap = Literal["distinct", "drop", "raw"]

_VERSION = 1


class RS2Sampler:
    r"""Repeated sampling of random subsets, as a sampler for Torch data loaders.

    Parameters
    ----------
    n : int
        How many items there are, below 2**48.
    keep : int or float
        How many of them an epoch uses: a number, or as a float a fraction up to 1.0 (of which the
        integer part of ``keep * n`` counts, but one at least): 1 is one item, 1.0 is all of them.
    replacement : bool, default False
        Draw the subset of each epoch afresh. Otherwise epochs take the next items of an endless
        line of random permutations, so that all items are used equally often.
    wrap : {"distinct", "drop", "raw"}
        What happens without replacement where one permutation ends within an epoch and the next
        begins, and an item comes up a second time. ``"distinct"``: it waits for the next epoch.
        ``"drop"``: the epoch ends with the permutation, and is short. ``"raw"``: it is used twice.
    rng
        Seed or generator.
    rank, world_size : int
        Which share of each epoch this process takes: place ``rank``, ``rank + world_size``, and so
        on. All processes need the same `rng`, as a seed.
    drop_last : bool, default False
        Make the shares equal by leaving out the last items of the epoch; otherwise by repeating
        the first ones.

    Attributes
    ----------
    n, keep : int
        As given, with fractions resolved.
    epoch : int
        The epoch that the next iteration goes through.

    Raises
    ------
    ValueError
        If an argument is out of its domain.

    Notes
    -----
    Iterating goes through the current epoch and, at its end, moves on to the next; `set_epoch` says
    which. An epoch is a function of (`rng`, its number) alone: resuming costs no replay of earlier
    ones. It is made when its iteration begins: `keep` numbers, some 30 to 60 ns each.

    Without replacement and with ``"distinct"``, no item comes twice in an epoch; after any number
    of epochs the numbers of uses differ by one at most; and they are equal whenever `n` divides
    epochs times `keep`. (If `keep` exceeds ``n / 2``, the rule is applied to the items that are
    left out, which gives the same invariants.) With replacement, :math:`n (1 - (1 - k/n)^T)`
    items are expected to have been used after `T` epochs.

    Permutations take constant memory. Up to 4,096 items they are shuffled with exactly uniform
    integers; beyond that they are pseudo-random (a Feistel network of 8 rounds): certainly
    permutations, but that they look uniform is tested, not proved.

    It is a sampler to ``torch.utils.data.DataLoader``, which asks for no more than iteration and a
    length; Torch itself is never imported. `state_dict` and `load_state_dict` are what
    ``torchdata.stateful_dataloader.StatefulDataLoader`` calls. The position in a state counts what
    has been handed out: a plain data loader with workers asks for some batches ahead of those it
    has returned.

    References
    ----------
    Okanovic, Waleffe, Mageirakos, Nikolakakis, Karbasi, Kalogerias, Gürel and Rekatsinas, "Repeated
    random sampling for minimizing the time-to-accuracy of learning", ICLR 2024, arXiv:2305.18424.

    Examples
    --------
    >>> sampler = RS2Sampler(10, keep=0.3, rng=0)
    >>> first, second, third = (list(sampler) for _ in range(3))
    >>> len(set(first + second + third))
    9
    >>> sampler.set_epoch(1)
    >>> list(sampler) == second
    True
    """

    def __init__(
        self,
        n: int,
        keep: float,
        replacement: bool = False,
        wrap: Wrap = "distinct",
        *,
        rng: Rng = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.n = count(n, "n", 1, 2**48 - 1)
        if isinstance(keep, float | np.floating):
            keep = float(keep)
            if 0 < keep <= 1:
                keep = max(int(keep * self.n), 1)
            elif keep.is_integer():
                keep = int(keep)
        self.keep = count(keep, "keep", 1)
        if self.keep > self.n:
            raise ValueError(f"keep: must be at most n = {self.n}, got {keep}")
        self.wrap = one_of(wrap, "wrap", get_args(Wrap))
        self.replacement = flag(replacement, "replacement")
        self.world_size = count(world_size, "world_size", 1)
        self.rank = count(rank, "rank")
        if self.rank >= self.world_size:
            raise ValueError(f"rank: must be below world_size = {self.world_size}, got {rank}")
        self.drop_last = flag(drop_last, "drop_last")
        self._key = as_stream(rng).key
        self.epoch = 0
        self._position = 0
        self._resume = 0

    def indices(self, epoch: int | None = None) -> NDArray[np.int64]:
        """Return the items of an epoch, by default the current one: those of all ranks.

        Parameters
        ----------
        epoch : int, optional
            Its number, from 0 on.

        Returns
        -------
        ndarray of int64, shape (keep,)
            The items in the order of their use.

        Raises
        ------
        ValueError
            If the epoch lies beyond permutation 2**32.
        MemoryError
            If there is no memory for it.
        """
        epoch = self.epoch if epoch is None else count(epoch, "epoch")
        mode = "replacement" if self.replacement else self.wrap
        return _core.select.rs2.rs2_epoch(self.n, self.keep, mode, _core.Stream(self._key), epoch)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration go through `epoch`, from its beginning."""
        epoch = count(epoch, "epoch")
        if epoch != self.epoch:
            # A trainer that announces the epoch it has just resumed keeps its position.
            self._resume = self._position = 0
        self.epoch = epoch

    def __len__(self) -> int:
        """Return how many items the current epoch gives this rank."""
        size = self.keep
        if self.wrap == "drop" and not self.replacement:
            parts = -(-self.n // self.keep)
            size = min(self.keep, self.n - self.epoch % parts * self.keep)
        return self._share(size)

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items of the current epoch."""
        epoch, position = self.epoch, self._resume
        self._position, self._resume = position, 0
        items = self.indices(epoch)
        share = self._share(items.size)
        places = np.arange(self.rank, share * self.world_size, self.world_size)
        return self._iterate(epoch, items[places % items.size].tolist(), position)

    def _iterate(self, epoch: int, items: list[int], position: int) -> Iterator[int]:
        for place in range(position, len(items)):
            self._position = place + 1
            yield items[place]
        if self.epoch == epoch:
            self.epoch, self._position = epoch + 1, 0

    def _share(self, size: int) -> int:
        return size // self.world_size if self.drop_last else -(-size // self.world_size)

    def state_dict(self) -> dict[str, Any]:
        """Return where the sampler is, for a checkpoint: plain numbers, the same on all ranks."""
        return {
            "version": _VERSION,
            **self._arguments(),
            "key": self._key,
            "epoch": self.epoch,
            "position": self._position,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the sampler was whose `state_dict` this is.

        Parameters
        ----------
        state : dict
            The state. Its seed replaces this sampler's.

        Raises
        ------
        ValueError
            If it is the state of a sampler with other arguments, or no state; the message names
            what differs. Nothing is changed then.
        """
        if state.get("version") != _VERSION:
            raise ValueError(f"state: must be of version {_VERSION}, got {state.get('version')}")
        for name, value in self._arguments().items():
            if state.get(name) != value:
                raise ValueError(f"state: {name} must be {value!r}, got {state.get(name)!r}")
        key = state.get("key")
        if not (isinstance(key, int) and 0 <= key < 2**64):
            raise ValueError(f"state: key must be in [0, 2**64), got {key!r}")
        epoch = count(state.get("epoch"), "state: epoch")
        position = count(state.get("position"), "state: position")
        self._key, self.epoch = key, epoch
        self._resume = self._position = position

    def _arguments(self) -> dict[str, Any]:
        names = ("n", "keep", "replacement", "wrap", "world_size", "drop_last")
        return {name: getattr(self, name) for name in names}
