"""Bad values of every argument of every public callable: each is refused, in the argument's name.

What is thrown follows from the annotation: values of other types, and those outside the domain
that the annotation declares. The valid calls come from the tables of `public`.
"""

import contextlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fnmatch import fnmatch
from os import PathLike
from typing import Annotated, Any, Literal

import numpy as np
import public as tables
import pytest
import signatures
import sortes
from numpy.typing import ArrayLike
from signatures import Public, members

with contextlib.suppress(ImportError):
    import torch

#: What is refused: ``MemoryError`` for sizes beyond any memory.
REFUSALS = (ValueError, TypeError, MemoryError)

#: Values of all types, and which of them each type refuses.
POOL = {
    "None": None,
    "text": "no such option",
    "True": True,
    "2": 2,
    "1.5": 1.5,
    "2**100": 2**100,
    "NaN": float("nan"),
    "inf": float("inf"),
    "1j": 1j,
    "object": object(),
    "dict": {"a": 1},
    "list": [1, 2],
    "bytes": b"ab",
    "date": date(2026, 1, 1),
    "set": {1, 2},
}
_SCALARS = {"True", "2", "1.5", "2**100", "NaN", "inf", "1j"}
REFUSED = {
    int: POOL.keys() - {"2"},
    float: POOL.keys() - {"2", "1.5", "2**100"},
    bool: POOL.keys() - {"True"},
    str: POOL.keys() - {"text"},
    Literal: POOL.keys(),
    type(None): POOL.keys() - {"None"},
    Callable: POOL.keys(),
    Mapping: POOL.keys() - {"dict"},
    PathLike: POOL.keys() - {"text", "bytes", "True", "2", "2**100"},  # numbers are open files
    # One number may stand for all.
    ArrayLike: {"None", "text", "object", "dict", "bytes", "date"},
    object: POOL.keys(),  # any other class
}


class _Unknown:
    """What an argument is of which nothing is said; no object without properties will do."""


REFUSED[_Unknown] = {"object"}

#: The shared arguments, whatever their annotation says.
SHARED = {
    "rng": {
        **{"2.5": 2.5, "text": "x", "-1": -1, "object": object(), "dict": {"a": 1}},
        **{"a stream and an int": [sortes.Stream(0), 3], "a seed and a float": [1, 2.5]},
    },
    "step": {
        **{"-1": -1, "2**32": 2**32, "2**100": 2**100, "1.5": 1.5, "True": True},
        **{"None": None, "text": "x"},
    },
    "num_threads": {
        **{"0": 0, "-1": -1, "1.5": 1.5, "10**6": 10**6, "2**100": 2**100, "True": True},
        **{"text": "x", "object": object()},
    },
    "progress": {"text": "x", "3": 3, "object": object()},
}
SHARED |= {"random_state": SHARED["rng"], "generator": SHARED["rng"]}

#: Who accepts what, and why: callable, argument, value.
ACCEPTED: dict[tuple[str, str, str], str] = {
    ("decode.AdaptiveP.init", "logits", "NaN"): "their shape is all that counts",
    ("decode.penalize", "logits", "NaN"): "logits pass through unseen, and `sample` reports them",
    ("select.hash_ids", "names", "dict"): "it is an iterable of strings",
    ("select.hash_ids", "names", "words"): "it is an array of strings",
    ("integrations.transformers.EtaLogitsWarper", "device", "object"): "as Transformers' own does",
    ("select.stratified_sample", "strata", "complex"): "labels are anything that sorts",
    ("select.stratified_sample", "strata", "dates"): "labels are anything that sorts",
    ("select.stratified_sample", "strata", "spans of time"): "labels are anything that sorts",
    ("select.stratified_sample", "strata", "records"): "labels are anything that sorts",
    ("select.stratified_sample", "strata", "words"): "labels are anything that sorts",
    ("mcmc.ess", "draws", "3-d"): "several numbers for each draw",
    ("mcmc.rhat", "draws", "3-d"): "several numbers for each draw",
    ("graph.Graph.labelled", "nodes", "3-d"): "walks in an array of any shape",
    ("sequences.Vocabulary", "tokens", "objects"): "None is a token that stands for no text",
    ("diffusion.*Noise", "x", "NaN"): "its shape and dtype are all that counts",
    ("diffusion.*Noise", "x", "3-d"): "images of any shape",
    ("diffusion.Levels", "x", "NaN"): "its shape and dtype are all that counts",
    ("diffusion.Denoiser.guided", "x", "NaN"): "what is in a loop passes through, as on a device",
    ("diffusion.Denoiser.guided", "x", "3-d"): "images of any shape",
    ("diffusion.data_and_noise", "x", "NaN"): "what is in a loop passes through",
    ("diffusion.data_and_noise", "output", "NaN"): "what is in a loop passes through",
    ("diffusion.GaussianMixture", "mu", "3-d"): "data of any shape",
    ("sequences.log_survival", "x", "3-d"): "numbers in an array of any shape",
}

#: What a peer calls and no user, and why nothing is thrown at it.
HOOKS = {
    "Interrupted": "an exception, which holds anything",
    "integrations.*.__call__": "its arguments come from the peer's loop",
    "integrations.*.reraise": "its arguments come from the peer's loop",
    "integrations.transformers.*sample": "`generate` calls it, with a model",
    "integrations.vllm.*": "vLLM makes the processors and calls them",
}


def bad_values(public: Public, name: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What an argument must refuse, and what to call it."""
    if name in SHARED:
        yield from SHARED[name].items()
        return
    hint = public.arguments[name]
    if hint is object:
        return  # it accepts anything
    accepted = members(_said(public, name) if hint in (Any, inspect.Parameter.empty) else hint)
    kinds = {_kind(member.type) for member in accepted}
    refused = set.intersection(*(set(REFUSED[kind]) for kind in kinds))
    domains = [m.domain for m in accepted if m.domain is not None]
    if domains:
        refused -= {"NaN", "inf", "2**100"}  # the domain knows
    for label in POOL:
        if label in refused:
            yield label, POOL[label]
    valid = given.get(name)
    for domain in domains:
        for number in domain.bad_values():
            if ArrayLike not in kinds:
                yield repr(number), number
            elif valid is not None and np.ndim(valid):
                yield f"item {number!r}", _with_first(valid, number)
    if ArrayLike in kinds:
        yield from _bad_arrays(valid)


def bad_outputs(result: Any, given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `out` must refuse, beside an input that it overlaps."""
    right = np.asarray(result[0] if isinstance(result, tuple) else result)
    read_only = right.copy()
    read_only.flags.writeable = False
    wrong = np.int32 if right.dtype != np.int32 else np.int64
    bad = {
        **{"list": right.tolist(), "object": object(), "text": "x"},
        **{"wrong dtype": np.zeros(right.shape, wrong), "wrong shape": np.stack([right, right])},
        **{"too long": np.repeat(right, 2, 0), "read-only": read_only},
        "strided": np.repeat(right, 2, -1)[..., ::2],
    }
    for label, out in bad.items():
        yield label, {"out": out}
    # One block of memory: the input from its start, the output one item further on.
    arrays = ((name, x) for name, x in given.items() if isinstance(x, np.ndarray))
    data, x = next(arrays, (None, None))
    if x is None:
        return
    block = np.zeros(max(x.nbytes, right.nbytes) + right.itemsize, np.uint8)
    shared = block[: x.nbytes].view(x.dtype).reshape(x.shape)
    shared[...] = x
    out = block[right.itemsize :][: right.nbytes].view(right.dtype).reshape(right.shape)
    yield "overlapping", {data: shared, "out": out}


def _bad_arrays(valid: Any) -> Iterator[tuple[str, Any]]:
    x = np.asarray([1.0, 2.0, 3.0] if valid is None or isinstance(valid, str | bytes) else valid)
    if x.dtype.kind not in "biuf":
        x = np.ones(x.shape)
    yield "ragged", [[1.0], [1.0, 2.0]]
    yield "3-d", np.ones((2, 2, 2), x.dtype)
    yield "complex", x.astype(complex) + 1j
    yield "dates", np.full(x.shape, date(2026, 1, 1), "M8[D]")
    yield "spans of time", np.full(x.shape, 1, "m8[s]")
    yield "words", np.full(x.shape, "a")
    yield "objects", np.full(x.shape, None)
    yield "records", np.zeros(x.shape, [("a", float), ("b", int)])
    if "torch" in sys.modules:
        yield "sparse", torch.ones(x.shape).to_sparse()
        yield "without values", torch.ones(x.shape, device="meta")
        yield "of eight bits", torch.ones(x.shape).to(torch.float8_e4m3fn)
    yield "NaN", _with_first(x, np.nan)
    if x.ndim:
        mask = np.zeros(x.shape, bool)
        mask.flat[0] = True
        yield "masked", np.ma.masked_array(x, mask)


def _with_first(x: Any, value: float) -> Any:
    changed = np.array(x, np.float64 if isinstance(value, float) else object)
    changed.flat[0] = value
    return changed if isinstance(value, float) else np.array(changed.tolist())


def _kind(hint: Any) -> Any:
    """Which row of `REFUSED` a type belongs to."""
    origin = typing.get_origin(hint)
    if hint in REFUSED:
        return hint
    if origin is Literal:
        return Literal
    base = origin or hint
    if base is np.ndarray or _is(base, "Sequence", "Iterable", "list", "tuple", "Tensor"):
        return ArrayLike
    for kind in (Mapping, Callable, PathLike):
        if _is(base, kind.__name__, "dict" if kind is Mapping else ""):
            return kind
    return object


def _is(base: Any, *names: str) -> bool:
    return getattr(base, "__name__", "") in names


def _said(public: Public, name: str) -> Any:
    """The type that the docstring gives an argument without an annotation, or with `Any`."""
    entry = public.doc.parameters().get(name)
    said = "" if entry is None else entry.type
    scalar = {"int": int, "float": float, "bool": bool, "str": str, "path": PathLike}
    if "array" in said or "shape" in said or "(ids, values)" in said:
        hint = ArrayLike
    else:
        hint = scalar.get(said.partition(",")[0].partition(" ")[0], _Unknown)
    (default,) = [p.default for p in public.parameters if p.name == name] or [...]
    return hint | None if default is None else hint


def refused(
    name: str, function: Callable[..., Any], public: Public, given: Mapping[str, Any]
) -> str | None:
    """Make a call that must be refused; what is wrong with how it was, or None."""
    try:
        outcome(function, public, given)
    except REFUSALS as error:
        fine = str(error).startswith(f"{name}:")
        return None if fine else f"{type(error).__name__}: {error}"
    except (KeyboardInterrupt, pytest.fail.Exception):
        raise
    except BaseException as error:  # a panic of Rust is no Exception
        return f"{type(error).__name__}: {error}"
    return "accepted"


def outcome(function: Callable[..., Any], public: Public, given: Mapping[str, Any]) -> Any:
    """Make a call by the names of its arguments."""
    given = dict(given)
    positional = [
        given.pop(p.name)
        for p in public.parameters
        if p.kind is p.POSITIONAL_ONLY and p.name in given
    ]
    return function(*positional, **given)


def violations(public: Public) -> list[str]:
    """What a callable does with bad values that it must not do, by argument and kind of fault."""
    faults: dict[tuple[str, str], dict[str, str]] = {}
    accepted = {(arg, label) for who, arg, label in ACCEPTED if fnmatch(str(public), who)}
    passed = set()
    for case in range(len(tables.valid_calls(public))):
        given = tables.valid_calls(public)[case]
        expected = outcome(tables.function(public), public, given)
        for name in public.arguments:
            function = tables.function(public)
            given = tables.valid_calls(public)[case]
            if name == "out":
                bad = bad_outputs(expected, given)
            else:
                bad = ((label, {name: value}) for label, value in bad_values(public, name, given))
            for label, change in bad:
                found = refused(name, function, public, {**given, **change})
                if found == "accepted":
                    function = tables.function(public)  # it may have changed the object
                    passed.add((name, label))
                if found and (name, label) not in accepted:
                    kind = found.partition(":")[0]
                    faults.setdefault((name, kind), {})[label] = found
            # What was refused has changed nothing.
            again = outcome(function, public, tables.valid_calls(public)[case])
            if shown(again) != shown(expected):
                faults[name, "changed"] = {"all": "afterwards the valid call gives something else"}
    for name, label in accepted - passed:
        faults[name, label] = {label: "is no longer accepted, as the table says"}
    return [
        f"{name}: {next(iter(found.values()))} [{', '.join(found)}]"
        for (name, _), found in faults.items()
    ]


def shown(result: Any) -> str:
    """What a result looks like, without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(result))


def callables(module: str) -> list[Public]:
    """What users call themselves."""
    kinds = ("function", "method", "classmethod", "constructor")
    found = [p for p in signatures.of_module(module) if p.kind in kinds]
    return [p for p in found if not any(fnmatch(str(p), hook) for hook in HOOKS)]


FAMILIES = [public for module in ("", *sortes.FAMILIES) for public in callables(module)]


@pytest.mark.parametrize("module", ["", *sortes.FAMILIES])
def test_every_callable_has_a_valid_call(module):
    _check_table(module)


@pytest.mark.parametrize("public", FAMILIES, ids=str)
def test_bad_values(public, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of files are no bad values
    found = violations(public)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", signatures.integration_modules())
def test_integrations(module):
    try:
        checked = callables(module)
    except ImportError as error:
        if (error.name or "").startswith("sortes"):
            raise
        pytest.skip(str(error))
    _check_table(module)
    found = [f"{public.name}: {what}" for public in checked for what in violations(public)]
    assert not found, "\n".join(found)


def _check_table(module):
    """Hold the table of a module to what there is."""
    assert tables.names(module) == {public.name for public in callables(module)}


class _Digit:
    """A domain."""

    def bad_values(self):
        return [-1, 10]


def _careful(k: Annotated[int, _Digit()], *, step: int = 0):
    for name, value, most in (("k", k, 10), ("step", step, 2**32)):
        if type(value) is not int:
            raise TypeError(f"{name}: must be an integer, got {value!r}")
        if not 0 <= value < most:
            raise ValueError(f"{name}: must be below {most}, got {value}")
    return k


def _out_of_domain(k: Annotated[int, _Digit()]):
    return _careful(min(k, 9) if type(k) is int else k)


def _nameless(k: int):
    if type(k) is not int:
        raise TypeError(f"an integer is required, got {k!r}")


def _foreign(k: int):
    if type(k) is not int:
        raise KeyError("k: must be an integer")


class _Panic(BaseException):
    pass


def _panicking(k: int):
    if type(k) is not int:
        raise _Panic("k: must be an integer")


def _changing(k: int, calls=[]):  # noqa: B006
    calls.append(k)
    if type(k) is not int or k == 2**100:
        raise TypeError("k: must be an integer")
    return len(calls)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (_careful, None),
        (_out_of_domain, "k: accepted [10]"),
        (_nameless, "k: TypeError: an integer is required"),
        (_foreign, "k: KeyError"),
        (_panicking, "k: _Panic: k: must be an integer"),
        (_changing, "k: afterwards the valid call gives something else"),
    ],
)
def test_violations_are_seen(function, said, monkeypatch):
    monkeypatch.setattr(tables, "valid_calls", lambda public: [{"k": 5}])
    found = violations(Public("", "f", "function", function, ""))
    assert any(what.startswith(said) for what in found) if said else found == [], found


def test_an_entry_that_is_accepted_no_more_is_seen(monkeypatch):
    monkeypatch.setattr(tables, "valid_calls", lambda public: [{"k": 5}])
    monkeypatch.setitem(ACCEPTED, ("f", "k", "True"), "once")
    (found,) = violations(Public("", "f", "function", _careful, ""))
    assert found.startswith("k: is no longer accepted")


def test_outputs_overlap():
    data = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    for result in (data, np.arange(2)):
        bad = dict(bad_outputs(result, {"logits": data}))
        given, out = bad["overlapping"]["logits"], bad["overlapping"]["out"]
        assert np.array_equal(given, data)
        assert np.shares_memory(given, out)
        assert (out.shape, out.dtype) == (result.shape, result.dtype)
        assert out.flags.carray
