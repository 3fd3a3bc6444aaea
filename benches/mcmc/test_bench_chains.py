"""Chains of the same law by several tools, each with the density that it has compiled itself.

Every contender has a process, all on one processor and in the environment of PyMC 6, see
tests/contracts/install_peers.sh. A time is that of an effective draw, of the coordinate that has
the fewest: seconds over effective draws, compiling left out. Rounds go on with the same chains.
"""

from pathlib import Path
from statistics import median

import pytest
import sortes

from benches.turns import turns

#: With whose compiler our density is made.
TOOL = {"numba": "sortes", "C": "sortes.c"}


def effective(turn, n):
    """Return the seconds of an effective draw of a round."""
    answer = turn(n)
    turn.answers.append(answer)
    return answer["seconds"] / answer["ess"]


def compare(benchmark, apart, folder, section, case, ours, others, goals):
    """Let contenders take turns, and add what they say of their evaluations."""
    (folder / "sortes").symlink_to(Path(sortes.__file__).parent)

    def started(names):
        there = {k: apart("pymc6", "contenders.py", v, path=folder) for k, v in names.items()}
        for each in there.values():
            if not isinstance(each, str):
                each.answers = []
        return there

    ours = started(ours)
    absent = {name: each for name, each in ours.items() if isinstance(each, str)}
    ours = {name: each for name, each in ours.items() if name not in absent}
    if not ours:
        pytest.skip(next(iter(absent.values())))
    others = started(others) | absent
    record = turns(
        benchmark, section, {**case, "time": "an effective draw"}, ours, others,
        goal=goals, clock=effective, seconds=2.0, least=3, most=8,
    )  # fmt: skip
    there = {k: c for k, c in (ours | others).items() if not isinstance(c, str)}

    def over(c, above, below):
        total = sum(answer[below] for answer in c.answers)
        return sum(answer[above] for answer in c.answers) / total if total else None

    more = {
        "done / used": {k: over(c, "done", "used") for k, c in there.items()},
        "ns an evaluation": {
            k: median(1e9 * a["seconds"] / a["used"] for a in c.answers)
            for k, c in there.items()
            if c.answers[0]["used"]
        },
        "us a draw": {
            k: median(1e6 * a["seconds"] / a["draws"] for a in c.answers) for k, c in there.items()
        },
        "draws / effective": {k: over(c, "draws", "ess") for k, c in there.items()},
        "compiling, s": {k: c.ready["compile"] for k, c in there.items()},
    }
    record["more"] = {
        column: {k: v for k, v in values.items() if v is not None}
        for column, values in more.items()
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
def test_slices(benchmark, apart, tmp_path, kernel, density):
    compilers = ("numba", "C") if density == "funnel" else ("C", "numba")  # the faster one first
    ours = {f"sortes, {name}": f"{TOOL[name]} {kernel} {density}" for name in compilers}
    if density != "process":
        ours["sortes, built in"] = f"sortes.built_in {kernel} {density}"
    compare(
        benchmark,
        apart,
        tmp_path,
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
def test_ensembles(benchmark, apart, tmp_path, density, ours):
    compare(
        benchmark,
        apart,
        tmp_path,
        "Slice samplers beside ensembles, 64 chains",
        {"density": density},
        {f"sortes, {name}": f"{how} {density}" for name, how in ours.items()},
        {"emcee": f"emcee stretch {density}", "zeus": f"zeus ensemble {density}"},
        {"emcee": 1 / 50, "zeus": 1 / 50},
    )


@pytest.mark.parametrize("model", ["schools", "radon", "change"])
def test_pymc_models(benchmark, apart, tmp_path, model):
    compare(
        benchmark,
        apart,
        tmp_path,
        "PyMC models, 4 chains with their warm-up",
        {"model": model},
        {"sortes": f"sortes.pymc slice {model}"},
        {"PyMC Slice": f"pymc slice {model}"},
        {"PyMC Slice": 1 / 50},
    )
