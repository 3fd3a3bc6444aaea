"""Benchmarks: what the runner records, and what the report makes of it, whatever the family."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MACHINE = {
    "cpu": {"brand_raw": "Abacus 3000"},
    "system": "Linux",
    "sortes": {
        "command": "pytest benches --benchmark-only",
        "versions": {"python": "3.11", "sortes": "0.1", "torch": "2.4", "llama_cpp_python": None},
        "simd": {"sortes": "portable", "torch": None},
        "cpus": 2,
        "load": 0.5,
        "gpu": None,
    },
}
GREEDY = {"row": "real", "pipeline": "greedy"}


@pytest.fixture(scope="module")
def benches():
    """The modules of `benches`, which no test imports by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        patch.delenv("SORTES_BENCH_ROUNDS", raising=False)
        yield {name: importlib.import_module(f"benches.{name}") for name in ("report", "turns")}


class Benchmark:
    """The part of pytest-benchmark's fixture that the runner uses."""

    def __init__(self, family):
        self.fullname = f"benches/{family}/test_bench_idea.py::test_idea"
        self.extra_info = {}

    def pedantic(self, function, args, rounds):
        assert rounds == 1
        return function(*args)


def taking(*seconds):
    """A contender whose turns take these times by its own account, the last of them for ever."""
    return lambda n: seconds[min(n, len(seconds) - 1)]


@pytest.fixture(scope="module")
def record(benches):
    """Run the runner on contenders that say how long they take."""

    def run(family, section, case, ours, contenders, **options):
        options = {"most": 3, "least": 3, "clock": lambda turn, n: turn(n), **options}
        turns = benches["turns"].turns
        return turns(Benchmark(family), section, case, ours, contenders, **options)

    return run


@pytest.fixture
def publish(benches, tmp_path):
    """Write records as a file of pytest-benchmark; return the pages, and the README."""

    def run(*records, skipped=()):
        entries = [{"extra_info": record} for record in records]
        file = tmp_path / "all.json"
        whole = {"datetime": "2026-01-02T03:04:05", "machine_info": MACHINE, "benchmarks": entries}
        file.write_text(json.dumps({**whole, "skipped": list(skipped)}))
        readme = tmp_path / "README.md"
        readme.write_text("above\n<!-- performance -->\nold\n<!-- /performance -->\nbelow\n")
        benches["report"].main([str(file), "--docs", str(tmp_path), "--readme", str(readme)])
        pages = {path.parent.name: path.read_text() for path in tmp_path.glob("*/performance.md")}
        return pages, readme.read_text()

    return run


def test_a_record_says_all_in_milliseconds(record):
    made = record(
        "zeta",
        "Roots",
        {"n": 7},
        {"sortes": taking(0.001, 0.002, 0.004)},
        {"peer": taking(0.002, 0.002, 0.040), "absent": "it is not installed"},
        floor={"a nap": taking(0.0005)},
        goal={"peer": 0.5, "absent": 2},
    )
    assert (made["family"], made["section"], made["case"]) == ("zeta", "Roots", {"n": 7})
    assert made["ms"] == {"sortes": 2.0, "peer": 2.0}
    # The median of the ratios within a round, not the ratio of the medians.
    assert made["multiples"] == {"sortes": 1.0, "peer": 2.0}
    assert (made["floor"], made["floor_ms"], made["floor_multiple"]) == ("a nap", 0.5, 0.25)
    assert made["missing"] == {"absent": "it is not installed"}
    met = {"what": "of peer", "limit": 0.5, "reached": 0.5, "met": True}
    assert made["goals"] == [met, {"what": "of absent", "limit": 2, "reached": None, "met": None}]
    assert json.loads(json.dumps(made)) == made


def test_a_goal_has_to_be_met_by_the_shortest_times_too(record):
    ours, peer = taking(0.002), taking(0.001, 0.004, 0.004)
    made = record("zeta", "Roots", {}, {"sortes": ours}, {"peer": peer}, goal={"peer": 1.0})
    assert made["multiples"]["peer"] == 2.0
    assert made["goals"][0]["reached"] == 2.0
    assert not made["goals"][0]["met"]


def test_whoever_has_used_its_time_stops(record):
    both = {"sortes": taking(0.001)}, {"peer": taking(0.001)}
    assert record("zeta", "Roots", {}, *both, seconds=0, least=2, most=9)["rounds"] == {
        "sortes": 2,
        "peer": 2,
    }
    assert record("zeta", "Roots", {}, *both, most=9)["rounds"] == {"sortes": 9, "peer": 9}


def test_the_floor_moves_as_many_bytes(record, benches):
    made = record(
        "zeta", "Roots", {}, {"sortes": lambda _: None}, {}, floor_bytes=10**6,
        clock=benches["turns"].wall,
    )  # fmt: skip
    assert made["floor"] == "copy"
    assert 0 < made["floor_ms"] < 100


def test_a_page_for_each_family_known_or_not(record, publish):
    one = record("decode", "Draws", {"n": 7}, {"sortes": taking(0.001)}, {"peer": taking(0.003)})
    two = record("zeta", "Roots", {"n": 1000}, {"sortes": taking(0.002)}, {"peer": taking(0.001)})
    pages, readme = publish(one, two)
    assert pages.keys() == {"decode", "zeta"}
    assert pages["zeta"].startswith("# Performance of `sortes.zeta`\n")
    for known in ("2026-01-02 03:04", "Abacus 3000", "`pytest benches --benchmark-only`"):
        assert known in pages["zeta"]
    assert "| n | sortes | peer |" in pages["decode"]
    assert "| 7 | 1 | 3 (3) |" in pages["decode"]
    assert "torch 2.4" in pages["decode"]
    assert "Not installed: llama_cpp_python" in pages["decode"]
    assert "torch" not in pages["zeta"]
    assert readme.startswith("above\n<!-- performance -->\n")
    assert readme.endswith("<!-- /performance -->\nbelow\n")
    assert "old" not in readme
    assert "[decode](docs/decode/performance.md), [zeta](docs/zeta/performance.md)" in readme


def test_losses_are_bold_and_named_at_the_top(record, publish):
    made = record(
        "zeta",
        "Roots",
        {"n": 7},
        {"sortes": taking(0.002), "sortes, another way": taking(0.001)},
        {"faster": taking(0.001), "slower": taking(0.004)},
        yardsticks={"half of it": taking(0.001)},
        floor={"a nap": taking(0.0005)},
    )
    page = publish(made)[0]["zeta"]
    assert (
        "| n | sortes | sortes, another way | faster | slower | half of it | floor: a nap |" in page
    )
    assert "| 7 | 2 | 1 (0.5) | **1 (0.5)** | 4 (2) | 1 (0.5) | 0.500 (0.25) |" in page
    top = page[: page.index("## Roots")]
    assert "- Roots: n = 7: faster, **1 (0.5)**" in top
    assert "slower, " not in top


def test_missed_goals_are_bold_and_named_at_the_top(record, publish):
    made = record(
        "zeta",
        "Roots",
        {"kind": "square"},
        {"sortes": taking(0.002)},
        {"slow": taking(0.2), "quick": taking(0.004)},
        goal={"slow": 1 / 50, "quick": 0.2},
    )
    page = publish(made)[0]["zeta"]
    assert "| square | 2 | 200 (100) | 4 (2) | 1/50 of slow: 1/100, met;" in page
    assert page.count("0.2 of quick: **0.50, missed**") == 2
    assert "Goals met: 1 of 2. Missed:\n\n- Roots: square: 0.2 of quick" in page


def test_who_is_missing_is_named_with_the_reason(record, publish):
    def made(n, rare):
        others = {"absent": "it is not installed", "rare": rare}
        return record("zeta", "Roots", {"n": n}, {"sortes": taking(0.001)}, others)

    skipped = [
        {"family": "zeta", "test": "test_gpu[1]", "reason": "there is no GPU"},
        {"family": "zeta", "test": "test_gpu[2]", "reason": "there is no GPU"},
        {"family": "other", "test": "test_idea", "reason": "it is Monday"},
    ]
    page = publish(made(1, taking(0.002)), made(2, "it is too large"), skipped=skipped)[0]["zeta"]
    assert "- Missing: absent: it is not installed.\n" in page
    assert "- Missing: rare: it is too large (n = 2).\n" in page
    assert "| 1 | 1 | 2 (2) |" in page
    assert "| 2 | 1 | - |" in page
    assert page.endswith("## Not measured\n\n- `test_gpu`: there is no GPU.\n")
    assert "Monday" not in page


def test_more_columns_put_contenders_below_each_other(record, publish):
    made = record("zeta", "Roots", {"n": 7}, {"sortes": taking(0.002)}, {"peer": taking(0.001)})
    made["more"] = {"cost": {"sortes": 0.5, "peer": 1.0}, "trials": {"sortes": 3}}
    page = publish(made)[0]["zeta"]
    assert "| n | by | ms | cost | trials |" in page
    assert "| 7 | sortes | 2 | 0.5 | 3 |" in page
    assert "| 7 | peer | **1 (0.5)** | 1 |  |" in page


def test_a_later_record_takes_the_place_of_an_earlier(record, publish):
    first = record("zeta", "Roots", {"n": 7}, {"sortes": taking(0.001)}, {})
    second = record("zeta", "Roots", {"n": 7}, {"sortes": taking(0.005)}, {})
    page = publish(first, second)[0]["zeta"]
    assert "| 7 | 5 |" in page
    assert "| 7 | 1 |" not in page


def test_what_decode_and_select_say_beside_their_tables(record, publish):
    rows = [
        record(
            "decode",
            f"One row of 128,256 logits, {dtype}",
            GREEDY,
            {"sortes": taking(0.001 * slow)},
            {"transformers": taking(0.1)},
            yardsticks={"amax": taking(0.001)},
            goal={"amax": 1.2},
        )
        for dtype, slow in (("f32", 1), ("bf16", 3))
    ]
    case = {"n": 494_021, "d": 36, "trials": "one", "k": 1000}
    seeding = record(
        "select", "k-means++", case, {"sortes": taking(0.06)}, {"scikit-learn": taking(15)}
    )
    seeding["more"] = {"cost": {"sortes": 0.999, "scikit-learn": 1.0}}
    pages, readme = publish(*rows, seeding)
    worst = "| greedy | 128,256 | 1.2 of amax | 3.00 | bf16, real | **missed** |"
    assert worst in pages["decode"]
    assert "| greedy | 1 | 100 (100) | 1 (1) |" in readme
    assert "494,021 x 36 points, k = 1,000: 60 ms, at 0.999 of scikit-learn's cost" in readme


def test_nothing_outside_its_folder_names_a_family():
    folders = [path.name for path in (ROOT / "benches").iterdir() if list(path.glob("test_*.py"))]
    assert {"decode", "select"} <= set(folders)
    for name in ("conftest", "data", "report", "turns"):
        text = (ROOT / "benches" / f"{name}.py").read_text(encoding="utf-8")
        assert [family for family in folders if re.search(rf"\b{family}\b", text)] == [], name
