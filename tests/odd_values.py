"""Odd values at every public argument, drawn by seed, in a process that may die of them.

    python tests/odd_values.py MODULE SEED CALLS FIRST LOG

makes the calls FIRST to CALLS of a seed at what ``sortes.MODULE`` offers ("" is the top level), as
`workers` says. The valid calls are those of `public`, what must be refused comes from
`test_bad_values`.
"""

import array
import collections
import decimal
import faulthandler
import fractions
import random
import signal
import sys
import traceback
import warnings
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import public as tables
import test_bad_values as bad
import workers
from signatures import Public
from sortes import _device
from sortes._check import shown
from sortes._core import _testing

#: Seconds after which a call is told to stop, and the process dies of one that does not.
PATIENCE, HANG = 3, 20
#: What the process may have beyond what it holds before the first call: sizes are refused soon.
SPARE = 1 << 30

#: Arguments that say how long to work: a call that Ctrl-C ends is as good as one that returns.
WORK = {"k", "m", "n", "size", "chain_length", "logprobs", "max_trials", "n_features"}
WORK |= {"max_new_tokens", "n_local_trials", "n_rounds", "num_samples"}
WORK |= {"num_walks", "walk_length", "width"}


class Raises:
    """Something whose every conversion fails, in its own way."""

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise LookupError("no such thing")

    __array__ = __float__ = __index__ = __int__ = __len__ = __iter__ = __getitem__ = _fail
    __repr__ = __dlpack__ = __dlpack_device__ = __bool__ = __eq__ = __fspath__ = _fail
    __hash__ = object.__hash__


class Index:
    """An integer by `__index__` alone."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Array(np.ndarray):
    """A subclass."""


class Text(str):
    """A subclass."""


INTEGERS = [
    *(0, 1, -1, 2, 3, 7, 255, 256, 65_536, 10**6, 2**24 + 1, 2**48, 2**53 + 1, 10**400),
    *(
        sign * 2**power + step
        for power in (31, 32, 40, 63, 64)
        for sign in (1, -1)
        for step in (-1, 0)
    ),
    *(np.int8(-128), np.uint8(255), np.int64(2), np.uint64(2**64 - 1), np.array(2), Index(2)),
]
NUMBERS = [
    *(0.0, -0.0, 0.5, 1.0, -1.0, 1e-3, 1.5, 2.0, 5e-324, -5e-324, 1e-310, 2.2e-308, 1e-300, 1e300),
    *(1.8e308, -1.8e308, float("nan"), float("inf"), -float("inf"), 3.4e38, 1e-45, 1 - 2**-53),
    *(np.float16(0.5), np.float32(1e-45), np.longdouble(0.5), np.float64("nan"), np.array(0.5)),
    *(decimal.Decimal("0.5"), fractions.Fraction(1, 2), decimal.Decimal("sNaN")),
]
TEXTS = ["", "\0", "a" * 10_000, "\ud800", "é", Text("hf"), "None", "0.5", b"", b"\x00" * 64, b"hf"]
OTHERS = [
    *(None, True, False, 1j, ..., NotImplemented, object(), Raises(), Raises, int, len, range(3)),
    *({}, {"a": 1}, {1: 2}, {0.5: None}, set(), {1, 2}, (), [], [[]], [None], [[1.0], [1.0, 2.0]]),
    *(np.datetime64("2026-01-01"), np.timedelta64("NaT"), np.str_("x"), np.void(b"ab"), sys),
    *(slice(None), memoryview(b"abcd"), bytearray(16), array.array("d", [1.0, 2.0])),
    *(
        collections.deque([1, 2]),
        collections.ChainMap(),
        np.random.default_rng(0),
        random.Random(0),
    ),
]
SPECIAL = [0.0, -0.0, -1.0, 1.0, 0.5, *(n for n in NUMBERS if type(n) is float)]
DTYPES = [
    "?",
    "i1",
    "u1",
    "i4",
    "u4",
    "i8",
    "u8",
    "e",
    "f",
    "d",
    "g",
    "F",
    "D",
    "O",
    "U",
    "S",
    "M8[s]",
]
DTYPES += ["m8[D]", ">f4", ">f8", ">i8", "V8", [("a", "f8"), ("b", "i4")]]


def anything(rng: random.Random) -> Any:
    """A value of any type."""
    kind = rng.choice([INTEGERS, NUMBERS, TEXTS, OTHERS, None])
    if kind is not None:
        return rng.choice(kind)
    return rng.choice(
        [
            lambda: (i for i in range(3)),
            lambda: iter([1.0, 2.0]),
            lambda: _itself(),
            lambda: odd_array(np.ones(rng.choice([(), (1,), (4,), (2, 4)])), rng),
            lambda: odd_tensor(np.ones(rng.choice([(), (4,), (2, 4)]), np.float32), rng),
        ]
    )()


def like(valid: Any, rng: random.Random) -> Any:
    """A value of about the type of a valid one."""
    if isinstance(valid, np.ndarray) and valid.dtype.kind in "biuf":
        return rng.choice([odd_array, odd_array, odd_items, odd_tensor])(valid, rng)
    if isinstance(valid, bool) or valid is None:
        return anything(rng)
    if isinstance(valid, int | np.integer):
        return rng.choice(INTEGERS)
    if isinstance(valid, float):
        return rng.choice(NUMBERS)
    if isinstance(valid, str):
        return rng.choice(TEXTS)
    if isinstance(valid, bytes):
        return _damaged(valid, rng)
    if isinstance(valid, list | tuple) and valid:
        changed = list(valid)
        changed[rng.randrange(len(changed))] = rng.choice([like, _other])(rng.choice(valid), rng)
        same = getattr(
            type(valid), "_make", type(valid)
        )  # a tuple with names takes them one by one
        return rng.choice([same(changed), changed * 2, changed[1:]])
    if isinstance(valid, dict) and valid:
        changed, key = dict(valid), rng.choice(list(valid))
        if rng.random() < 0.2:
            del changed[key]
        else:
            changed[key] = rng.choice([like, _other])(valid[key], rng)
        return changed
    return anything(rng)


def _other(valid: Any, rng: random.Random) -> Any:
    return anything(rng)


def odd_items(x: np.ndarray, rng: random.Random) -> Any:
    """The same array with odd items."""
    kind = x.dtype.kind
    x = np.array(x, np.float64 if kind == "f" and rng.random() < 0.3 else x.dtype)
    for _ in range(rng.choice([1, 1, 2, x.size])):
        if not x.size:
            break
        at = rng.randrange(x.size)
        if kind == "f":
            with np.errstate(all="ignore"):
                x.flat[at] = rng.choice(SPECIAL)
        elif kind in "iu":
            info = np.iinfo(x.dtype)
            x.flat[at] = rng.choice([info.min, info.max, 0, 1, info.max // 2])
        else:
            x.flat[at] = not x.flat[at]
    if rng.random() < 0.1:
        x[...] = x.flat[0] if x.size else 0
    return x


def odd_array(x: np.ndarray, rng: random.Random) -> Any:
    """The same numbers, about, in another type, shape or layout."""
    made = rng.choice(
        [
            lambda: _as_dtype(x, rng.choice(DTYPES)),
            lambda: x[:0] if x.ndim else x,
            lambda: x[..., :0] if x.ndim else x,
            lambda: x.reshape(-1)[:1].reshape(()) if x.size else x,
            lambda: x[np.newaxis],
            lambda: x[..., np.newaxis],
            lambda: np.ones((2, 2, 2), x.dtype),
            lambda: x.T,
            lambda: np.concatenate([x, x]) if x.ndim else x,
            lambda: x[:-1] if x.ndim else x,
            lambda: x.tolist(),
            lambda: np.broadcast_to(x[:1], (rng.choice([4, 1000]), *x.shape[1:])) if x.ndim else x,
            lambda: np.broadcast_to(x, (3, *x.shape)),
            lambda: x[::-1] if x.ndim else x,
            lambda: x.view(Array),
            lambda: np.ma.masked_array(x, rng.choice([False, True])),
            lambda: np.asmatrix(x) if x.ndim else x,
            lambda: [x] if x.ndim else x,
            lambda: list(x) if x.ndim else x,
            lambda: set(x.ravel().tolist()),
            lambda: (item for item in x.ravel().tolist()),
            lambda: memoryview(np.ascontiguousarray(x)),
            lambda: _objects(rng.choice(OTHERS), x.shape),
            lambda: np.array([2**64, *[0] * (x.size - 1)], object) if x.size else x,
            lambda: (
                np.frombuffer(b"\x01" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
            ),
            lambda: rng.choice([1, 0.5, -1, 2**40, float("nan"), True]),
        ]
    )
    return made()


def odd_tensor(x: np.ndarray, rng: random.Random) -> Any:
    """The same numbers, about, as a tensor of some kind, where Torch is there."""
    torch = sys.modules.get("torch")
    if torch is None or (x.dtype.kind == "u" and x.dtype.itemsize > 1):
        return odd_items(x, rng)
    t = torch.from_numpy(np.array(x))
    real = t if t.is_floating_point() else t.float()
    return rng.choice(
        [
            lambda: t,
            lambda: t.to(rng.choice([torch.bfloat16, torch.float16, torch.float64, torch.int32])),
            lambda: t.to(rng.choice([torch.complex64, torch.bool, torch.int8, torch.uint8])),
            lambda: real.clone().requires_grad_(),
            lambda: torch.nn.Parameter(real.clone()),
            lambda: real.to(torch.complex64).conj().imag,
            lambda: torch._neg_view(real),
            lambda: t.to_sparse(),
            lambda: t.reshape(2, -1).to_sparse_csr() if t.numel() % 2 == 0 else t.to_sparse(),
            lambda: t.to("meta"),
            lambda: torch.nested.nested_tensor([t.reshape(-1), t.reshape(-1)[:1]]),
            lambda: torch.quantize_per_tensor(real.float(), 0.1, 0, torch.quint8),
            lambda: t.expand(3, *t.shape),
            lambda: t.T if t.ndim == 2 else t,
            lambda: t[:0] if t.ndim else t,
            lambda: t.to(torch.float8_e4m3fn) if t.is_floating_point() else t,
            lambda: torch.empty(0),
        ]
    )()


def _as_dtype(x: np.ndarray, dtype: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return x.astype(dtype)
        except (TypeError, ValueError):
            return np.zeros(x.shape, dtype)


def _objects(item: Any, shape: tuple[int, ...]) -> np.ndarray:
    x = np.empty(shape, object)
    x.fill(item)
    return x


def _itself() -> Any:
    x: list[Any] = [1.0]
    x.append(x)
    return x


def _damaged(data: bytes, rng: random.Random) -> Any:
    at = rng.randrange(len(data) + 1)
    changed = bytearray(data)
    for _ in range(rng.choice([1, 8])):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return rng.choice([data[:at], data + data[:at], bytes(changed), changed, data.decode("latin1")])


def same(valid: Any, rng: random.Random) -> Any:
    """A valid value in another form, which must give the same result; None if there is none."""
    if isinstance(valid, np.ndarray) and valid.ndim and valid.dtype.kind in "biuf":
        x = valid
        byte_order = x.dtype.newbyteorder(">")
        shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        shifted[...] = x
        frozen = x.copy()
        frozen.flags.writeable = False
        return rng.choice(
            [
                np.flip(np.flip(x).copy()),
                x.astype(byte_order),
                shifted,
                frozen,
                np.asfortranarray(x),
                np.repeat(x, 2, -1)[..., ::2],
                np.repeat(x, 2, 0)[::2],
                x.view(Array),
            ]
        )
    if type(valid) is int:
        return rng.choice([np.int64(valid), np.array(valid), Index(valid), np.int16(valid)])
    if type(valid) is float:
        return rng.choice([np.float64(valid), np.array(valid)])
    if type(valid) is str:
        return Text(valid)
    if type(valid) is bytes:
        return rng.choice([bytearray(valid), memoryview(valid)])
    return None


def change(
    public: Public, name: str, given: tables.Arguments, result: Any, rng: random.Random
) -> tuple[str, str, dict[str, Any]]:
    """What to give an argument: what must come of it, what to call it, and the change."""
    roll = rng.random()
    if roll < 0.2:
        if name != "out":
            found = [(label, {name: x}) for label, x in bad.bad_values(public, name, given)]
        else:
            found = list(bad.bad_outputs(result, given))
        accepted = {
            label for who, arg, label in bad.ACCEPTED if fnmatch(str(public), who) and arg == name
        }
        found = [each for each in found if each[0] not in accepted]
        if found:
            label, changed = rng.choice(found)
            return "refused", label, changed
    if roll < 0.4 and given.get(name) is not None:
        value = same(given[name], rng)
        if value is not None:
            return "same", f"{type(value).__name__} {shown(value)}", {name: value}
    value = like(given[name], rng) if name in given and roll < 0.8 else anything(rng)
    return "any", f"{type(value).__name__} {shown(value)}", {name: value}


class Caller:
    """Makes odd calls and counts what comes of them."""

    def __init__(self, module: str, log: Any) -> None:
        self.publics = [p for p in bad.callables(module) if p.arguments]
        self.log = log
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: dict[str, str] = {}
        self._expected: dict[tuple[str, int, bool], tuple[Any, str]] = {}

    def call(self, index: int, seed: str) -> None:
        """Make the call of a number."""
        rng = random.Random(f"{seed} {index}")
        public = rng.choice(self.publics)
        case = rng.randrange(len(tables.valid_calls(public)))
        result, _ = self._valid(public, case)
        given = tables.valid_calls(public)[case]
        names = rng.sample(
            list(public.arguments), min(len(public.arguments), rng.choice([1, 1, 1, 2, 3]))
        )
        wanted, labels = set(), []
        for name in names:
            want, label, changed = change(public, name, given, result, rng)
            wanted.add(want)
            labels.append(f"{name}={label}")
            given.update(changed)
        said = f"{index} {public}({', '.join(labels)})"
        print(said, file=self.log, flush=True)
        _device.PRETEND = rng.random() < 0.3
        _, expected = self._valid(public, case)  # devices may round otherwise
        function = tables.function(public)
        kind, message = self._outcome(function, public, given)
        if message.startswith("accepted") and wanted == {"refused"} and len(names) == 1:
            kind, message = "fault", "accepted"
        elif kind == "accepted" and wanted == {"same"} and message != f"accepted {expected}":
            kind, message = "fault", f"gives something else: {message}"
        elif kind == "interrupted" and not WORK & set(names):
            kind, message = "fault", "takes long"
        elif kind.startswith("refused"):
            _, again = self._outcome(function, public, tables.valid_calls(public)[case])
            if again != f"accepted {expected}":
                kind, message = "fault", f"afterwards the valid call gives {again}"
        self.counts[kind] += 1
        if kind == "fault":
            self.faults[said] = message

    def _valid(self, public: Public, case: int) -> tuple[Any, str]:
        key = str(public), case, _device.PRETEND
        if key not in self._expected:
            given = tables.valid_calls(public)[case]
            result = bad.outcome(tables.function(public), public, given)
            self._expected[key] = result, bad.shown(result)
        return self._expected[key]

    def _outcome(self, function: Any, public: Public, given: tables.Arguments) -> tuple[str, str]:
        """What comes of a call: its kind, and what it gives or says."""
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, PATIENCE)
                result = bad.outcome(function, public, given)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            return "accepted", f"accepted {bad.shown(result)}"
        except KeyboardInterrupt:  # the alarm, which comes once, wherever it comes
            return "interrupted", ""
        except MemoryError as error:
            return "refused: MemoryError", str(error)
        except (ValueError, TypeError) as error:
            if str(error).partition(":")[0] in self._names(public):
                return f"refused: {type(error).__name__}", str(error)
            return self._raised(error, public, given)
        except BaseException as error:  # a panic of Rust is no Exception
            return self._raised(error, public, given)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _names(self, public: Public) -> set[str]:
        """The arguments of a callable, and those that made its object."""
        made = [p for p in self.publics if p.kind == "constructor" and p.object is public.owner]
        return {name for each in [public, *made] for name in each.arguments}

    def _raised(
        self, error: BaseException, public: Public, given: tables.Arguments
    ) -> tuple[str, str]:
        """What an exception is that refuses nothing by name: a fault, unless it is an error of the
        system and documented, or the user's own callback raised it.
        """
        documented = {entry.type for entry in public.doc.entries("Raises")}
        if isinstance(error, TimeoutError) and "TimeoutError" in documented:
            return "refused: TimeoutError", str(error)
        if isinstance(error, OSError) and documented & {"OSError", "FileNotFoundError"}:
            return "refused: OSError", str(error)
        called = any(callable(given.get(name)) for name in ("progress", "where", "of", "weight"))
        return ("accepted" if called else "fault"), _described(error)


def _described(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"


def limit_memory() -> None:
    """Let this process have `SPARE` more bytes, where the system knows how."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    size = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def main(module: str, seed: str, calls: str, first: str, path: str) -> None:
    """Make calls and print what came of them."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as log:
        caller = Caller(module, log)
        _testing.parallel_sum(1000, 256)  # the threads that some of `INTEGERS` ask for are there
        limit_memory()
        for index in range(int(first), int(calls)):
            caller.call(index, seed)
    workers.report(caller.counts, caller.faults)


if __name__ == "__main__":
    main(*sys.argv[1:])
