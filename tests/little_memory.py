"""Every public callable with large data, in a process that has little memory left.

    python tests/little_memory.py MODULE SCALE TALL SPARES FIRST LOG

makes each valid call of ``sortes.MODULE``, of the size that `public.resize` sets, where the process
may have no more than some mebibytes beyond what it holds, and reports as `workers` says.
"""

import contextlib
import ctypes
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

import public as tables
import sortes
import test_bad_values as bad
import workers

MIB = 1 << 20
#: Seconds after which a call is told to stop: it had its memory by then.
PATIENCE = 1


def main(module: str, scale: str, tall: str, spares: str, first: str, path: str) -> None:
    """Make the calls and print what came of them."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    sortes._core._testing.parallel_sum(1000, 2)  # the threads of calls that say nothing are there
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    publics = [p for p in bad.callables(module) if p.arguments or p.kind == "method"]
    for public in publics:  # everything that a first call imports is there
        for given in tables.valid_calls(public):
            bad.outcome(tables.function(public), public, given)
    tables.resize(int(scale), tall=tall == "tall")
    trials = [
        (public, case, int(spare))
        for public in publics
        for case in range(len(tables.valid_calls(public)))
        for spare in spares.split(",")
    ]
    with open(path, "a", encoding="utf-8") as log:
        for index, (public, case, spare) in list(enumerate(trials))[int(first) :]:
            said = f"{index} {public}, call {case}, with {spare} MiB"
            print(said, file=log, flush=True)
            kind = outcome(public, case, spare * MIB)
            counts[kind.partition(":")[0]] += 1
            if kind.startswith("fault"):
                faults[said] = kind
    workers.report(counts, faults)


def outcome(public: tables.Public, case: int, spare: int) -> str:
    """What comes of a call with little memory."""
    given = tables.valid_calls(public)[case]
    function = tables.function(public)
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # what is free is no longer held
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + spare
    try:
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        try:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            result = bad.outcome(function, public, given)
            del result
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return "done"
    except MemoryError:
        return "refused"
    except KeyboardInterrupt:  # the alarm, which comes once, wherever it comes
        return "stopped"
    except BaseException as error:
        return f"fault: {type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


if __name__ == "__main__":
    main(*sys.argv[1:])
