"""Chains while they run: what they are doing, and how they are stopped."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from sortes import _core
from sortes._check import NON_NEGATIVE, NonNegative, real, shown
from sortes._progress import Callback
from sortes.mcmc.trace import Trace

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seconds between looks at chains, and until they have answered a question.
_WAKE: Final = 0.05
_ANSWER: Final = 0.01
#: What `sample` is given to begin: warm-up, draws, thinning, what a limit does, what is kept.
Plan: TypeAlias = tuple[int, int, int, bool, bool]


class ChainProgress(NamedTuple):
    """Where a chain is while it runs.

    Attributes
    ----------
    finished_draws : int
        Draws that are kept.
    total_draws : int
        Draws that are asked for.
    warmup : bool
        Whether it is still in its warm-up.
    n_evals : int
        Evaluations so far.
    stuck : int
        Transitions so far that a limit ended.
    last_position : ndarray of float64, shape (d,)
        Its state.
    last_logp : float
        The log density of that.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Slice, StandardNormal, sample
    >>> given = {"init": np.zeros(3), "rng": 0}
    >>> run = sample(StandardNormal(3), Slice(2.0), **given, blocking=False)
    >>> trace = run.wait()
    >>> last = run.inspect()[0]
    >>> last.finished_draws, last.warmup
    (1000, False)
    >>> bool((last.last_position == trace.draws[0, -1]).all())
    True
    """

    finished_draws: int
    total_draws: int
    warmup: bool
    n_evals: int
    stuck: int
    last_position: NDArray[np.float64]
    last_logp: float


#: Called while chains run, with where each of them is.
Watcher: TypeAlias = Callable[[list[ChainProgress]], object]


class Stopped(Exception):  # noqa: N818
    """Chains were stopped: by a time limit, or by whoever holds them."""


class Control:
    """What stops chains, and who hears of them."""

    def __init__(self, watcher: Watcher | None = None, max_time: float | None = None) -> None:
        self.watcher = watcher
        self.deadline = None if max_time is None else time.monotonic() + max_time
        self.is_stopping = self.is_paused = self.is_held = False

    def reporter(
        self, sampler: _core.mcmc.engine.Sampler, plan: Plan, callback: Callback | None
    ) -> Callback | None:
        """Return what drivers call now and then, or None if nobody has anything to say."""
        if not self.is_held and self.watcher is None and self.deadline is None:
            return callback

        def report(done: int, total: int) -> None:
            if callback is not None:
                callback(done, total)
            if self.watcher is not None:
                self.watcher(looks(sampler, plan))
            is_late = self.deadline is not None and time.monotonic() >= self.deadline
            if self.is_stopping or (is_late and done < total):
                raise Stopped

        return report

    def rest(self) -> None:
        """Wait while chains are to pause, as drivers on this side do."""
        while self.is_paused and not self.is_stopping:
            if self.deadline is not None and time.monotonic() >= self.deadline:
                break
            time.sleep(_ANSWER)


def looks(sampler: _core.mcmc.engine.Sampler, plan: Plan) -> list[ChainProgress]:
    """Return where each chain was when somebody looked before."""
    points, logp, _, warmup, kept, evaluations, stuck = sampler.inspect()
    found = []
    for i, point in enumerate(points.reshape(len(logp), -1)):
        before = plan[0] - warmup[i] if plan[4] else 0
        counts = (kept[i] - before, plan[1], warmup[i] > 0, int(evaluations[i]), int(stuck[i]))
        found.append(ChainProgress(*counts, point.copy(), float(logp[i])))
    return found


class Work:
    """A thread that makes a trace."""

    def __init__(self, go: Callable[[], Trace], control: Control) -> None:
        self.go, self.control = go, control
        self.trace: Trace | None = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self.run, name="sortes-chains", daemon=True)
        _ALIVE.add(self)
        self.thread.start()

    def run(self) -> None:
        """Keep what comes of it, also if that is an error."""
        try:
            self.trace = self.go()
        except BaseException as error:
            self.error = error

    def cancel(self) -> None:
        """Stop it, and forget what it made."""
        self.control.is_stopping = True
        self.thread.join()
        self.trace = self.error = None


@dataclass(frozen=True, eq=False, repr=False)
class Sampling:
    """Chains that run in the background, from ``sample(..., blocking=False)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Slice, StandardNormal, sample
    >>> given = {"init": np.zeros(3), "rng": 0}
    >>> run = sample(StandardNormal(3), Slice(2.0), **given, blocking=False)
    >>> trace = run.wait()
    >>> run.is_finished, trace.draws.shape
    (True, (4, 1000, 3))
    """

    _work: Work
    _sampler: _core.mcmc.engine.Sampler
    _plan: Plan

    def __repr__(self) -> str:
        return f"Sampling({'finished' if self.is_finished else 'running'})"

    def __reduce__(self) -> str:
        raise TypeError("a Sampling cannot be pickled while it may run; its trace can")

    @property
    def is_finished(self) -> bool:
        """Whether the chains are through, or were stopped."""
        return not self._work.thread.is_alive()

    def wait(self, timeout: NonNegative | None = None) -> Trace:
        """Wait until the chains are through.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        Trace
            What `sample` would have returned. An error of the chains is raised here.

        Raises
        ------
        TimeoutError
            If they are not through by then; they go on.
        ValueError
            If `timeout` is negative; and what `sample` raises.
        TypeError
            If `timeout` is no number.
        RuntimeError
            If `cancel` was called.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> long = {"thin": 10**6, "blocking": False, "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), np.zeros(3), **long)
        >>> try:
        ...     run.wait(0.01)
        ... except TimeoutError:
        ...     run.cancel()
        """
        seconds = None if timeout is None else real(timeout, "timeout", NON_NEGATIVE)
        until = None if seconds is None else time.monotonic() + seconds
        # In slices: a wait without an end could not be interrupted on every platform.
        while not self.is_finished:
            left = _WAKE if until is None else min(_WAKE, until - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"timeout: the chains are not through after {shown(seconds)} s")
            self._work.thread.join(left)
        if self._work.error is not None:
            raise self._work.error
        if self._work.trace is None:
            raise RuntimeError("the chains were cancelled")
        return self._work.trace

    def abort(self) -> Trace:
        """Stop the chains.

        Returns
        -------
        Trace
            The draws until then, as many of each chain as the shortest has.

        Raises
        ------
        RuntimeError
            If `cancel` was called.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> long = {"thin": 10**6, "blocking": False, "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), np.zeros(3), **long)
        >>> run.abort().attrs["interrupted"]
        True
        """
        self._work.control.is_stopping = True
        return self.wait()

    def cancel(self) -> None:
        """Stop the chains, and forget their draws.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> long = {"thin": 10**6, "blocking": False, "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), np.zeros(3), **long)
        >>> run.cancel()
        >>> run.is_finished
        True
        """
        self._work.cancel()

    def pause(self) -> None:
        """Let the chains rest: each where it is, its draws as they will be.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> given = {"init": np.zeros(3), "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), **given, blocking=False)
        >>> run.pause()
        >>> run.resume()
        >>> run.wait().draws.shape
        (4, 1000, 3)
        """
        self._rest(True)

    def resume(self) -> None:
        """Let them go on after `pause`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> given = {"init": np.zeros(3), "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), **given, blocking=False)
        >>> run.resume()  # nothing rests
        >>> run.wait().draws.shape
        (4, 1000, 3)
        """
        self._rest(False)

    def _rest(self, rest: bool) -> None:
        self._work.control.is_paused = rest
        self._sampler.pause(rest)

    def inspect(self) -> list[ChainProgress]:
        """Say where the chains are.

        Returns
        -------
        list of ChainProgress
            The state of each chain after one of its last transitions.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.mcmc import Slice, StandardNormal, sample
        >>> long = {"thin": 10**6, "blocking": False, "rng": 0}
        >>> run = sample(StandardNormal(3), Slice(2.0), np.zeros(3), **long)
        >>> [chain.total_draws for chain in run.inspect()]
        [1000, 1000, 1000, 1000]
        >>> run.cancel()
        """
        if not self.is_finished:
            self._sampler.inspect()  # a question
            time.sleep(_ANSWER)
        return looks(self._sampler, self._plan)


#: Chains that may still run when the interpreter ends, which cannot take them down by itself.
_ALIVE: Final[weakref.WeakSet[Work]] = weakref.WeakSet()


@atexit.register
def _stop() -> None:
    for work in list(_ALIVE):
        work.cancel()
