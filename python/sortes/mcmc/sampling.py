"""Chains of transitions of any kernel, for any density that can be called."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args, overload

import numpy as np
from numpy import random

from sortes import _core
from sortes._arrays import host
from sortes._check import (
    AT_LEAST_1,
    POSITIVE,
    AtLeastOne,
    Count,
    Domain,
    Positive,
    count,
    flag,
    integer,
    one_of,
    real,
    shown,
)
from sortes._interrupt import Interrupted, OnInterrupt
from sortes._progress import Callback, Progress, reporter
from sortes._rng import Rng, as_stream
from sortes.mcmc.compiled import CLogp
from sortes.mcmc.control import ChainProgress, Control, Plan, Sampling, Stopped, Work
from sortes.mcmc.kernels import AnyKernel, kernel_of
from sortes.mcmc.targets import Target
from sortes.mcmc.trace import Trace

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

OnLimit: TypeAlias = Literal["stay", "raise"]
#: A density: of many points, or of one.
Density: TypeAlias = Callable[..., Any] | CLogp | Target

#: Beginnings that are tried where a function makes them.
_TRIES: Final = 500
_MOST: Final = 2**32 - 1
_CHAINS: Final = 4
_THREADS: Final = Domain("[1, 1024]", integer=True)
#: Seconds between reports of progress.
_WAKE: Final = 0.05


@overload
def sample(
    logp: Density,
    kernel: AnyKernel,
    init: ArrayLike | Callable[[np.random.Generator, int], ArrayLike],
    *,
    draws: AtLeastOne = 1000,
    warmup: Count = 500,
    chains: AtLeastOne | None = None,
    thin: AtLeastOne = 1,
    vectorized: bool = True,
    var_names: Mapping[str, Sequence[int]] | None = None,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_limit: OnLimit = "stay",
    on_interrupt: OnInterrupt = "return",
    keep_warmup: bool = False,
    max_time: Positive | None = None,
    callback: Callable[[list[ChainProgress]], object] | None = None,
    blocking: Literal[True] = True,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Trace: ...
@overload
def sample(
    logp: Density,
    kernel: AnyKernel,
    init: ArrayLike | Callable[[np.random.Generator, int], ArrayLike],
    *,
    draws: AtLeastOne = 1000,
    warmup: Count = 500,
    chains: AtLeastOne | None = None,
    thin: AtLeastOne = 1,
    vectorized: bool = True,
    var_names: Mapping[str, Sequence[int]] | None = None,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_limit: OnLimit = "stay",
    on_interrupt: OnInterrupt = "return",
    keep_warmup: bool = False,
    max_time: Positive | None = None,
    callback: Callable[[list[ChainProgress]], object] | None = None,
    blocking: Literal[False],
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Sampling: ...
def sample(
    logp: Density,
    kernel: AnyKernel,
    init: ArrayLike | Callable[[np.random.Generator, int], ArrayLike],
    *,
    draws: AtLeastOne = 1000,
    warmup: Count = 500,
    chains: AtLeastOne | None = None,
    thin: AtLeastOne = 1,
    vectorized: bool = True,
    var_names: Mapping[str, Sequence[int]] | None = None,
    max_evals_per_transition: AtLeastOne = 10_000,
    on_limit: OnLimit = "stay",
    on_interrupt: OnInterrupt = "return",
    keep_warmup: bool = False,
    max_time: Positive | None = None,
    callback: Callable[[list[ChainProgress]], object] | None = None,
    blocking: bool = True,
    rng: Rng = None,
    step: int = 0,
    num_threads: int | None = None,
    progress: Progress = None,
) -> Trace | Sampling:
    r"""Draw from a density that is known up to a factor.

    Parameters
    ----------
    logp : callable, CLogp or built-in target
        The log density. A function receives float64 points, shape (n, d), and returns n numbers;
        or one point at a time, see `vectorized`. Minus infinity means outside the support, NaN is
        never accepted, plus infinity is an error.
    kernel : kernel or list of kernels
        The transitions: `Slice`, `HitAndRunSlice`, `EllipticalSlice`, `GeneralizedEllipticalSlice`,
        `AdaptiveEllipticalSlice`, `GibbsianPolarSlice` or `Mixture`. With a list, a transition is
        one of each, in turn.
    init : array_like, shape (d,) or (chains, d), or callable
        Where all chains begin, or each of them; or a function that returns such a point,
        ``init(generator, chain)``, called until its density is finite, 500 times at most.
    draws : int, default 1000
        Draws of each chain.
    warmup : int, default 500
        Transitions of each chain before the first draw. Widths are tuned in these, not later.
    chains : int, optional
        How many chains: as many as `init` has, or 4.
    thin : int, default 1
        Transitions for each draw; the state after the last of them is kept.
    vectorized : bool, default True
        Whether a function takes many points at once. Otherwise it is called for each, with a vector
        of shape (d,), at the cost of a Python call for each evaluation. True for compiled
        densities.
    var_names : mapping, optional
        The name and the shape of each variable, in the order of the coordinates: ``{"x": (d,)}``
        unless given.
    max_evals_per_transition : int, default 10000
        The most evaluations of an update: of one coordinate with `Slice`, of the direction and of
        the radius with `GibbsianPolarSlice`.
    on_limit : {"stay", "raise"}
        Whether a chain that reaches it stays where it is, as the draw's ``stuck`` says, or all end.
    on_interrupt : {"return", "raise"}
        What Ctrl-C does: return what there is, with ``attrs["interrupted"]``, or raise
        `sortes.Interrupted`, which holds it.
    keep_warmup : bool, default False
        Whether the state after each transition of the warm-up is kept as well, as
        ``trace.warmup``.
    max_time : float, optional
        Seconds after which the chains stop: the trace then has as many draws as the shortest of
        them, and ``attrs["interrupted"]``.
    callback : callable, optional
        Called with a list of `ChainProgress`, one for each chain, about every 50 ms: where the
        chains were when it was called before. What it raises stops the chains.
    blocking : bool, default True
        Whether to wait for the chains. Otherwise they run in the background, and the result is a
        `Sampling`, by which they are watched, paused and stopped.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
    step : int, default 0
        The position in a run, in [0, 2**32): different steps give independent draws.
    num_threads : int, optional
        How many threads to use at most; results never depend on it. Python functions are called
        from the calling thread alone.
    progress : bool or callable, optional
        Show a progress bar, or call ``progress(done, total)``. It counts transitions.

    Returns
    -------
    Trace or Sampling
        The draws, their log densities, and statistics; or what hands them out, see `blocking`.

    Raises
    ------
    ValueError
        If an argument is out of its domain, a chain begins where the density is not finite, the
        function returns the wrong shape, or the density is plus infinity somewhere.
    TypeError
        If an argument has the wrong type.
    Interrupted
        If Ctrl-C stops it and `on_interrupt` says so.

    Notes
    -----
    Built-in targets and `CLogp` run without the interpreter, a chain in a thread. A Python function
    is called with the points that all unfinished chains ask about: none waits for another, so
    that many chains, 64 or more, make the call cheap. Draws depend on the stream, the number of the
    chain and of the transition alone, not on threads or on who else is asked.

    What an exception leaves is in its attribute ``trace``: the draws until then.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.mcmc import Slice, rhat, sample
    >>> def logp(x):
    ...     return -0.5 * ((x - [1, 2]) ** 2).sum(axis=1)
    >>> trace = sample(logp, Slice(2.0), np.zeros(2), chains=8, rng=0)
    >>> trace.draws.mean((0, 1)).round(1)
    array([1., 2.])
    >>> bool(rhat(trace.draws).max() < 1.02)
    True
    """
    if not (callable(logp) or isinstance(logp, CLogp)):
        raise TypeError(f"logp: must be a function, a CLogp or a target, got {shown(logp)}")
    kernel = kernel_of(kernel)
    plan = (
        count(warmup, "warmup", 0, _MOST),
        count(draws, "draws", 1),
        count(thin, "thin", 1, _MOST),
        one_of(on_limit, "on_limit", get_args(OnLimit)) == "raise",
        flag(keep_warmup, "keep_warmup"),
    )
    seconds = None if max_time is None else real(max_time, "max_time", POSITIVE)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback: must be a function, got {shown(callback)}")
    flag(blocking, "blocking")
    if chains is not None:
        chains = int(AT_LEAST_1.check(chains, "chains"))
    limit = count(max_evals_per_transition, "max_evals_per_transition", 1, _MOST)
    one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
    evaluate = _evaluator(logp, flag(vectorized, "vectorized"))
    if not vectorized and isinstance(logp, CLogp | Target):
        raise ValueError("vectorized: must be True for a compiled density, got False")
    points = None if callable(init) else _points(init, chains)
    dim = None if points is None else points.shape[1]
    names = None if var_names is None else _named(var_names, dim)
    _check_work(num_threads, progress)
    stream = as_stream(rng, step)
    if points is None:
        points, values = _drawn(init, chains or _CHAINS, evaluate, logp, stream)  # type: ignore[arg-type]
        names = None if var_names is None else _named(var_names, points.shape[1])
    else:
        _check_dim(logp, points)
        values = evaluate(points)
        _check_start(points, values)
    if names is None:
        names = {"x": (points.shape[1],)}
    kernel._check_init(points)
    native = kernel._native(points.shape[1], limit)
    if isinstance(logp, CLogp) and logp._conditional is not None:
        native = native.by_conditionals()
    sampler = _core.mcmc.engine.Sampler(native, points, values, stream)
    attrs = {
        "key": stream.key,
        "step": stream.step,
        "kernel": repr(kernel),
        "warmup": plan[0],
        "thin": plan[2],
        "inference_library": "sortes",
        "inference_library_version": _core.__version__,
    }
    engine = _Engine(logp, evaluate, points.shape, attrs, names, plan)
    control = Control(callback, seconds)
    if blocking:
        return engine.go(sampler, plan, None, on_interrupt, num_threads, progress, control)
    control.is_held = True
    total = sampler.begin(*plan)

    def go() -> Trace:
        return engine.go(sampler, plan, None, "return", num_threads, progress, control, total)

    return Sampling(Work(go, control), sampler, plan)


class _Engine:
    """What does not change between the beginnings of one run and its continuations."""

    def __init__(
        self,
        logp: Density,
        evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        shape: tuple[int, ...],
        attrs: dict[str, Any],
        names: dict[str, tuple[int, ...]],
        plan: Plan,
    ) -> None:
        self.logp, self.evaluate, self.shape = logp, evaluate, shape
        self.attrs, self.names, self.plan = attrs, names, plan

    def go(
        self,
        sampler: _core.mcmc.engine.Sampler,
        plan: Plan,
        before: Trace | None,
        on_interrupt: OnInterrupt,
        num_threads: int | None,
        progress: Progress,
        control: Control,
        total: int | None = None,
    ) -> Trace:
        """Run chains to the end of a plan, or until somebody stops them."""
        start = time.perf_counter()
        try:
            if total is None:
                total = sampler.begin(*plan)
            with reporter(progress, "transitions") as shown:
                callback = control.reporter(sampler, plan, shown)
                if isinstance(self.logp, CLogp | Target):
                    is_plain = num_threads is None and callback is None
                    job = None if is_plain else (num_threads, callback)
                    sampler.run(self.logp._target, total, job)
                else:
                    _drive(self.evaluate, sampler, self.shape, total, callback, control)
        except (KeyboardInterrupt, Stopped) as stop:
            trace = self._trace(sampler, plan, before, start, whole=False)
            if on_interrupt == "return" or isinstance(stop, Stopped):
                return trace
            raise Interrupted(trace) from stop
        except Exception as error:
            error.trace = self._trace(sampler, plan, before, start, whole=False)  # type: ignore[attr-defined]
            raise
        return self._trace(sampler, plan, before, start, whole=True)

    def _trace(
        self,
        sampler: _core.mcmc.engine.Sampler,
        plan: Plan,
        before: Trace | None,
        start: float,
        *,
        whole: bool,
    ) -> Trace:
        chains, dim = self.shape
        names, nans = sampler.names(), int(sampler.nans().sum())
        n, draws, logp, evaluations, counts, stuck = sampler.take()
        stats: dict[str, NDArray[Any]] = {"n_evals": evaluations.reshape(chains, n)}
        by_name = counts.reshape(chains, n, len(names))
        stats |= {name: by_name[:, :, i].copy() for i, name in enumerate(names)}
        stats["stuck"] = stuck.reshape(chains, n)
        states, densities = draws.reshape(chains, n, dim), logp.reshape(chains, n)
        seconds = time.perf_counter() - start
        warmup = None if before is None else before.warmup
        if plan[4] and before is None:
            # The first states are those of the warm-up.
            cut = min(plan[0], n)
            first = {name: values[:, :cut] for name, values in stats.items()}
            warmup = Trace(states[:, :cut], densities[:, :cut], first, self.attrs, self.names)
            states, densities = states[:, cut:], densities[:, cut:]
            stats = {name: values[:, cut:] for name, values in stats.items()}
        fresh = stats["stuck"]
        if before is not None:
            states = np.concatenate([before.draws, states], axis=1)
            densities = np.concatenate([before.logp, densities], axis=1)
            stats = {k: np.concatenate([before.stats[k], v], axis=1) for k, v in stats.items()}
            nans += before.attrs["n_nan"]
            seconds += before.attrs["sampling_time"]
        attrs = {
            **self.attrs,
            "widths": sampler.widths().reshape(chains, -1),
            "n_nan": nans,
            "interrupted": not whole,
            "sampling_time": seconds,
        }
        if whole:
            _warn(nans, int(fresh.sum()), fresh.size)
        go_on = self._continue(sampler) if whole else None
        return Trace(states, densities, stats, attrs, self.names, warmup, go_on)

    def _continue(self, sampler: _core.mcmc.engine.Sampler) -> Any:
        """Return what goes on with the chains as they are now, however often."""

        def go_on(
            trace: Trace,
            draws: int,
            on_interrupt: OnInterrupt,
            num_threads: int | None,
            progress: Progress,
        ) -> Trace:
            one_of(on_interrupt, "on_interrupt", get_args(OnInterrupt))
            _check_work(num_threads, progress)
            _, _, thin, raises, _ = self.plan
            plan = (0, draws, thin, raises, False)
            again = sampler.copy()
            return self.go(again, plan, trace, on_interrupt, num_threads, progress, Control())

        return go_on


def _drive(
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    sampler: _core.mcmc.engine.Sampler,
    shape: tuple[int, ...],
    total: int,
    callback: Callback | None,
    control: Control | None = None,
) -> None:
    """Ask a Python function about the points of all chains, until none has a question."""
    reported = time.monotonic()
    while True:
        # A fresh array: the function may keep what it is given.
        points = np.empty(shape)
        n = sampler.gather(points)
        if not n:
            break
        left = sampler.scatter(evaluate(points[:n]))
        if control is not None and control.is_paused:
            control.rest()
        if callback is not None and time.monotonic() - reported > _WAKE:
            callback(total - left, total)
            reported = time.monotonic()
    if callback is not None:
        callback(total, total)


def _check_work(num_threads: int | None, progress: Progress) -> None:
    """Refuse what the drivers would find too late, or not at all."""
    if num_threads is not None:
        _THREADS.check(num_threads, "num_threads")
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        reporter(progress)  # which says what is wrong with it


def _warn(nans: int, stuck: int, draws: int) -> None:
    if nans:
        warnings.warn(
            f"logp: {nans} log densities were NaN; such points are never accepted",
            RuntimeWarning,
            stacklevel=4,
        )
    if stuck:
        warnings.warn(
            f"max_evals_per_transition: was reached for {stuck} of {draws} draws, which stay where "
            "they were; is the density flat or a point, or the width too small?",
            RuntimeWarning,
            stacklevel=4,
        )


def _evaluator(
    logp: Density, vectorized: bool
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a function from points to as many float64 log densities."""
    if isinstance(logp, CLogp | Target):
        target = logp._target
        return lambda points: target.logp(points, None)
    return _Many(logp) if vectorized else _One(logp)


class _Many:
    """A function of many points."""

    def __init__(self, logp: Callable[..., Any]) -> None:
        self.logp = logp

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        values = self.logp(points)
        if type(values) is np.ndarray and values.dtype == np.float64:
            array = values
        else:
            array = host(values, "logp", "iuf").astype(np.float64)
        if array.shape != (len(points),):
            raise ValueError(
                f"logp: must return shape ({len(points)},) for points of shape {points.shape}, got "
                f"{array.shape}; for a function of one point, give vectorized=False"
            )
        return np.ascontiguousarray(array)


class _One:
    """A function of one point."""

    def __init__(self, logp: Callable[..., Any]) -> None:
        self.logp = logp

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.empty(len(points))
        for i, point in enumerate(points):
            value = self.logp(point)
            try:
                values[i] = value
            except (TypeError, ValueError):
                raise TypeError(f"logp: must return a number, got {shown(value)}") from None
        return values


def _points(init: Any, chains: int | None) -> NDArray[np.float64]:
    """Return a point for each chain."""
    array = host(init, "init")
    if array.ndim not in (1, 2) or not array.size:
        raise ValueError(f"init: must have shape (d,) or (chains, d), got {array.shape}")
    if array.ndim == 2 and chains not in (None, array.shape[0]):
        raise ValueError(f"init: must have a row for each of {chains} chains, got {array.shape}")
    points = np.array(array, np.float64, order="C", ndmin=2)
    fine = np.isfinite(points)
    if not fine.all():
        at = np.argwhere(~fine)[0]
        raise ValueError(f"init: must be finite, got {points[tuple(at)]} at {at.tolist()}")
    if array.ndim == 1:
        points = np.repeat(points, _CHAINS if chains is None else chains, axis=0)
    return points


def _check_dim(logp: Density, points: NDArray[np.float64]) -> None:
    if isinstance(logp, CLogp | Target) and points.shape[1] != logp._dim:
        raise ValueError(f"init: must have {logp._dim} coordinates, got {points.shape[1]}")


def _check_start(points: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Refuse to begin where the density is not finite."""
    if (values == np.inf).any():
        at = int(np.argmax(values == np.inf))
        raise ValueError(f"logp: is +inf at {shown(points[at].tolist())}, where chain {at} begins")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        listed = ", ".join(f"{i}: {values[i]}" for i in bad[:8])
        more = ", ..." if bad.size > 8 else ""
        raise ValueError(
            f"init: the log density must be finite where chains begin, got {listed}{more}"
        )


def _drawn(
    init: Callable[[np.random.Generator, int], ArrayLike],
    chains: int,
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    logp: Density,
    stream: _core.Stream,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points that a function makes, and their log densities, all of them finite."""
    found: list[NDArray[np.float64]] = []
    values: list[NDArray[np.float64]] = []
    for chain, child in enumerate(stream.split(chains)):
        generator = random.Generator(random.Philox(key=child.key))
        for _ in range(_TRIES):
            point = _points(init(generator, chain), 1)
            if found and point.shape != found[0].shape:
                raise ValueError(f"init: must return shape {found[0].shape[1:]}, got {point.shape}")
            _check_dim(logp, point)
            value = evaluate(point)
            if value[0] == np.inf or np.isfinite(value[0]):
                break
        _check_start(point, value)
        found.append(point)
        values.append(value)
    return np.concatenate(found), np.concatenate(values)


def _named(names: Any, dim: int | None) -> dict[str, tuple[int, ...]]:
    """Return the shapes of variables, which share out the coordinates."""
    if not isinstance(names, Mapping):
        raise TypeError(f"var_names: must be a mapping, got {shown(names)}")
    shapes = {}
    for name, shape in names.items():
        if not isinstance(name, str):
            raise TypeError(f"var_names: must have names as keys, got {shown(name)}")
        if not isinstance(shape, tuple | list):
            raise TypeError(f"var_names: must hold shapes, got {shown(shape)}")
        shapes[name] = tuple(integer(size, "var_names") for size in shape)
        if any(size < 1 for size in shapes[name]):
            raise ValueError(f"var_names: must hold positive sizes, got {shown(shape)}")
    size = sum(int(np.prod(shape, dtype=object)) for shape in shapes.values())
    if dim is not None and size != dim:
        raise ValueError(f"var_names: must hold {dim} coordinates in all, got {size}")
    return shapes
