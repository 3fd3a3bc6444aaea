"""Samplers that keep a state for each row of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, Unpack, overload

import numpy as np

from sortes._arrays import host, integers_of, numbers_of, rows_of
from sortes._check import COUNT, Domain, shown
from sortes._device import is_on_device, to_device, to_host
from sortes._progress import Progress
from sortes.decode._call import CallArgs, LogitBias, rows_in
from sortes.decode.rules import RuleArgs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from numpy.typing import ArrayLike, NDArray

    from sortes._rng import Rng

State = TypeVar("State", bound=tuple[Any, ...])


class StatefulSampler(ABC, Generic[State]):
    """Draws the token of each row by a rule that follows the tokens drawn before.

    The state is a named tuple of numbers of the rows: float64, in NumPy arrays of shape (B,); for
    logits on another device, in tensors there. A kind of sampler says how it starts and goes on.

    Parameters
    ----------
    parameters : mapping of str to ndarray of float64, shape () or (B,)
        What the sampler was made with; parameters given row by row follow the rows as well.
    **options
        The other arguments that it was made with.
    """

    _kind: ClassVar[type[tuple[Any, ...]]]
    #: Where the numbers of each field of the state must lie.
    _domains: ClassVar[Mapping[str, Domain]]

    def __init__(self, parameters: dict[str, NDArray[np.float64]], **options: Any) -> None:
        self._parameters = parameters
        self._options = options
        self._state: State | None = None

    @abstractmethod
    def _start(self) -> tuple[NDArray[np.float64], ...]:
        """Return the fields of the state of a row that has drawn nothing: of shape () or (B,)."""

    @abstractmethod
    def _next(
        self, logits: Any, state: State, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Draw; return the tokens and the fields of the next state. `arguments` are `sample`'s."""

    @property
    def state(self) -> State | None:
        """The numbers of each row; None before the first batch. May be set."""
        return self._state

    @state.setter
    def state(self, state: State | None) -> None:
        self._state = None if state is None else self._checked(state)

    @overload
    def sample(self, logits: torch.Tensor, **arguments: Unpack[CallArgs]) -> torch.Tensor: ...
    @overload
    def sample(self, logits: ArrayLike, **arguments: Unpack[CallArgs]) -> NDArray[np.int64]: ...
    def sample(
        self,
        logits: ArrayLike,
        *,
        logit_bias: LogitBias | None = None,
        mask: ArrayLike | None = None,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        step: int = 0,
        num_threads: int | None = None,
        progress: Progress = None,
        **rule_args: Unpack[RuleArgs],
    ) -> Any:
        """Draw a token for each row, and let the state follow it.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            As in `sortes.decode.sample`.
        logit_bias, mask, rows
            As in `sortes.decode.sample`.
        rng : Rng, optional
            The randomness: None for fresh entropy, or a seed, generator or stream (see
            `sortes.Rng`). A list has one stream for each row.
        step : int, default 0
            The position in a run, in [0, 2**32): different steps give independent draws. Give the
            number of the token in its text.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``. It counts rows.
        **rule_args
            The arguments of `Rules`.

        Returns
        -------
        tokens : int64, shape (B,) or ()
            The tokens, in the caller's kind of array.

        Raises
        ------
        ValueError
            If the number of rows is not that of the state, or as in `sortes.decode.sample`. The
            state is then as it was.
        TypeError
            As in `sortes.decode.sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import Mirostat
        >>> sampler = Mirostat(tau=2.0)
        >>> logits = np.zeros((2, 8), np.float32)
        >>> for step in range(3):
        ...     tokens = sampler.sample(logits, rng=0, step=step)
        >>> sampler.mu.round(2)
        array([3.7, 3.7])
        """
        arguments = {
            **{"logit_bias": logit_bias, "mask": mask, "rows": rows, "rng": rng, "step": step},
            **{"num_threads": num_threads, "progress": progress, **rule_args},
        }
        state = self.init(logits) if self._state is None else self._state
        tokens, self._state = self._drawn(logits, state, arguments)
        return tokens

    def init(self, logits: ArrayLike | torch.Tensor) -> State:
        """Return the state of rows that have drawn nothing yet.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            What the first step will be given: its number of rows and its device count.

        Returns
        -------
        named tuple
            The state, for `step`: the two make the sampler a pure function of an explicit state.

        Raises
        ------
        ValueError
            If parameters were given for another number of rows.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import Mirostat
        >>> Mirostat(tau=2.0).init(np.zeros((2, 8)))
        MirostatState(mu=array([4., 4.]))
        """
        n = self._rows_of(logits)
        return self._made(beside(np.full(n, start), logits) for start in self._start())

    @overload
    def step(
        self, logits: torch.Tensor, state: State, **arguments: Unpack[CallArgs]
    ) -> tuple[torch.Tensor, State]: ...
    @overload
    def step(
        self, logits: ArrayLike, state: State, **arguments: Unpack[CallArgs]
    ) -> tuple[NDArray[np.int64], State]: ...
    def step(
        self, logits: ArrayLike, state: State, **arguments: Unpack[CallArgs]
    ) -> tuple[Any, State]:
        """Draw a token for each row from an explicit state, and leave the object as it is.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            As in `sample`.
        state : named tuple
            What `init` or the last step returned.
        **arguments
            As in `sample`.

        Returns
        -------
        tokens : int64, shape (B,) or ()
            The tokens, in the caller's kind of array.
        state : named tuple
            The next state.

        Raises
        ------
        ValueError
            If the state is none, or as in `sample`.
        TypeError
            As in `sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import Mirostat
        >>> sampler, logits = Mirostat(tau=2.0), np.zeros((2, 8), np.float32)
        >>> state = sampler.init(logits)
        >>> tokens, state = sampler.step(logits, state, rng=0)
        >>> state
        MirostatState(mu=array([3.9, 3.9]))
        """
        return self._drawn(logits, self._checked(state), dict(arguments))

    def reorder(self, indices: ArrayLike) -> Self:
        """Let the rows of the state follow those of the batch.

        Parameters
        ----------
        indices : array_like of int or bool
            Where each row of the next batch was in the last one: a permutation, the survivors of
            a batch that shrinks, the parents of beams. On another device they are not looked at.

        Returns
        -------
        StatefulSampler
            The sampler itself.

        Raises
        ------
        ValueError
            If an index is outside the last batch.
        TypeError
            If they are neither integers nor booleans.

        Examples
        --------
        >>> from sortes.decode import Mirostat
        >>> sampler = Mirostat()
        >>> sampler.mu = [8.0, 9.0, 7.0]
        >>> sampler.reorder([2, 0]).mu
        array([7., 8.])
        """
        lengths = [len(field) for field in self._state or ()]
        lengths += [len(values) for values in self._parameters.values() if values.ndim]
        n = lengths[0] if lengths else None
        # Nothing waits for a device, unless parameters on the host must follow it.
        away = is_on_device(indices) and not any(v.ndim for v in self._parameters.values())
        on_host = None if away else _indices(to_host(indices), n)
        if self._state is not None:
            self._state = self._made(
                field[on_host]
                if isinstance(field, np.ndarray)
                else field[indices if on_host is None else to_device(on_host, field.device)]
                for field in self._state
            )
        for name, values in self._parameters.items():
            if values.ndim:
                self._parameters[name] = values[on_host]
        return self

    def reset(self) -> Self:
        """Forget everything: the next batch starts afresh, with any number of rows.

        Returns
        -------
        StatefulSampler
            The sampler itself.

        Examples
        --------
        >>> from sortes.decode import Mirostat
        >>> sampler = Mirostat()
        >>> sampler.mu = [8.0]
        >>> sampler.reset().state is None
        True
        """
        self._state = None
        return self

    def copy(self) -> Self:
        """Return a sampler of its own in the same state.

        Returns
        -------
        StatefulSampler
            The copy.

        Examples
        --------
        >>> from sortes.decode import Mirostat
        >>> sampler = Mirostat()
        >>> sampler.mu = [8.0]
        >>> sampler.copy().mu
        array([8.])
        """
        copied: Self = _restored(*self.__reduce__()[1])
        return copied

    def __reduce__(self) -> tuple[Any, tuple[type[Self], dict[str, Any], tuple[Any, ...] | None]]:
        state = None if self._state is None else tuple(self._state)
        return _restored, (type(self), self._parameters | self._options, state)

    def __repr__(self) -> str:
        given = self._parameters | self._options
        shown = (f"{n}={v.tolist() if hasattr(v, 'tolist') else v!r}" for n, v in given.items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _drawn(self, logits: Any, state: State, arguments: dict[str, Any]) -> tuple[Any, State]:
        n = self._rows_of(logits)
        if len(state[0]) != n:
            raise ValueError(
                f"logits: has {n} rows, but the state holds {len(state[0])}; reorder or reset it"
            )
        for name, field in zip(self._domains, state, strict=True):
            if is_on_device(field) and not is_on_device(logits):
                raise TypeError(f"state: {name} is on {field.device}, but the logits are not")
        there = self._made(beside(field, logits) for field in state)
        tokens, fields = self._next(logits, there, arguments)
        return tokens, self._made(fields)

    def _rows_of(self, logits: Any) -> int:
        n = rows_in(logits) if is_on_device(logits) else len(rows_of(logits).array)
        for name, values in self._parameters.items():
            if values.shape not in ((), (n,)):
                raise ValueError(f"{name}: has {values.size} values for {n} rows of logits")
        return n

    def _checked(self, state: Any) -> State:
        fields = tuple(self._domains)
        if not isinstance(state, tuple | list) or len(state) != len(fields):
            raise TypeError(f"state: must hold {' and '.join(fields)}, got {shown(state)}")
        checked = [
            checked_field(value, f"state: {name}", domain)
            for (name, domain), value in zip(self._domains.items(), state, strict=True)
        ]
        if len({len(field) for field in checked}) > 1:
            raise ValueError(f"state: {' and '.join(fields)} must have the same length")
        return self._made(checked)

    def _made(self, fields: Any) -> State:
        return self._kind(*fields)  # type: ignore[return-value]


def _restored(
    kind: type[StatefulSampler[Any]], given: dict[str, Any], state: tuple[Any, ...] | None
) -> Any:
    sampler: Any = kind(**given)
    sampler.state = state
    return sampler


def checked_field(value: Any, name: str, domain: Domain) -> Any:
    """Check the numbers of a field; those on another device keep their values unseen."""
    if not is_on_device(value):
        value = numbers_of(value, name, domain)
    if value.ndim != 1:
        raise ValueError(f"{name}: must have shape (B,), got {tuple(value.shape)}")
    return value


def _indices(indices: Any, n: int | None) -> NDArray[np.int64]:
    """Return indices of `n` rows, which may come as a mask of those that stay."""
    array = host(indices, "indices", None)
    if array.dtype == np.bool_:
        if array.ndim != 1 or n not in (None, array.size):
            raise ValueError(f"indices: must have shape ({n},) as a mask, got {array.shape}")
        return np.flatnonzero(array)
    return integers_of(
        indices, "indices", COUNT if n is None else Domain(f"[0, {n})", integer=True)
    )


def beside(value: Any, logits: Any) -> Any:
    """Send `value` to the device of `logits`; a single number, and all on the host, stays."""
    if not is_on_device(logits) or not isinstance(value, np.ndarray):
        return value
    return to_device(value, logits.device) if value.ndim else float(value)
