"""Progress of long calls: a bar, a line of text, or the user's own callback."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Callback: TypeAlias = Callable[[int, int], object]
#: What every function takes as ``progress``.
Progress: TypeAlias = bool | Callback | None


@contextmanager
def reporter(progress: Progress, label: str = "sortes") -> Iterator[Callback | None]:
    """Open the ``callback(done, total)`` that `progress` stands for.

    Parameters
    ----------
    progress
        A callable is used as it is. ``True`` shows a ``tqdm`` bar, or a line of plain text on
        standard error where ``tqdm`` is not installed. ``False`` and ``None`` show nothing.
    label
        What the bar says.

    Yields
    ------
    callable or None
        Called with the units done and the units in all (0 while unknown).

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
        yield None
    elif callable(progress):
        yield progress
    elif progress is True:
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
    else:
        raise TypeError(f"progress: must be a bool or a callable, got {type(progress).__name__}")


def _text(label: str) -> Iterator[Callback]:
    def show(done: int, total: int) -> None:
        print(f"\r{label}: {done}/{total or '?'}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        print(file=sys.stderr)
