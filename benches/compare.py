"""Compare two builds of `sortes` on the same calls, in one run.

    pip install --no-deps --target before sortes-before.whl
    pip install --no-deps --target after sortes-after.whl
    python benches/compare.py --before before --after after

Two processes, one for each build, wait for each other: each call is timed in one, then in the
other, so that other work of the machine meets both. After some blocks of that both are started
anew, because the placing of code and data in memory alone can be worth a few per cent. A ratio is
taken within a block; the table gives the median of all ratios and their quartiles. One thread. Both
must be built with the same profile, as wheels are.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles

import numpy as np

VOCABULARY = 128_256
# What counts as a change of speed: a factor, if it is worth that many microseconds.
FACTOR, LEAST = 1.03, 0.3
SHORTEST = 5e-5  # seconds that the clock can tell: a faster call is repeated
PIPELINES = {
    "greedy": {"temperature": 0.0},
    "top-k 50": {"top_k": 50},
    "min-p 0.1": {"min_p": 0.1},
    "top-p 0.9": {"top_p": 0.9},
    "typical 0.9": {"typical_p": 0.9},
    "eta 3e-4": {"eta_cutoff": 3e-4},
}


# What is timed. A maker prepares a call, which takes the number of the repetition.


def draw(arguments, V, deviation, keywords=False):
    """Draw a token from one of eight rows, by compiled rules or by keywords."""

    def make():
        import sortes
        from sortes.decode import Rules, sample

        rows = np.random.default_rng(0).standard_normal((8, V), np.float32) * np.float32(deviation)
        stream = sortes.Stream(0)
        if keywords:
            return lambda n: sample(rows[n % 8], rng=stream, step=n, **arguments)
        rules = Rules(**arguments)
        return lambda n: sample(rows[n % 8], rules, rng=stream, step=n)

    return make


def weights(n):
    """Return positive weights."""
    return np.random.default_rng(n).exponential(size=n)


def uniforms():
    """Make a stream, and take one number from it."""
    import sortes

    return lambda n: sortes.Stream(7).uniforms(1)


def choose(size, n):
    """Draw with replacement, in proportion to weights."""

    def make():
        from sortes.select import choice

        w = weights(n)
        return lambda i: choice(w, size, rng=i)

    return make


def keys():
    """Give a key to each of a million weights."""
    from sortes.select import weighted_keys

    w = weights(10**6)
    return lambda i: weighted_keys(w, rng=i)


def seeding():
    """Seed 50 centres among 200,000 points."""
    from sortes.select import kmeans_plusplus

    rng = np.random.default_rng(0)
    X = 5 * rng.standard_normal((50, 16), np.float32)[rng.integers(0, 50, 200_000)]
    X += rng.standard_normal(X.shape, np.float32)
    return lambda i: kmeans_plusplus(X, 50, random_state=i)


def sketching(kind):
    """Update a sketch with a million items."""

    def make():
        from sortes import select

        ids, w = np.random.default_rng(0).integers(0, 2**62, 10**6), weights(10**6)
        return lambda i: getattr(select, kind)(1000, rng=i).update(ids, w)

    return make


def design(sampler, n):
    """Choose a tenth of some units, with unequal probabilities."""

    def make():
        from sortes import select

        pi = select.inclusion_probabilities(weights(n), n // 10).pi
        return lambda i: getattr(select, sampler)(pi, rng=i)

    return make


CALLS = {
    **{
        f"{name}, {kind}": draw(arguments, VOCABULARY, deviation)
        for kind, deviation in (("flat", 2), ("peaked", 5))
        for name, arguments in PIPELINES.items()
    },
    "greedy of 1,000": draw(PIPELINES["greedy"], 1000, 5),
    "greedy of 1,000, keywords": draw(PIPELINES["greedy"], 1000, 5, keywords=True),
    "top-k of 1,000": draw(PIPELINES["top-k 50"], 1000, 5),
    "top-k of 1,000, keywords": draw(PIPELINES["top-k 50"], 1000, 5, keywords=True),
    "choice of one of 10": choose(1, 10),
    "Stream(7).uniforms(1)": uniforms,
    "choice of 10^6 of 10^6": choose(10**6, 10**6),
    "weighted_keys, 10^6": keys,
    "kmeans_plusplus, 200,000 x 16": seeding,
    "BottomK.update, 10^6": sketching("BottomK"),
    "VarOpt.update, 10^6": sketching("VarOpt"),
    "poisson_sample, 10^6": design("poisson_sample", 10**6),
    "pivotal_sample, 10^5": design("pivotal_sample", 10**5),
}


# One build: reads the name of a call, answers with the microseconds it takes.


def serve(folder: str, seconds: float) -> None:
    """Time calls for as long as names come in."""
    import sortes

    if not Path(sortes.__file__).is_relative_to(Path(folder).resolve()):
        raise SystemExit(f"{folder}: holds no sortes; found {sortes.__file__}")
    sortes.set_num_threads(1)
    print(json.dumps({}), flush=True)  # it is there
    ready = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready[name] = prepared(CALLS[name]())
            answer = {"us": 1e6 * timed(*ready[name], seconds)}
        except (ImportError, AttributeError, TypeError) as fault:
            answer = {"fault": f"{type(fault).__name__}: {fault}"}
        print(json.dumps(answer), flush=True)


def prepared(call):
    """Return a call that is warm, how many times to repeat it, and its numbers."""
    numbers = itertools.count()
    count = 1
    while repeated(call, count, numbers) * count < SHORTEST:
        count *= 2
    return call, count, numbers


def repeated(call, count, numbers) -> float:
    """Return the seconds of one call, from several."""
    began = time.perf_counter()
    for n in itertools.islice(numbers, count):
        call(n)
    return (time.perf_counter() - began) / count


def timed(call, count, numbers, seconds) -> float:
    """Return the median time of a call over some time, the first left out."""
    repeated(call, count, numbers)
    until, found = time.perf_counter() + seconds, []
    while len(found) < 3 or time.perf_counter() < until:
        found.append(repeated(call, count, numbers))
    return median(found)


# Both builds.


class Build:
    """A process that has one build, and ends with the block that uses it."""

    def __init__(self, folder: Path, seconds: float) -> None:
        command = [sys.executable, "-P", __file__, "--serve", folder, "--seconds", str(seconds)]
        environment = {**os.environ, "PYTHONPATH": str(folder.resolve())}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def __enter__(self):
        self.answer()
        return self

    def __exit__(self, *fault: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def time(self, name: str) -> dict:
        """Let the process time a call."""
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict:
        """Read what the process has to say."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a build ended with status {self.process.wait()}")
        return json.loads(line)


def measure(given, names: list[str]) -> tuple[dict, dict]:
    """Return the pairs of times of each call, and why a call could not be timed."""
    pairs, faults = defaultdict(list), {}
    for start in range(given.starts):
        with Build(given.before, given.seconds) as old, Build(given.after, given.seconds) as new:
            for block, name in itertools.product(range(given.blocks), names):
                builds = {"before": old, "after": new}
                order = sorted(builds, reverse=(start + block) % 2 == 0)  # who goes first
                answers = {side: builds[side].time(name) for side in order}
                for side in builds:
                    if "fault" in answers[side]:
                        faults[name] = f"{side}: {answers[side]['fault']}"
                if name not in faults:
                    pairs[name].append((answers["before"]["us"], answers["after"]["us"]))
        print(f"{start + 1} of {given.starts} starts", file=sys.stderr)
    return pairs, faults


def row(name: str, times: list[tuple[float, float]]) -> tuple[str, bool]:
    """Return the line of a call, and whether it has become slower."""
    before, after = (median(side) for side in zip(*times, strict=True))
    ratios = [a / b for b, a in times]
    low, middle, high = quantiles(ratios, n=4) if len(ratios) > 1 else 3 * ratios
    change = median(a - b for b, a in times)
    slower = low > 1 and middle > FACTOR and change > LEAST
    faster = high < 1 and middle < 1 / FACTOR and change < -LEAST
    word = "**slower**" if slower else "faster" if faster else ""
    cells = [name, f"{before:.4g}", f"{after:.4g}", f"{change:+.2f}", f"{middle:.3f}",
             f"{low:.3f} to {high:.3f}", word]  # fmt: skip
    return "| " + " | ".join(cells) + " |", slower


def main() -> None:
    """Compare, and print the table; the status is 1 if a call has become slower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="folder with a build of sortes")
    parser.add_argument("--after", type=Path, help="folder with another")
    parser.add_argument("--starts", type=int, default=6, help="how often both processes start")
    parser.add_argument("--blocks", type=int, default=5, help="pairs of each call in one start")
    parser.add_argument("--seconds", type=float, default=0.03, help="of a call in one block")
    parser.add_argument("--only", default="", help="calls whose name contains this")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.seconds)
        return
    if not (given.before and given.after):
        parser.error("--before and --after are needed")
    pairs, faults = measure(given, [name for name in CALLS if given.only in name])
    print("| call | before, us | after, us | change, us | after / before | quartiles | |")
    print("| --- | --: | --: | --: | --: | --: | --- |")
    rows = [row(name, times) for name, times in pairs.items() if name not in faults]
    print("\n".join(line for line, _ in rows))
    for name, why in faults.items():
        print(f"- Missing: {name}: {why}")
    raise SystemExit(any(slower for _, slower in rows))


if __name__ == "__main__":
    main()
