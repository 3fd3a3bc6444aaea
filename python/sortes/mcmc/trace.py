"""What chains leave: draws, their log densities, statistics."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._check import AtLeastOne, count
from sortes._interrupt import OnInterrupt
from sortes._optional import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sortes._progress import Progress

#: Goes on with the chains of a trace.
Continue = Callable[["Trace", int, OnInterrupt, int | None, "Progress"], "Trace"]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The draws of several chains, from `sample`.

    Attributes
    ----------
    draws : ndarray of float64, shape (chains, n, d)
        The draws of each chain, in order.
    logp : ndarray of float64, shape (chains, n)
        Their log densities.
    stats : dict of ndarray, shape (chains, n)
        For each draw ``n_evals``, the evaluations since the one before; ``stuck``, whether a limit
        ended a transition where it began; and what the kernel counts.
    attrs : dict
        ``key`` and ``step`` of the stream, ``Stream(key, step)``; ``kernel``, ``warmup``, ``thin``,
        ``widths`` of each chain after warm-up, ``n_nan``, how many log densities were NaN,
        ``interrupted``, ``sampling_time`` in seconds, ``inference_library`` and its version.
    var_names : dict
        The name and the shape of each variable, in the order of the coordinates.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Slice, StandardNormal, sample
    >>> trace = sample(StandardNormal(2), Slice(2.0), np.zeros(2), rng=0)
    >>> trace.draws.shape, trace.logp.shape, sorted(trace.stats)
    ((4, 1000, 2), (4, 1000), ['n_evals', 'n_expand', 'n_shrink', 'stuck'])
    """

    draws: NDArray[np.float64]
    logp: NDArray[np.float64]
    stats: Mapping[str, NDArray[Any]]
    attrs: Mapping[str, Any]
    var_names: Mapping[str, tuple[int, ...]]
    _continue: Continue | None = field(default=None)

    def __repr__(self) -> str:
        chains, n, dim = self.draws.shape
        return f"Trace({chains} chains, {n} draws, {dim} coordinates)"

    def __reduce__(self) -> tuple[Any, ...]:
        # The chains themselves stay behind: a copy does not go on.
        kept = (self.draws, self.logp, dict(self.stats), dict(self.attrs), dict(self.var_names))
        return Trace, kept

    def variables(self) -> dict[str, NDArray[np.float64]]:
        """Return the draws of each variable.

        Returns
        -------
        dict of ndarray, shape (chains, n, ...)
            Views of the draws, by name.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> names = {"mean": (), "rest": (2, 2)}
        >>> trace = sample(
        ...     StandardNormal(5), Slice(), np.zeros(5), var_names=names, rng=0
        ... )
        >>> {name: x.shape for name, x in trace.variables().items()}
        {'mean': (4, 1000), 'rest': (4, 1000, 2, 2)}
        """
        found, start = {}, 0
        for name, shape in self.var_names.items():
            stop = start + math.prod(shape)
            found[name] = self.draws[:, :, start:stop].reshape(*self.draws.shape[:2], *shape)
            start = stop
        return found

    def extend(
        self,
        draws: AtLeastOne,
        *,
        on_interrupt: OnInterrupt = "return",
        num_threads: int | None = None,
        progress: Progress = None,
    ) -> Trace:
        """Go on with the chains, from where they are.

        Parameters
        ----------
        draws : int
            How many draws more each chain is to have.
        on_interrupt : {"return", "raise"}
            What Ctrl-C does, as in `sample`.
        num_threads : int, optional
            How many threads to use at most; results never depend on it.
        progress : bool or callable, optional
            Show a progress bar, or call ``progress(done, total)``.

        Returns
        -------
        Trace
            Another one, with the draws of this one and the new ones: those that a longer call of
            `sample` would have given.

        Raises
        ------
        ValueError
            If `draws` is not positive, this trace was interrupted, or as `sample`.
        TypeError
            If an argument has the wrong type.
        Interrupted
            If Ctrl-C stops it and `on_interrupt` says so.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> trace = sample(StandardNormal(2), Slice(), np.zeros(2), draws=100, rng=0)
        >>> longer = trace.extend(50)
        >>> whole = sample(StandardNormal(2), Slice(), np.zeros(2), draws=150, rng=0)
        >>> bool((longer.draws == whole.draws).all())
        True
        """
        more = count(draws, "draws", 1)
        if self._continue is None:
            raise ValueError("draws: this trace was interrupted or copied, and cannot go on")
        return self._continue(self, more, on_interrupt, num_threads, progress)

    def to_arviz(self) -> Any:
        """Return the trace as ArviZ has it: ``InferenceData``, or a ``DataTree`` from 1.0 on.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            With the groups ``posterior`` and ``sample_stats``.

        Raises
        ------
        ImportError
            If ArviZ is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> trace = sample(StandardNormal(2), Slice(), np.zeros(2), rng=0)
        >>> trace.to_arviz().posterior["x"].shape  # doctest: +SKIP
        (4, 1000, 2)
        """
        stats = {"lp": self.logp, **self.stats}
        return groups_to_arviz({"posterior": self.variables(), "sample_stats": stats})


def groups_to_arviz(groups: dict[str, dict[str, Any]]) -> Any:
    """Return groups of arrays as ArviZ has them."""
    try:
        arviz = importlib.import_module("arviz")
    except ImportError:
        arviz = require("arviz_base", "arviz")
    is_old = arviz.__name__ == "arviz" and arviz.__version__.startswith("0.")
    return arviz.from_dict(**groups) if is_old else arviz.from_dict(groups)
