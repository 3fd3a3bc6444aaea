"""State that a sampler keeps for each row of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._device import is_on_device, to_device, to_host

if TYPE_CHECKING:
    from numpy.typing import NDArray


class RowState:
    """One or more numbers for each row, made at the first batch and carried from step to step.

    They are float64, in NumPy arrays of shape (B,); for logits on another device, in tensors there.

    Parameters
    ----------
    **parameters : ndarray of float64, shape () or (B,)
        What the sampler was made with; parameters given row by row follow the rows as well.
    """

    def __init__(self, **parameters: NDArray[np.float64]) -> None:
        self._parameters = parameters
        self._state: tuple[Any, ...] | None = None

    def reorder(self, indices: Any) -> None:
        """Let the rows of the state follow those of the batch.

        Parameters
        ----------
        indices : array_like of int or bool
            Where each row of the next batch was in the last one: a permutation, the survivors of
            a batch that shrinks, the parents of beams.

        Examples
        --------
        >>> from sortes.decode import Mirostat
        >>> sampler = Mirostat()
        >>> sampler.mu = [8.0, 9.0, 7.0]
        >>> sampler.reorder([2, 0])
        >>> sampler.mu
        array([7., 8.])
        """
        if self._state is not None:
            on_host = isinstance(self._state[0], np.ndarray)
            at = np.asarray(to_host(indices)) if on_host else indices
            self._state = tuple(values[at] for values in self._state)
        for name, values in self._parameters.items():
            if values.ndim:
                self._parameters[name] = values[np.asarray(to_host(indices))]

    def reset(self) -> None:
        """Forget everything: the next batch starts afresh, with any number of rows."""
        self._state = None

    def _resume(self, logits: Any, *fresh: NDArray[np.float64]) -> tuple[Any, ...]:
        """Return the state for the rows of `logits`: what is held, or else the `fresh` values."""
        rows = len(logits) if np.ndim(logits) == 2 else 1
        for name, values in self._parameters.items():
            if values.shape not in ((), (rows,)):
                raise ValueError(f"{name}: has {values.size} values for {rows} rows of logits")
        state = self._state or tuple(np.full(rows, values) for values in fresh)
        if len(state[0]) != rows:
            raise ValueError(
                f"logits: has {rows} rows, but the state holds {len(state[0])}; reorder or reset it"
            )
        return tuple(beside(values, logits) for values in state)


def beside(value: Any, logits: Any) -> Any:
    """Send `value` to the device of `logits`; a single number, and all on the host, stays."""
    if not is_on_device(logits) or not isinstance(value, np.ndarray):
        return value
    return to_device(value, logits.device) if value.ndim else float(value)
