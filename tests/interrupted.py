"""Long calls of every public callable, interrupted.

    python tests/interrupted.py MODULE SCALE TALL MOMENTS FIRST LOG

makes each valid call of ``sortes.MODULE``, of the size that `public.resize` sets, on one thread:
once to the end, and if that takes `LONG` then once more for each of the moments (shares of that
time), at which a Ctrl-C comes. Reports as `workers` says.
"""

import faulthandler
import pickle
import signal
import sys
import time
from collections import Counter
from typing import Any

import public as tables
import sortes.select
import test_bad_values as bad
import workers

#: Seconds: a call is long from; a call is no longer waited for; within which a Ctrl-C is answered.
LONG, ENOUGH, ANSWER = 0.6, 2.0, 0.5
#: Seconds after which the process dies of a call that does not answer at all.
HANG = 60
#: Where others use the machine, a call gets a share of a processor and may take so much longer. One
#: that waits gets none, and may not: no share is taken to be less than this.
LEAST_SHARE = 0.2
#: How often a late answer is asked for again: on a busy machine another program may be the reason.
TRIES = 3


class Interruption:
    """A Ctrl-C after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.late = self.share = 0.0

    def __enter__(self) -> "Interruption":
        faulthandler.dump_traceback_later(HANG, exit=True)
        self._cpu = time.process_time()
        self._due = time.monotonic() + self.seconds
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, kind: Any, *_: Any) -> bool:
        """Keep the interrupt, and how long after the Ctrl-C the call was over."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        self.came = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.late = time.monotonic() - self._due
        self.share = (time.process_time() - self._cpu) / (self.late + self.seconds)
        return self.came


def main(module: str, scale: str, tall: str, moments: str, first: str, path: str) -> None:
    """Interrupt the calls and print what came of them."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    publics = [p for p in bad.callables(module) if p.arguments or p.kind == "method"]
    tables.resize(int(scale), tall=tall == "tall")
    sortes.set_num_threads(1)
    trials = [(p, case) for p in publics for case in range(len(tables.valid_calls(p)))]
    with open(path, "a", encoding="utf-8") as log:
        for index, (public, case) in list(enumerate(trials))[int(first) :]:
            said = f"{index} {public}, call {case}"
            print(said, file=log, flush=True)
            seconds, fault = whole(public, case)
            if fault or seconds < LONG:
                counts["fault" if fault else "short"] += 1
            for moment in moments.split(",") if seconds >= LONG else ():
                fault = fault or interrupted(public, case, float(moment) * seconds)
                counts["late" if fault else "interrupted"] += 1
            if fault:
                faults[said] = f"{fault} (alone it takes {seconds:.1f} s)"
    workers.report(counts, faults)


def whole(public: tables.Public, case: int) -> tuple[float, str]:
    """How long a call takes, up to `ENOUGH`, and what is wrong with how it ends."""
    for _ in range(TRIES):
        given, function = tables.valid_calls(public)[case], tables.function(public)
        begun = time.monotonic()
        with Interruption(ENOUGH) as call:
            bad.outcome(function, public, given)
        seconds, fault = min(time.monotonic() - begun, ENOUGH), _late(call)
        if not fault:
            break
    return seconds, fault


def interrupted(public: tables.Public, case: int, after: float) -> str:
    """What is wrong with how a call answers a Ctrl-C.

    What is all or nothing may be all: the Ctrl-C came at the end. Sketches take a beginning of
    their batch, and say of how many items.
    """
    for _ in range(TRIES):
        given, function = tables.valid_calls(public)[case], tables.function(public)
        one = getattr(function, "__self__", None)
        before = state(one)
        with Interruption(after) as call:
            bad.outcome(function, public, given)
        if call.came and state(one) != before and not _is_whole(public, case, function):
            return "half changed the object"
        fault = _late(call)
        if not fault:
            break
    return fault


def _is_whole(public: tables.Public, case: int, function: Any) -> bool:
    """Whether an interrupted call of a method has done all that it was to do."""
    if isinstance(function.__self__, sortes.select.Sketch) and public.name == "Sketch.update":
        return True
    left, whole = state(function.__self__), tables.function(public)
    bad.outcome(whole, public, tables.valid_calls(public)[case])
    return left == state(whole.__self__)


def _late(call: Interruption) -> str:
    if call.late * min(max(call.share, LEAST_SHARE), 1.0) <= ANSWER:
        return ""
    return f"answers {call.late:.2f} s after a Ctrl-C, with {call.share:.0%} of a processor"


def state(one: Any) -> bytes | None:
    """The state of an object, if it has one."""
    if one is None or isinstance(one, type):
        return None
    try:
        return pickle.dumps(one)
    except TypeError:
        return None


if __name__ == "__main__":
    main(*sys.argv[1:])
