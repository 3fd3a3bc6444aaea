"""Progress of long calls: a bar, a line of text, or the user's own callback."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, TypeAlias

Callback: TypeAlias = Callable[[int, int], object]
#: What every function takes as ``progress``.
Progress: TypeAlias = bool | Callback | None
#: What a kernel is told of its work: nothing, or how many threads may do it and who hears of it.
Job: TypeAlias = tuple[int | None, Callback | None] | None


def reporter(progress: Progress, label: str = "sortes") -> AbstractContextManager[Callback | None]:
    """Open the ``callback(done, total)`` that `progress` stands for.

    Parameters
    ----------
    progress
        A callable is used as it is. ``True`` shows a ``tqdm`` bar, or a line of plain text on
        standard error where ``tqdm`` is not installed. ``False`` and ``None`` show nothing.
    label
        What the bar says.

    Returns
    -------
    context manager
        It opens a callable, which is called with the units done and the units in all (0 while
        unknown); or None.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor callable.

    Examples
    --------
    >>> with reporter(lambda done, total: print(done, total)) as callback:
    ...     callback(1, 2)
    1 2
    """
    if progress is None or progress is False:
        return _SILENCE  # a call of a microsecond opens it too
    if callable(progress):
        return nullcontext(progress)
    if progress is True:
        return _bar(label)
    raise TypeError(f"progress: must be a bool or a callable, got {type(progress).__name__}")


def job_of(
    num_threads: int | None, progress: Progress, label: str = "sortes"
) -> AbstractContextManager[Job]:
    """Open what the kernels of a call are told.

    Parameters
    ----------
    num_threads
        As the user gave it; kernels check it. None where there is no such argument.
    progress, label
        As in `reporter`.

    Examples
    --------
    >>> with job_of(2, None) as job:
    ...     job
    (2, None)
    """
    if progress is None or progress is False:
        return _SILENCE if num_threads is None else nullcontext((num_threads, None))
    return _reported(num_threads, reporter(progress, label))


@contextmanager
def _reported(
    num_threads: int | None, reports: AbstractContextManager[Callback | None]
) -> Iterator[Job]:
    with reports as callback:
        yield num_threads, callback


@contextmanager
def at_once(progress: Progress, units: int) -> Iterator[None]:
    """Report work as done that a device does on its own, when all of it has been sent there.

    Parameters
    ----------
    progress
        As in `reporter`.
    units
        How much work.

    Examples
    --------
    >>> with at_once(lambda done, total: print(done, total), 2):
    ...     print("sent")
    sent
    2 2
    """
    with reporter(progress) as callback:
        yield
        if callback is not None:
            callback(units, units)


_SILENCE: Final = nullcontext()


@contextmanager
def _bar(label: str) -> Iterator[Callback]:
    try:
        tqdm = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        yield from _text(label)
    else:
        with tqdm(desc=label) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total or None
                bar.update(done - bar.n)

            yield show


def _text(label: str) -> Iterator[Callback]:
    def show(done: int, total: int) -> None:
        print(f"\r{label}: {done}/{total or '?'}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(file=sys.stderr)
