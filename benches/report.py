"""Turn benchmark files into the pages of figures, and into a few lines for the README.

    python benches/report.py .benchmarks/*.json [--readme README.md]

writes docs/performance.md if the files hold figures of decoding, and docs/performance-select.md
(see `report_select.py`) if they hold figures of selection.

Figures of decoding come from the tests in which contenders take turns. A goal is judged by the
worst kind of row and dtype, and has to be met by the medians and by the minima. Peers that take
milliseconds are interrupted more often on a busy machine than we are, so that only minima are fair
to them.
"""

import argparse
import json
import re
from pathlib import Path

import report_select
from contenders import RULES
from data import DTYPES, KINDS, VOCABULARIES
from tables import ms, provenance, table, verdict

ROOT = Path(__file__).parent.parent
GOAL_VOCABULARIES = VOCABULARIES[1:]
LABELS = {
    "greedy": "greedy",
    "min_p": "min-p 0.1",
    "top_k": "top-k 50",
    "epsilon": "epsilon 3e-4",
    "eta": "eta 3e-4",
    "common": "temperature 0.7, top-k 50, top-p 0.95",
    "top_p": "top-p 0.9",
    "typical": "typical 0.9",
}
SPEEDUP_OF_TWO_THREADS = 1.8
OVER_GREEDY = 0.03


class Measured:
    """What a benchmark file holds, by what was measured."""

    def __init__(self, files: list[dict]) -> None:
        self.date = files[-1]["datetime"][:16].replace("T", " ")
        self.machine = files[-1]["machine_info"]
        self.ours, self.peers, self.generate, self.gpu = {}, {}, [], {}
        self.select = {"kmeans": [], "weighted": [], "sketch": [], "design": []}
        for entry in (entry for file in files for entry in file["benchmarks"]):
            extra = entry["extra_info"]
            for part, entries in self.select.items():
                if part in extra:
                    entries.append(extra)
            if "cell" in extra:
                cell = tuple(extra["cell"][key] for key in ("B", "V", "dtype", "kind"))
                (self.ours if "softmax" in extra["ms"] else self.peers)[cell] = extra
            elif "generate" in extra:
                self.generate.append(extra)
            elif "gpu" in extra:
                self.gpu[extra["gpu"]["B"], extra["gpu"]["kind"]] = extra

    def multiple(self, cell: tuple, name: str) -> float:
        """Return a rule's time as a multiple of its yardstick's."""
        return self.ours[cell]["multiples"][RULES[name].yardstick][name]

    def least_multiple(self, cell: tuple, name: str) -> float:
        """Return the same of the shortest times of both."""
        ms = self.ours[cell]["ms"]
        return ms[name]["min"] / ms[RULES[name].yardstick]["min"]

    def times(self, cell: tuple, peer: str, name: str) -> float | None:
        """Return how many times as long a peer takes at its best as we do at ours."""
        other = self.peers.get(cell, {"ms": {}})["ms"].get(f"{peer} {name}")
        return other and other["min"] / self.ours[cell]["ms"][name]["min"]


def worst(values: dict, limit_is_upper: bool = True) -> tuple:
    return (max if limit_is_upper else min)(values, key=values.get)


def introduction(m: Measured) -> list[str]:
    about = m.machine["sortes"]
    lines = [
        "# Performance of decoding",
        "",
        *provenance(m.date, m.machine),
        "Contenders take turns, in an order that changes, on the same rows, with one thread unless"
        " said otherwise. Every time includes the draw. Multiples of the yardsticks are medians of"
        " the ratios within a round; comparisons with peers, and of threads, are between minima,"
        " because whoever takes longer is interrupted more often by other work of the machine.",
        "",
        "Rows: *flat*, Gaussian with standard deviation 2; *peaked*, standard deviation 5; *real*,"
        " recorded logits of SmolLM2-135M, stretched to the size of the vocabulary along the"
        " logarithm of the rank. The *floor* is the time to read the row once at the speed of a"
        " copy.",
        "",
    ]
    if about["load"] > about["cpus"]:
        lines += [
            "**The machine was busy.** Ratios between short times stand; what takes milliseconds"
            " was interrupted in every round, so that the lead over peers is overstated, and two"
            " threads had no second processor to themselves. Run it again when it is idle.",
            "",
        ]
    return lines


def goals(m: Measured) -> list[str]:
    rows = []
    for name, rule in RULES.items():
        for V in GOAL_VOCABULARIES:
            cells = [c for c in m.ours if c[0] == 1 and c[1] == V]
            if not cells:
                continue
            multiple = {c: m.multiple(c, name) for c in cells}
            at = worst(multiple)
            least = max(m.least_multiple(c, name) for c in cells)
            rows.append([
                LABELS[name], f"{V:,}", f"{rule.goal} x {rule.yardstick}", f"{multiple[at]:.2f}",
                f"{at[2]}, {at[3]}", f"{least:.2f}", verdict(max(multiple[at], least) <= rule.goal),
            ])  # fmt: skip
    lines = ["## Goals", "", "One row, as a multiple of what Torch needs for the same row alone."]
    header = ["pipeline", "V", "goal", "worst", "where", "worst of minima", ""]
    lines += table(header, rows)
    rows = []
    for name, rule in RULES.items():
        ratios = {
            c: m.times(c, "transformers", name)
            for c in m.peers
            if c[0] == 1 and c[1] in GOAL_VOCABULARIES
        }
        if not rule.faster or not ratios:
            continue
        at = worst(ratios, limit_is_upper=False)
        rows.append([
            LABELS[name], f"{rule.faster:.0f}", f"{ratios[at]:.0f}", f"{at[1]:,}, {at[3]}",
            verdict(ratios[at] >= rule.faster),
        ])  # fmt: skip
    lines += ["Times as fast as transformers' warper, softmax and `torch.multinomial`:"]
    return lines + table(["pipeline", "goal", "least", "where", ""], rows)


def one_row(m: Measured) -> list[str]:
    lines = ["## One row, float32", ""]
    lines += ["Medians; peers: minima, and in brackets how many times as long as ours."]
    for V in VOCABULARIES:
        for kind in KINDS:
            cell = (1, V, "f32", kind)
            if cell not in m.ours:
                continue
            here = m.ours[cell]["ms"]
            lines += ["", f"V = {V:,}, {kind}: floor {ms(m.ours[cell]['floor'])} ms,"
                      f" softmax {ms(here['softmax']['median'])} ms,"
                      f" amax {ms(here['amax']['median'])} ms."]  # fmt: skip
            rows = []
            for name, rule in RULES.items():
                row = [LABELS[name], ms(here[name]["median"]), ms(here[name]["min"])]
                row += [f"{m.multiple(cell, name):.2f} {rule.yardstick}"]
                row += [against(m, cell, peer, name) for peer in ("transformers", "llama.cpp")]
                rows.append(row)
            header = ["pipeline", "sortes, ms", "minimum", "multiple", "transformers, ms",
                      "llama.cpp, ms"]  # fmt: skip
            lines += table(header, rows)
    return lines


def against(m: Measured, cell: tuple, peer: str, name: str) -> str:
    times = m.times(cell, peer, name)
    if times is None:
        return "-"
    return f"{ms(m.peers[cell]['ms'][f'{peer} {name}']['min'])} ({times:.3g})"


def dtypes(m: Measured) -> list[str]:
    lines = ["## One row, other dtypes", "", "Multiples of the yardstick on the same row."]
    for V in VOCABULARIES:
        cells = [
            (1, V, d, k) for d in DTYPES if d != "f32" for k in KINDS if (1, V, d, k) in m.ours
        ]
        if cells:
            rows = [[LABELS[n], *(f"{m.multiple(c, n):.2f}" for c in cells)] for n in RULES]
            lines += [f"\nV = {V:,}."]
            lines += table(["pipeline", *(f"{c[2]} {c[3]}" for c in cells)], rows)
    return lines


def many_rows(m: Measured) -> list[str]:
    lines = ["## 64 rows", ""]
    lines += [f"Minima. Two threads are to be {SPEEDUP_OF_TWO_THREADS} times as fast as one."]
    for cell in [c for c in m.ours if c[0] > 1]:
        _, V, dtype, kind = cell
        here = m.ours[cell]["ms"]
        rows = []
        for name in RULES:
            gain = here[name]["min"] / here[f"{name}, 2 threads"]["min"]
            rows.append([
                LABELS[name], ms(here[name]["min"]), f"{m.least_multiple(cell, name):.2f}",
                ms(here[f"{name}, 2 threads"]["min"]), f"{gain:.2f}",
                verdict(gain >= SPEEDUP_OF_TWO_THREADS), against(m, cell, "transformers", name),
            ])  # fmt: skip
        lines += ["", f"V = {V:,}, {dtype}, {kind}: floor {ms(m.ours[cell]['floor'])} ms,"
                  f" softmax {ms(here['softmax']['min'])} ms,"
                  f" amax {ms(here['amax']['min'])} ms."]  # fmt: skip
        header = ["pipeline", "one thread, ms", "multiple", "two threads, ms", "gain", "",
                  "transformers, ms"]  # fmt: skip
        lines += table(header, rows)
    return lines


def generation(m: Measured) -> list[str]:
    lines = ["## Text generation", ""]
    if not m.generate:
        return [*lines, "Not measured: the model was not there.", ""]
    lines += [
        "SmolLM2-135M-Instruct under `generate`, two threads. *Our processor* hands"
        " `SortesLogitsWarper` to `logits_processor=` and leaves the draw to Torch; *our draw* is"
        " `custom_generate=sample`. *Step* is the first decile of the steps: those that other work"
        " of the machine left alone. *Outside* is what the median step spends outside the model."
        f" The goal: with our draw, a step at most {OVER_GREEDY:.0%} longer than in greedy"
        " decoding."
    ]
    for extra in sorted(m.generate, key=lambda e: e["generate"]["batch"]):
        about = extra["generate"]
        rows = []
        for run in extra["runs"]:
            goal = verdict(run["over_greedy"] <= OVER_GREEDY) if run["way"] == "our draw" else ""
            rows.append([
                run["pipeline"], run["way"], f"{run['tokens_per_second']:.1f}",
                f"{run['step_ms']:.1f}", f"{run['outside_ms']:.2f}", f"{run['share_outside']:.1%}",
                f"{run['over_greedy']:+.1%}", goal,
            ])  # fmt: skip
        lines += ["", f"Batch {about['batch']}: {about['steps']} tokens per text, medians of"
                  f" {about['rounds']} runs."]  # fmt: skip
        header = ["pipeline", "by", "tokens/s", "step, ms", "outside, ms", "outside", "over greedy",
                  ""]  # fmt: skip
        lines += table(header, rows)
    return lines


def gpu(m: Measured) -> list[str]:
    lines = ["## GPU", ""]
    if not m.gpu:
        return [*lines, "Not measured: there was no GPU.", ""]
    for (B, kind), extra in sorted(m.gpu.items()):
        here = extra["ms"]
        rows = []
        for name in RULES:
            ours, theirs = here[name]["median"], here[f"transformers {name}"]["median"]
            row = [LABELS[name], ms(ours), f"{ours / extra['floor']:.1f}"]
            rows.append([*row, f"{ms(theirs)} ({theirs / ours:.3g})"])
        lines += [f"B = {B}, V = {extra['gpu']['V']:,}, {kind}: floor {ms(extra['floor'])} ms."]
        lines += table(["pipeline", "sortes, ms", "floors", "transformers, ms"], rows)
    return lines


def brief(m: Measured) -> list[str]:
    """Return the table of the README: one real row at the middle vocabulary."""
    cell = (1, VOCABULARIES[1], "f32", "real")
    rows = []
    for name in RULES:
        row = [LABELS[name], ms(m.ours[cell]["ms"][name]["median"])]
        row += [f"{m.multiple(cell, name):.2f} {RULES[name].yardstick}"]
        rows.append([*row, *(against(m, cell, p, name) for p in ("transformers", "llama.cpp"))])
    header = ["pipeline", "sortes, ms", "as a multiple", "transformers, ms", "llama.cpp, ms"]
    return [
        f"One row of {cell[1]:,} real logits, truncation and draw, one thread"
        f" ({m.machine['cpu'].get('brand_raw', 'unknown CPU')}, {m.date[:10]}, `make bench`);"
        " in brackets, how many times as long as ours:",
        *table(header, rows),
        *report_select.brief(m),
        "All figures: [decoding](docs/performance.md), [selection](docs/performance-select.md)",
    ]


def write(page: Path, lines: list[str]) -> None:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
    page.write_text(text, encoding="utf-8")
    print(f"wrote {page}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path, nargs="+")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the pages")
    parser.add_argument("--readme", type=Path, help="file with <!-- performance --> marks")
    given = parser.parse_args()
    m = Measured([json.loads(file.read_text(encoding="utf-8")) for file in given.records])
    if any(m.select.values()):
        write(given.docs / "performance-select.md", report_select.page(m))
    if not m.ours:
        return
    sections = (introduction, goals, one_row, dtypes, many_rows, generation, gpu)
    write(given.docs / "performance.md", [line for section in sections for line in section(m)])
    if given.readme:
        marked = re.compile(r"(<!-- performance -->\n).*?(<!-- /performance -->)", re.DOTALL)
        body = "\n".join(brief(m)) + "\n"
        readme = given.readme.read_text(encoding="utf-8")
        given.readme.write_text(marked.sub(lambda k: k[1] + body + k[2], readme), encoding="utf-8")
        print(f"wrote {given.readme}")


if __name__ == "__main__":
    main()
