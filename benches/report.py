"""Turn records of `turns` into the pages of figures, and into a few lines for the README.

    python -m benches.report .benchmarks/*.json [--readme README.md]

writes docs/<family>/performance.md for every family that the records hold. A section is a table:
a row for each case, a column for each contender. A family's `page.py`, if it has one, can give

- a docstring: what a reader of the page must know first;
- ``PEERS``: distributions whose versions the page states;
- ``opening(records)``: lines before the tables;
- ``brief(records)``: lines for the README.
"""

import argparse
import importlib
import inspect
import json
import re
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXPLANATION = (
    "Times are medians, in milliseconds; in brackets, how many times as long as `sortes` (the"
    " first column of times) takes, as the median of the ratios within a round: contenders take"
    " turns, in an order that changes, on the same data, with one thread unless said otherwise."
    " The *floor* is the time to move the data once at the speed of a memory copy, unless the"
    " column names another; it takes its turns as well. A goal is a multiple of another's time"
    " that ours must not exceed, by the medians and by the shortest times. **Bold**: a contender"
    " that is faster than ours, or a missed goal; yardsticks, the last columns before the floor, do"
    " another thing, or less."
)
BUSY = (
    "**The machine was busy.** What takes milliseconds was interrupted in every round, and two"
    " threads had no second processor to themselves. Run it again when the machine is idle."
)


def page_of(family: str):
    """Return the module in which a family says more than its tables, or None."""
    if (Path(__file__).parent / family / "page.py").exists():
        return importlib.import_module(f"benches.{family}.page")
    return None


# Numbers and tables.


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table, numbers to the right."""
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return ["", *("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]), ""]


def ms(value: float) -> str:
    """Format a time."""
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def ratio(value: float) -> str:
    """Format a multiple; a small one, and one that has many digits, as a fraction."""
    digits = f"{value:g}"
    return digits if value > 0.1 and len(digits) <= 4 else f"1/{1 / value:.3g}"


def near(value: float) -> str:
    """Format a measured multiple, or a difference."""
    return f"1/{1 / value:.3g}" if 0 < value <= 0.1 else f"{value:.2f}"


def plain(value: object) -> str:
    """Format what names a case, or a further column."""
    match value:
        case None:
            return ""
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    return str(value)


def describe(case: dict) -> str:
    """Name a case in a sentence: a word speaks for itself, a number needs its column."""
    parts = (
        value if isinstance(value, str) else f"{key} = {plain(value)}"
        for key, value in case.items()
    )
    return ", ".join(parts)


def verdict(goal: dict) -> str:
    """Say what a goal is, and whether it is met."""
    limit = ratio(goal["limit"])
    if goal["met"] is None:
        return f"{limit} {goal['what']}: not measured"
    reached = near(goal["reached"])
    if goal["met"]:
        return f"{limit} {goal['what']}: {reached}, met"
    return f"{limit} {goal['what']}: **{reached}, missed**"


def time_of(record: dict, name: str) -> str:
    """Return the cell of a contender: its time, and the multiple of ours; a loss is bold."""
    if name not in record["ms"]:
        return "-"
    took = ms(record["ms"][name])
    if name == record["ours"][0]:
        return took
    cell = f"{took} ({record['multiples'][name]:.3g})"
    return f"**{cell}**" if is_loss(record, name) else cell


def is_loss(record: dict, name: str) -> bool:
    """Tell whether a contender is faster than ours."""
    return record["multiples"][name] < 1 and name not in record["ours"] + record["yardsticks"]


def floor_of(record: dict) -> str:
    """Return the cell of the floor."""
    if not record["floor"]:
        return "-"
    return f"{ms(record['floor_ms'])} ({record['floor_multiple']:.2g})"


# Sections.


def section(title: str, records: list[dict]) -> list[str]:
    """Return a section: its tables, and what is missing in them."""
    lines = [f"## {title}", ""]
    for _, same in groupby(records, key=lambda record: (list(record["case"]), record["floor"])):
        lines += cases(list(same))
    return lines + absences(records)


def cases(records: list[dict]) -> list[str]:
    """Return the table of records whose cases have the same columns."""
    keys = list(records[0]["case"])
    # What is the same in all rows stands above the table.
    first = records[0]["case"]
    constant = [key for key in keys if all(record["case"][key] == first[key] for record in records)]
    constant = constant if len(records) > 1 else []
    lines = [", ".join(f"{key} = {plain(first[key])}" for key in constant)]
    keys = [k for k in keys if k not in constant]
    layout = contenders_down if any(record["more"] for record in records) else contenders_across
    header, rows = layout(keys, records)
    used = [n for n in range(len(header)) if any(row[n] not in ("", "-") for row in rows)]
    return lines + table([header[n] for n in used], [[row[n] for n in used] for row in rows])


def contenders_across(keys: list[str], records: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Lay out a row for each case, and a column for each contender."""
    names = everybody(records)
    header = [*keys, *names, floor_title(records[0]), "goal"]
    rows = [
        [
            *(plain(record["case"][key]) for key in keys),
            *(time_of(record, name) for name in names),
            floor_of(record),
            goals_of(record),
        ]
        for record in records
    ]
    return header, rows


def contenders_down(keys: list[str], records: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Lay out a row for each case and contender, and columns for what else is known of them."""
    further = list(dict.fromkeys(column for record in records for column in record["more"]))
    header = [*keys, "by", "ms", *further, floor_title(records[0]), "goal"]
    rows = []
    for record in records:
        for name in record["ms"]:
            first = name == record["ours"][0]
            rows.append([
                *(plain(record["case"][key]) for key in keys),
                name,
                time_of(record, name),
                *(plain(record["more"].get(column, {}).get(name)) for column in further),
                floor_of(record) if first else "",
                goals_of(record) if first else "",
            ])  # fmt: skip
    return header, rows


def everybody(records: list[dict]) -> list[str]:
    """Return the names of all who took part in some records: ours first, yardsticks last."""
    names = dict.fromkeys(name for record in records for name in record["ms"])
    rank = {name: 1 for name in names}
    for record in records:
        rank |= dict.fromkeys(record["ours"], 0) | dict.fromkeys(record["yardsticks"], 2)
    return sorted(names, key=rank.__getitem__)


def floor_title(record: dict) -> str:
    return "floor" if record["floor"] in (None, "copy") else f"floor: {record['floor']}"


def goals_of(record: dict) -> str:
    return "; ".join(map(verdict, record["goals"]))


def absences(records: list[dict]) -> list[str]:
    """Name the contenders that did not take part, with the reason."""
    where: dict[tuple[str, str], list[str]] = {}
    for record in records:
        for missing in record["missing"].items():
            where.setdefault(missing, []).append(describe(record["case"]))
    lines = []
    for (name, why), at in where.items():
        everywhere = len(at) == len(records)
        lines.append(f"- Missing: {name}: {why}" + ("." if everywhere else f" ({'; '.join(at)})."))
    return ["", *lines, ""]


# The page.


def provenance(family: str, about: dict) -> list[str]:
    """Return with what the figures were made, where and when."""
    machine, known = about["machine_info"], about["machine_info"]["sortes"]
    cpu = machine["cpu"].get("brand_raw", machine["cpu"].get("arch", "unknown"))
    named = {"python", "sortes", "numpy", *getattr(page_of(family), "PEERS", ())}
    versions = {name: version for name, version in known["versions"].items() if name in named}
    there = [f"{name} {version}" for name, version in versions.items() if version]
    absent = [name for name, version in versions.items() if not version]
    simd = [f"{name} {level}" for name, level in known["simd"].items() if level]
    return [
        "Written by `make bench`, by `benches/report.py` over the record of one run.",
        "",
        f"- Date: {about['datetime'][:16].replace('T', ' ')} UTC; load of the machine at that"
        f" moment: {known['load']:.1f}.",
        f"- Machine: {cpu}, {known['cpus']} CPUs, {machine['system']};"
        f" GPU: {known['gpu'] or 'none'}.",
        f"- Command: `{known['command']}`.",
        f"- Instruction sets in use: {', '.join(simd)}.",
        f"- Versions: {', '.join(there)}."
        + (f" Not installed: {', '.join(absent)}." if absent else ""),
        "",
        *([BUSY, ""] if known["load"] > known["cpus"] else []),
    ]


def page(family: str, about: dict, records: list[dict]) -> list[str]:
    """Return the lines of a family's page."""
    own = page_of(family)
    lines = [f"# Performance of `sortes.{family}`", "", *provenance(family, about)]
    lines += [EXPLANATION, ""]
    if own:
        lines += [inspect.getdoc(own) or "", ""]
    lines += summary(records)
    if hasattr(own, "opening"):
        lines += own.opening(records)
    titles = dict.fromkeys(record["section"] for record in records)
    for title in titles:
        lines += section(title, [record for record in records if record["section"] == title])
    return lines + skipped(about["skipped"], family)


def summary(records: list[dict]) -> list[str]:
    """Count the goals that are met, and list what is missed or lost."""
    goals = [goal for record in records for goal in record["goals"]]
    met = sum(goal["met"] is True for goal in goals)
    lines, lost = [], []
    for record in records:
        at = f"{record['section']}: {describe(record['case'])}"
        missed = [goal for goal in record["goals"] if goal["met"] is False]
        lines += [f"- {at}: {verdict(goal)}" for goal in missed]
        faster = [name for name in record["ms"] if is_loss(record, name)]
        lost += [f"- {at}: {name}, {time_of(record, name)}" for name in faster]
    if goals:
        lines = [f"Goals met: {met} of {len(goals)}." + (" Missed:" if lines else ""), "", *lines]
    if lost:
        lines += ["", "Faster than ours:", "", *lost]
    return [*lines, ""]


def skipped(tests: list[dict], family: str) -> list[str]:
    """List what was not measured, with the reason."""
    reasons: dict[str, dict[str, None]] = {}
    for test in tests:
        if test["family"] == family:
            reasons.setdefault(test["reason"], {})[test["test"].split("[")[0]] = None
    if not reasons:
        return []
    lines = [f"- {', '.join(f'`{name}`' for name in of)}: {why}." for why, of in reasons.items()]
    return ["## Not measured", "", *lines, ""]


# Reading and writing.


def read(files: list[Path]) -> tuple[dict[str, list[dict]], dict[str, dict]]:
    """Return the records of each family, and what is known of the last run that has some."""
    found: dict[str, dict[str, dict]] = {}
    runs = {}
    for file in files:
        run = json.loads(file.read_text(encoding="utf-8"))
        for record in (entry["extra_info"] for entry in run["benchmarks"]):
            family = record["family"]
            # A later record of the same case takes the place of an earlier one.
            key = json.dumps([record["section"], record["case"], record["ours"][0]])
            found.setdefault(family, {})[key] = record
            runs[family] = {"skipped": [], **run}
    return {family: list(records.values()) for family, records in found.items()}, runs


def brief(records: dict[str, list[dict]], runs: dict[str, dict], docs: Path) -> list[str]:
    """Return the lines of the README: what each family has to say, and where the pages are."""
    lines = []
    for family in sorted(records):
        if hasattr(page_of(family), "brief"):
            lines += page_of(family).brief(records[family])
    run = runs[max(runs, key=lambda family: runs[family]["datetime"])]
    cpu = run["machine_info"]["cpu"].get("brand_raw", "unknown CPU")
    pages = sorted(path.parent.name for path in docs.glob("*/performance.md"))
    links = ", ".join(f"[{name}](docs/{name}/performance.md)" for name in pages)
    return [
        *lines,
        f"One thread, {cpu}, {run['datetime'][:10]}, `make bench`. All figures: {links}",
    ]


def joined(lines: list[str]) -> str:
    """Return the text of a page, without the blank lines that follow others."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def write(path: Path, text: str) -> None:
    """Write a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


def main(argv: list[str] | None = None) -> None:
    """Read the records and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the pages")
    parser.add_argument("--readme", type=Path, help="file with <!-- performance --> marks")
    given = parser.parse_args(argv)
    records, runs = read(given.records)
    for family, of in records.items():
        write(given.docs / family / "performance.md", joined(page(family, runs[family], of)))
    if given.readme and records:
        marked = re.compile(r"(<!-- performance -->\n).*?(<!-- /performance -->)", re.DOTALL)
        body = joined(brief(records, runs, given.docs))
        readme = given.readme.read_text(encoding="utf-8")
        write(given.readme, marked.sub(lambda found: found[1] + body + found[2], readme))


if __name__ == "__main__":
    main()
