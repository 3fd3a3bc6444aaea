"""Chains of the same law by several tools, each with the density that it has compiled itself.

Every contender has a process, all on one processor and in the environment of PyMC 6, see
tests/contracts/install_peers.sh. A time is that of an effective draw, of the coordinate that has
the fewest: seconds over effective draws, compiling left out. Rounds go on with the same chains.
"""

import json
import os
import subprocess
from pathlib import Path
from statistics import median

import pytest
import sortes

from benches.turns import turns

PYTHON = Path(__file__).parents[2] / ".peers" / "pymc6" / "bin" / "python"
SCRIPT = Path(__file__).with_name("contenders.py")
#: With whose compiler our density is made.
TOOL = {"numba": "sortes", "C": "sortes.c"}


class Contender:
    """A process that draws when it is asked."""

    def __init__(self, name, folder):
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [PYTHON, SCRIPT, name]
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.answers = []
        self.compile = self.read()["compile"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender ended with status {self.process.wait()}")
        return json.loads(line)

    def __call__(self, n):
        print(file=self.process.stdin, flush=True)
        self.answers.append(self.read())
        return self.answers[-1]["seconds"] / self.answers[-1]["ess"]


@pytest.fixture
def contender(tmp_path):
    """Start contenders by name, and end them."""
    if not PYTHON.exists():
        pytest.skip("no PyMC 6; make test-peers installs it")
    (tmp_path / "sortes").symlink_to(Path(sortes.__file__).parent)
    running = []

    def start(name):
        try:
            running.append(Contender(name, tmp_path))
        except RuntimeError as error:
            return str(error)
        return running[-1]

    yield start
    for each in running:
        with each.process:  # which closes its pipes, and waits
            pass


def said(turn, n):
    """Return what the contender says of its turn."""
    return turn(n)


def compare(benchmark, contender, section, case, ours, others, goals):
    """Let contenders take turns, and add what they say of their evaluations."""
    ours, others = ({k: contender(v) for k, v in side.items()} for side in (ours, others))
    record = turns(
        benchmark, section, {**case, "time": "an effective draw"}, ours, others,
        goal=goals, clock=said, seconds=2.0, least=3, most=8,
    )  # fmt: skip
    there = {k: c for k, c in (ours | others).items() if not isinstance(c, str) and c.answers}

    def over(c, above, below):
        total = sum(answer[below] for answer in c.answers)
        return sum(answer[above] for answer in c.answers) / total if total else None

    record["more"] = {
        "done / used": {k: over(c, "done", "used") for k, c in there.items()},
        "ns an evaluation": {
            k: median(1e9 * a["seconds"] / a["used"] for a in c.answers)
            for k, c in there.items()
            if c.answers[0]["used"]
        },
        "compiling, s": {k: c.compile for k, c in there.items()},
    }
    record["more"] = {
        column: {k: v for k, v in values.items() if v is not None}
        for column, values in record["more"].items()
    }


@pytest.mark.parametrize(
    ("kernel", "density"),
    [
        ("coordinate", "funnel"),
        ("hit-and-run", "funnel"),
        ("coordinate", "logistic"),
        ("hit-and-run", "logistic"),
        ("elliptical", "process"),
    ],
)
def test_slices(benchmark, contender, kernel, density):
    compilers = ("numba", "C") if density == "funnel" else ("C", "numba")  # the faster one first
    ours = {f"sortes, {name}": f"{TOOL[name]} {kernel} {density}" for name in compilers}
    if density != "process":
        ours["sortes, built in"] = f"sortes.built_in {kernel} {density}"
    compare(
        benchmark,
        contender,
        "Slice samplers beside BlackJAX, 64 chains",
        {"kernel": kernel, "density": density},
        ours,
        {"blackjax": f"blackjax {kernel} {density}"},
        {"blackjax": 1 / 5},
    )


@pytest.mark.parametrize(
    ("density", "ours"),
    [
        ("funnel", {"by coordinates": "sortes coordinate", "polar": "sortes polar"}),
        (
            "logistic",
            {"fitted ellipses": "sortes.c generalized", "by coordinates": "sortes.c coordinate"},
        ),
    ],
)
def test_ensembles(benchmark, contender, density, ours):
    compare(
        benchmark,
        contender,
        "Slice samplers beside ensembles, 64 chains",
        {"density": density},
        {f"sortes, {name}": f"{how} {density}" for name, how in ours.items()},
        {"emcee": f"emcee stretch {density}", "zeus": f"zeus ensemble {density}"},
        {"emcee": 1 / 50, "zeus": 1 / 50},
    )


@pytest.mark.parametrize("model", ["schools", "radon", "change"])
def test_pymc_models(benchmark, contender, model):
    compare(
        benchmark,
        contender,
        "PyMC models, 4 chains with their warm-up",
        {"model": model},
        {"sortes": f"sortes.pymc slice {model}"},
        {"PyMC Slice": f"pymc slice {model}"},
        {"PyMC Slice": 1 / 50},
    )
