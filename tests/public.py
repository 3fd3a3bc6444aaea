"""A cheap valid call of every public callable: the families say theirs in ``<family>/public.py``.

``CALLS`` maps a name to the arguments of one call, or to a list of several. ``MADE`` maps a class
to a function that returns an object, for classes that users are given and for those whose methods
need more than a fresh object. Where a table of arguments is a function, it imports what it needs.
The tables are as large as `resize` says: they find ``SCALE`` and ``TALL`` among their globals.
``STARVED`` and ``LONG`` say, by shape, which scales are more than little memory and long calls: for
a part of the trials, then for all of them.
"""

import atexit
import copy
import runpy
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import sortes
from signatures import Public, of_module

Arguments = dict[str, Any]

#: Where calls may write files; it goes at the end.
FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

#: Of the top level.
CALLS: Mapping[str, Any] = {
    "Stream": {"key": 7, "step": 3},
    "Stream.advance": {"step": 2},
    "Stream.split": {"n": 2},
    "Stream.uniforms": {"n": 2, "row": 1},
    "get_num_threads": {},
    "set_num_threads": {"num_threads": None},
}
MADE: Mapping[str, Callable[[], Any]] = {}


def resize(scale: int, *, tall: bool = False) -> None:
    """Let the data of all calls be this many times as long, or as high where they have rows."""
    _SIZE.update(SCALE=scale, TALL=tall)
    _table.cache_clear()


def valid_calls(public: Public) -> list[Arguments]:
    """The arguments of each valid call, fresh ones every time."""
    said = _table(public.module).CALLS[public.name]
    given = said() if callable(said) else said
    return copy.deepcopy(given if isinstance(given, list) else [given])


def values(public: Public) -> "_Table":
    """Other values of arguments, ``VALUES``, and what they need beside them, ``BESIDE``."""
    return _table(public.module)


def sizes(what: str) -> list[tuple[str, str, list[int]]]:
    """Each family and each shape of its data, with the scales that it says for `what`."""
    return [
        (family, shape, scales)
        for family in sortes.FAMILIES
        for shape, scales in getattr(_table(family), what).items()
    ]


def names(module: str) -> set[str]:
    """What the table of a module holds calls of."""
    return set(_table(module).CALLS)


def function(public: Public) -> Callable[..., Any]:
    """What is called: for a method, that of a fresh object."""
    if public.kind != "method":
        return public.object  # type: ignore[no-any-return]
    return getattr(an_object(public), public.name.rpartition(".")[2])  # type: ignore[no-any-return]


def an_object(public: Public) -> Any:
    """A fresh object of the class of a method."""
    cls = public.name.partition(".")[0]
    make = _table(public.module).MADE.get(cls)
    if make is not None:
        return make()
    (constructor,) = (p for p in of_module(public.module) if p.name == cls)
    return constructor.object(**valid_calls(constructor)[0])


#: How large the data are: what the tables of the families read.
_SIZE = {"SCALE": 1, "TALL": False}


class _Table(NamedTuple):
    CALLS: Mapping[str, Any]
    MADE: Mapping[str, Callable[[], Any]]
    VALUES: Mapping[str, Any] = {}
    BESIDE: Mapping[str, Any] = {}
    STARVED: Mapping[str, list[int]] = {"wide": [100_000, 1_000_000]}
    LONG: Mapping[str, list[int]] = {"wide": [100_000, 1_000_000, 4_000_000]}


@cache
def _table(module: str) -> _Table:
    if not module:
        return _Table(CALLS, MADE)
    folder = module if module in sortes.FAMILIES else "contracts"
    found = runpy.run_path(str(Path(__file__).parent / folder / "public.py"), _SIZE)
    calls, made = found["CALLS"], found.get("MADE", {})
    others = ("VALUES", "BESIDE", "STARVED", "LONG")
    more = {name: found[name] for name in others if name in found}
    if folder == "contracts":  # one table for all integrations, by module
        calls, made = calls.get(module, {}), made.get(module, {})
    return _Table(calls, made, **more)
