"""Ctrl-C in calls whose beginnings are results."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

#: What Ctrl-C does to a call whose beginning is a result.
OnInterrupt: TypeAlias = Literal["raise", "return"]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C stopped a call whose beginning is a result.

    Generation, chains and trajectories raise it; what was done until then is kept. Other long calls
    raise a plain ``KeyboardInterrupt`` and leave everything as it was.

    Parameters
    ----------
    partial : object
        What the call would have returned, as far as it came.

    Attributes
    ----------
    partial : object
        The same.

    Examples
    --------
    >>> from sortes import Interrupted
    >>> try:
    ...     raise Interrupted([1, 2])
    ... except Interrupted as stop:
    ...     print(stop.partial)
    [1, 2]
    """

    def __init__(self, partial: Any) -> None:
        super().__init__(partial)
        self.partial = partial

    def __str__(self) -> str:
        return "interrupted; what was done is in the attribute `partial`"
