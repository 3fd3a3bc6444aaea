"""What calls of a model take, by how many tokens of a text they compute."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

#: What is known of models: of each size of batch what a call takes.
_KNOWN: WeakKeyDictionary[Any, dict[int, CallTimes]] = WeakKeyDictionary()
#: What a position more takes, in parts of a call for one, before it is measured: on a CPU, and on
#: what mostly waits for the weights.
_SLOPES: Final = (0.1, 0.01)
#: How much of what was measured counts after another call.
_DECAY: Final = 0.98
#: The largest widths that are taken together, and a width for each.
_ENDS: Final = np.array(
    [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 2**62]
)
_MIDDLES: Final = np.append((_ENDS[:-1] + np.append(0, _ENDS[:-2]) + 1) / 2, 768.0)
#: Standard deviations of the logarithm of a call's time about the line: of its size, of its slope
#: for each doubling of the width, of the widths themselves (which are alike within so many
#: doublings), and of one measurement.
_SIZE, _SLOPE, _OWN, _ALIKE, _NOISE = 5.0, 0.25, 0.15, 0.7, 0.2


def _covariance() -> np.ndarray[Any, Any]:
    doublings = np.log2(_MIDDLES)
    apart = np.abs(doublings[:, None] - doublings)
    slope = _SLOPE**2 * np.minimum(doublings[:, None], doublings)
    covariance: np.ndarray[Any, Any] = _SIZE**2 + slope + _OWN**2 * np.exp(-apart / _ALIKE)
    return covariance


_COVARIANCE: Final = _covariance()


class CallTimes:
    """Seconds of a call, by its width: a line, and how far the measured widths are from it.

    The logarithms of the distances are a Gaussian process, since kernels of matrices take some
    widths faster than smaller ones: what is not measured is as what is measured near it.

    Parameters
    ----------
    slope : float
        What a position more takes, in parts of a call for one, before anything is measured.
    """

    def __init__(self, slope: float) -> None:
        self._slope = slope
        self._looks, self._means = np.zeros(len(_ENDS)), np.zeros(len(_ENDS))
        self._found: np.ndarray[Any, Any] | None = None

    @classmethod
    def of(cls, model: Any, batch: int) -> CallTimes:
        """Return what is known of a model with so many texts."""
        known = _KNOWN.setdefault(model, {})
        if batch not in known:
            each = _SLOPES[model.device.type != "cpu"]
            known[batch] = cls(each * batch / (1 + each * (batch - 1)))
        return known[batch]

    def add(self, width: int, seconds: float) -> None:
        """Learn what a call took."""
        at = int(np.searchsorted(_ENDS, width))
        apart = float(np.log(max(seconds, 1e-9)) - self._line(np.array(width)))
        if self._looks.sum() >= 4:  # at twice the time something else came between
            expected = float(self._distances()[at])
            apart = min(max(apart, expected - np.log(2)), expected + np.log(2))
        self._looks *= _DECAY  # or what once seemed dear would never be tried again
        self._looks[at] += 1
        self._means[at] += (apart - self._means[at]) / self._looks[at]
        self._found = None

    def of_widths(self, widths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the seconds of calls."""
        apart = self._distances()[np.searchsorted(_ENDS, widths)]
        seconds: np.ndarray[Any, Any] = np.exp(self._line(widths) + apart)
        return seconds

    def _line(self, widths: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        line: np.ndarray[Any, Any] = np.log1p(self._slope * (widths - 1))
        return line

    def _distances(self) -> np.ndarray[Any, Any]:
        """Return the means of the distances, given what was measured."""
        if self._found is None:
            seen = np.flatnonzero(self._looks > 1e-3)
            known = _COVARIANCE[np.ix_(seen, seen)] + np.diag(_NOISE**2 / self._looks[seen])
            self._found = _COVARIANCE[:, seen] @ np.linalg.solve(known, self._means[seen])
        return self._found
