"""Scripts that try what may end their process, and what is found of those that do.

A script is called with the arguments of its own, the number of its first trial, and the file to
which it writes each trial that it begins, as ``number words``. It prints what it has found as the
last line: JSON of ``{"counts": {kind: how many}, "faults": {trial: what is wrong}}``.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple


class Found(NamedTuple):
    """What came of all trials."""

    counts: Counter[str]
    faults: dict[str, str]

    def check(self) -> None:
        """Fail if there are faults; show the counts to who asks for them (``-rP``)."""
        print(json.dumps(dict(sorted(self.counts.items()))))
        assert not self.faults, "\n".join(
            f"{trial}\n    {what}" for trial, what in self.faults.items()
        )


def run(script: str, arguments: list[object], folder: Path, **environment: str) -> Found:
    """Run a script, and once more from the next trial wherever one ends the process."""
    env = {**os.environ, **environment}
    log, first, found = folder / "log", 0, Found(Counter(), {})
    while True:
        log.write_text("")
        command = [sys.executable, script, *map(str, arguments), str(first), str(log)]
        # There, since trials may write files.
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=env, cwd=folder
        )
        if done.returncode == 0:
            last = json.loads(done.stdout.splitlines()[-1])
            found.counts.update(last["counts"])
            found.faults.update(last["faults"])
            return found
        begun = log.read_text(encoding="utf-8").splitlines()
        assert begun, done.stderr
        found.counts["death"] += 1
        found.faults[begun[-1]] = f"ended its process with {done.returncode}: {done.stderr[-2000:]}"
        first = int(begun[-1].partition(" ")[0]) + 1


def report(counts: Counter[str], faults: dict[str, str]) -> None:
    """Print what a script has found."""
    print(json.dumps({"counts": counts, "faults": faults}))
