"""The one runner: ours and the others take turns, and one record is kept of it.

In every round each contender has one turn, in an order that changes, so that other work of the
machine meets all of them alike, and a ratio is taken between turns of the same round. A floor, the
least time that the work can take, has its turns among them. Before a short turn its contender is
called once, on the data of the next round, and not timed: what the others left in the caches would
cost it more than its own work.
"""

import importlib.util
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np

Turn = Callable[[int], object]  # of the number of the round
Clock = Callable[[Turn, int], float]  # the seconds of one turn

# SORTES_BENCH_ROUNDS=1 shows that everything runs; its figures mean little.
SHORT = 1e-3  # seconds; a longer turn does not feel what the others left in the caches
CAP = int(os.environ.get("SORTES_BENCH_ROUNDS", 2**31))


def wall(turn: Turn, n: int) -> float:
    """Return the seconds of one turn."""
    began = time.perf_counter()
    turn(n)
    return time.perf_counter() - began


def processor(turn: Turn, n: int) -> float:
    """Return the processor time of one turn, which other work of the machine disturbs less."""
    began = time.process_time()
    turn(n)
    return time.process_time() - began


def cuda(turn: Turn, n: int) -> float:
    """Return the seconds of one turn on the GPU, by its own events."""
    import torch

    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    turn(n)
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3


def peer(module: str, make: Callable[[ModuleType], Turn]) -> Turn | str:
    """Return what `make` makes of a module, or why the module cannot take part."""
    if importlib.util.find_spec(module) is None:
        return f"{module} is not installed"
    return make(importlib.import_module(module))


def turns(
    benchmark,
    section: str,
    case: dict[str, object],
    ours: dict[str, Turn],
    contenders: dict[str, Turn | str],
    *,
    yardsticks: dict[str, Turn | str] | None = None,
    floor_bytes: int = 0,
    floor: dict[str, Turn] | None = None,
    goal: dict[str, float] | None = None,
    seconds: float = 0.5,
    least: int = 5,
    most: int = 400,
    clock: Clock = wall,
    touch: Turn | None = None,
) -> dict:
    """Let all take turns, and record their times in milliseconds.

    Parameters
    ----------
    benchmark
        The fixture of pytest-benchmark. The folder of the test is the family.
    section, case
        Where the report prints the record: a table, and the row of it, column by column.
    ours : dict
        Our ways, the first of which all others are compared with.
    contenders : dict
        The others. A reason in place of a function says why one is missing.
    yardsticks : dict, optional
        What does another thing, or less, so that to be slower is no loss.
    floor_bytes : int
        How many bytes the work must move at least; the floor moves as many at the speed of a copy.
    floor : dict of one, optional
        Another floor, by its name.
    goal : dict, optional
        For some names, which multiple of their time the first of ours must not exceed.
    seconds, least, most
        A contender that has used its `seconds` stops after `least` turns; nobody has over `most`.
    clock
        `wall`, `processor`, `cuda`, or one that finds the time in what the turn returns.
    touch
        Called before each turn and not timed: brings the data of the round into the cache.

    Returns
    -------
    dict
        The record, which is `benchmark.extra_info`. A test can add to ``goals``, and give ``more``
        columns: ``record["more"] = {"cost": {"sortes": 1.0, ...}}``.
    """
    others = {**contenders, **(yardsticks or {})}
    missing = {name: why for name, why in others.items() if isinstance(why, str)}
    reference = next(iter(ours))
    floor = floor or ({"copy": moving(floor_bytes)} if floor_bytes else {})
    everybody = {**ours, **others, **{f"floor: {name}": turn for name, turn in floor.items()}}
    everybody = {name: turn for name, turn in everybody.items() if name not in missing}

    benchmark.group = f"{section}: all rounds"
    args = (everybody, seconds, min(least, CAP), min(most, CAP), clock, touch)
    times = benchmark.pedantic(alternate, args, rounds=1)

    best = {name: 1e3 * min(s) for name, s in times.items()}
    record = benchmark.extra_info
    record.update(
        family=Path(benchmark.fullname.split("::")[0]).parent.name,
        section=section,
        case=case,
        ours=list(ours),
        yardsticks=list(yardsticks or {}),
        floor=next(iter(floor), None),
        rounds={name: len(s) for name, s in times.items()},
        ms={name: 1e3 * median(s) for name, s in times.items()},
        best_ms=best,
        # How many times as long as the first of ours, in the same round.
        multiples={
            name: median(a / b for a, b in zip(s, times[reference], strict=False))
            for name, s in times.items()
        },
        missing=missing,
        goals=[],
        more={},
    )
    if floor:
        name = f"floor: {record['floor']}"
        record["floor_ms"] = record["ms"].pop(name)
        record["floor_multiple"] = record["multiples"].pop(name)
    for name, limit in (goal or {}).items():
        # A median alone can be luck, and so can a minimum.
        both = name not in missing and (1 / record["multiples"][name], best[reference] / best[name])
        judge(record, f"of {name}", limit, max(both) if both else None)
    return record


def judge(record: dict, what: str, limit: float, reached: float | None) -> None:
    """Add a goal to a record: `reached`, if it could be measured, must not exceed `limit`."""
    met = None if reached is None else bool(reached <= limit)
    record["goals"].append({"what": what, "limit": limit, "reached": reached, "met": met})


def alternate(
    everybody: dict[str, Turn],
    seconds: float,
    least: int,
    most: int,
    clock: Clock,
    touch: Turn | None,
) -> dict[str, list[float]]:
    """Return the seconds of the turns of everybody."""
    order = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in everybody}
    used, last = dict.fromkeys(everybody, 0.0), dict.fromkeys(everybody, math.inf)
    for n in range(most):
        playing = [name for name in everybody if n < least or used[name] < seconds]
        for name in order.permutation(playing):
            if last[name] < SHORT:
                everybody[name](n + 1)
            if touch:
                touch(n)
            began = time.perf_counter()
            times[name].append(clock(everybody[name], n))
            last[name] = time.perf_counter() - began
            used[name] += last[name]
    return times


def moving(count: int) -> Turn:
    """Move `count` bytes: one half of them is read, the other written."""
    source = np.ones(max(count // 2, 1), np.uint8)
    target = np.empty_like(source)
    return lambda _: np.copyto(target, source)
