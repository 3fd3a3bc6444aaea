"""RS2: every epoch trains on a random subset, and the subsets take turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

import numpy as np

from sortes import _core
from sortes._check import (
    COUNT,
    WORD,
    AtLeastOne,
    Count,
    Domain,
    Positive,
    count,
    flag,
    one_of,
    real,
    shown,
)
from sortes._progress import Progress, job_of
from sortes._rng import as_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._rng import Rng

Wrap = Literal["distinct", "drop", "raw"]

#: How many items there may be.
LENGTH = Domain("[1, 2**48)", integer=True)
Length: TypeAlias = Annotated[int, LENGTH]

_KEY = Domain("[0, 2**64)", integer=True)
_VERSION = 2


class RS2Sampler:
    r"""Repeated sampling of random subsets, as a sampler for Torch data loaders.

    Parameters
    ----------
    n : int
        How many items there are, in [1, 2**48).
    keep : int or float
        How many of them an epoch uses: a number, or as a float a fraction up to 1.0 (of which the
        integer part of ``keep * n`` counts, but one at least): 1 is one item, 1.0 is all of them.
    replacement : bool, default False
        Draw the subset of each epoch afresh. Otherwise epochs take the next items of an endless
        line of random permutations, so that all items are used equally often.
    wrap : {"distinct", "drop", "raw"}, default "distinct"
        What happens without replacement where one permutation ends within an epoch and the next
        begins, and an item comes up a second time. ``"distinct"``: it waits for the next epoch.
        ``"drop"``: the epoch ends with the permutation, and is short. ``"raw"``: it is used twice.
    rank : int, default 0
        Which share of each epoch this process takes: the items at ``rank``, ``rank + world_size``,
        and so on. All processes need the same `rng`, as a seed.
    world_size : int, default 1
        How many processes share an epoch.
    drop_last : bool, default False
        Make the shares equal by leaving out the last items of the epoch; otherwise by repeating
        the first ones.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.

    Attributes
    ----------
    n : int
        As given.
    keep : int
        As given, with fractions resolved.
    epoch : int
        The epoch that the next iteration goes through.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or `wrap` is given with replacement.
    TypeError
        If an argument is of another type.

    Notes
    -----
    Iterating goes through the current epoch and, at its end, moves on to the next; `set_epoch` says
    which. An epoch is a function of the randomness and its number alone: resuming costs no replay
    of earlier ones. It is made as a whole when its iteration begins.

    Without replacement and with ``"distinct"``, no item comes twice in an epoch; after any number
    of epochs the numbers of uses differ by one at most; and they are equal whenever `n` divides
    epochs times `keep`. (If `keep` exceeds ``n / 2``, the rule is applied to the items that are
    left out, which gives the same invariants.) With replacement, $n (1 - (1 - k/n)^T)$ items are
    expected to have been used after `T` epochs.

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
    >>> from sortes.select import RS2Sampler
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
        n: Length,
        keep: Positive,
        *,
        replacement: bool = False,
        wrap: Wrap = "distinct",
        rank: Count = 0,
        world_size: AtLeastOne = 1,
        drop_last: bool = False,
        rng: Rng = None,
        step: int = 0,
    ) -> None:
        self.n = LENGTH.check(n, "n")
        self.keep = _kept(keep, self.n)
        self.wrap = one_of(wrap, "wrap", get_args(Wrap))
        self.replacement = flag(replacement, "replacement")
        if self.replacement and wrap != "distinct":
            raise ValueError(f"wrap: must be 'distinct' with replacement, got {wrap!r}")
        self.world_size = count(world_size, "world_size", 1)
        self.rank = count(rank, "rank")
        if self.rank >= self.world_size:
            raise ValueError(f"rank: must be below world_size = {self.world_size}, got {rank}")
        self.drop_last = flag(drop_last, "drop_last")
        self._stream = as_stream(rng, step)
        self.epoch = 0
        self._position = 0
        self._resume = 0

    def indices(
        self, epoch: Count | None = None, *, progress: Progress = None
    ) -> NDArray[np.int64]:
        """Return the items of an epoch, by default the current one: those of all ranks.

        Parameters
        ----------
        epoch : int, optional
            Its number, from 0 on.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

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

        Examples
        --------
        >>> from sortes.select import RS2Sampler
        >>> sampler = RS2Sampler(10, 4, rng=0)
        >>> sampler.indices(2)
        array([3, 6, 8, 4])
        """
        epoch = self.epoch if epoch is None else COUNT.check(epoch, "epoch")
        mode = "replacement" if self.replacement else self.wrap
        with job_of(None, progress, "epoch") as job:
            return _core.select.rs2.rs2_epoch(self.n, self.keep, mode, self._stream, epoch, job)

    def set_epoch(self, epoch: Count) -> None:
        """Let the next iteration go through `epoch`, from its beginning.

        Parameters
        ----------
        epoch : int
            Its number, from 0 on. The epoch of a state that was just loaded keeps its position.

        Raises
        ------
        ValueError
            If it is negative.

        Examples
        --------
        >>> from sortes.select import RS2Sampler
        >>> sampler = RS2Sampler(10, 4, rng=0)
        >>> sampler.set_epoch(2)
        >>> list(sampler)
        [3, 6, 8, 4]
        """
        epoch = COUNT.check(epoch, "epoch")
        if epoch != self.epoch:
            # A trainer that announces the epoch it has just resumed keeps its position.
            self._resume = self._position = 0
        self.epoch = epoch

    def __len__(self) -> int:
        """Return how many items the current epoch gives this rank."""
        return self._length(self.epoch)

    def __iter__(self) -> Iterator[int]:
        """Iterate over the items of the current epoch."""
        self._position = self._resume
        items = self.indices()
        share = self._share(items.size)
        mine = np.arange(self.rank, share * self.world_size, self.world_size) % items.size
        return self._iterate(self.epoch, items[mine].tolist(), self._resume)

    def _iterate(self, epoch: int, items: list[int], start: int) -> Iterator[int]:
        # This runs when the first item is asked for: an iterator that is never read leaves the
        # position of a loaded state to the next one. An epoch that is broken off begins again.
        self._resume = 0
        for index in range(start, len(items)):
            self._position = index + 1
            yield items[index]
        if self.epoch == epoch:
            self.epoch, self._position = epoch + 1, 0

    def _length(self, epoch: int) -> int:
        """Return how many items an epoch gives this rank."""
        size = self.keep
        if self.wrap == "drop":
            parts = -(-self.n // self.keep)
            size = min(self.keep, self.n - epoch % parts * self.keep)
        return self._share(size)

    def _share(self, size: int) -> int:
        return size // self.world_size if self.drop_last else -(-size // self.world_size)

    def state_dict(self) -> dict[str, int | bool | str]:
        """Return where the sampler is, for a checkpoint.

        Returns
        -------
        dict
            Plain numbers and strings, the same on all ranks.

        Examples
        --------
        >>> from sortes.select import RS2Sampler
        >>> sampler = RS2Sampler(10, 4, rng=0)
        >>> items = iter(sampler)
        >>> _ = next(items), next(items)
        >>> state = sampler.state_dict()
        >>> state["epoch"], state["position"]
        (0, 2)
        """
        return {
            "version": _VERSION,
            **self._arguments(),
            "key": self._stream.key,
            "step": self._stream.step,
            "epoch": self.epoch,
            "position": self._position,
        }

    def load_state_dict(self, state: Mapping[str, int | bool | str]) -> None:
        """Go on where the sampler was whose `state_dict` this is.

        Parameters
        ----------
        state : dict
            The state. Its randomness replaces this sampler's.

        Raises
        ------
        ValueError
            If it is the state of a sampler with other arguments, or no state; the message names
            what differs. Nothing is changed then.
        TypeError
            If it is no dict.

        Examples
        --------
        >>> from sortes.select import RS2Sampler
        >>> first, second = RS2Sampler(10, 4, rng=0), RS2Sampler(10, 4)
        >>> _ = next(iter(first))
        >>> second.load_state_dict(first.state_dict())
        >>> list(second) == first.indices(0).tolist()[1:]
        True
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state: must be a dict, got {shown(state)}")
        for name, value in {"version": _VERSION, **self._arguments()}.items():
            if state.get(name) != value:
                raise ValueError(f"state: {name} must be {value!r}, got {shown(state.get(name))}")
        key, step = _field(state, "key", _KEY), _field(state, "step", WORD)
        epoch, position = _field(state, "epoch", COUNT), _field(state, "position", COUNT)
        length = self._length(epoch)
        if position > length:
            raise ValueError(
                f"state: position must be at most {length}, the items of epoch {epoch}, "
                f"got {position}"
            )
        self._stream, self.epoch = _core.Stream(key, step), epoch
        self._resume = self._position = position

    def _arguments(self) -> dict[str, int | bool | str]:
        names = ("n", "keep", "replacement", "wrap", "world_size", "drop_last")
        return {name: getattr(self, name) for name in names}


def _kept(keep: Any, n: int) -> int:
    """Return how many of `n` items an epoch keeps, given as a number or as a fraction."""
    if isinstance(keep, float | np.floating):
        number = real(keep, "keep")
        if 0 < number <= 1:
            return max(int(number * n), 1)
        if not number.is_integer():
            raise ValueError(
                f"keep: must be an integer, or a fraction in (0, 1], got {shown(keep)}"
            )
        keep = int(number)
    kept = count(keep, "keep", 1)
    if kept > n:
        raise ValueError(f"keep: must be at most n = {n}, got {kept}")
    return kept


def _field(state: Mapping[str, Any], name: str, domain: Domain) -> int:
    """Return an integer of a state."""
    value = state.get(name)
    if type(value) is not int or value not in domain:
        raise ValueError(f"state: {name} must be in {domain}, got {shown(value)}")
    return value
