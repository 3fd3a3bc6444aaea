"""The page of figures of `sortes.select`: seeding, weighted draws, sketches, designs."""

from tables import ms, provenance, table, verdict

LOSS = 0.02  # costs within two per cent count as equal
GOALS = {50: 10, 200: 30, 1000: 60}  # times as fast as scikit-learn, on KDD'99
SLOWER = 1.2  # than our own plain method, at the most
NAMES = {
    "digits": "digits",
    "pixels": "pixels of a picture",
    "skin": "skin",
    "kdd99": "KDD'99, standardised",
}


def page(m) -> list[str]:
    """Return the lines of the page."""
    lines = ["# Performance of selection", "", *provenance(m.date, m.machine)]
    lines += ["Contenders work on the same data in the same run, with one thread unless said"
              " otherwise; a floor is the time to read the data once at the speed of a copy.",
              ""]  # fmt: skip
    sections = {"kmeans": seeding, "weighted": weighted, "sketch": sketches, "design": designs}
    for part, section in sections.items():
        if m.select[part]:
            lines += section(m.select[part])
    return lines


def brief(m) -> list[str]:
    """Return a line for the README: the largest seeding."""
    largest = [e for e in m.select["kmeans"] if e["kmeans"]["data"] == "kdd99"][-1:]
    if not largest:
        return []
    about, rows = largest[0]["kmeans"], largest[0]["rows"]
    ours, theirs = rows["lazy"]["seconds"], rows["scikit-learn"]["seconds"]
    return [
        f"k-means++ seeding of {about['n']:,} x {about['d']} points, k = {about['k']:,}, one"
        f" thread, at equal cost: {1e3 * ours:.0f} ms; scikit-learn {theirs:.1f} s"
        f" ({theirs / ours:.0f}).",
        "",
    ]


def seeding(entries: list[dict]) -> list[str]:
    seeds = entries[0]["kmeans"]["seeds"]
    lines = [
        "## k-means++ seeding",
        "",
        f"Medians over {seeds} seeds, or as many as are given in brackets. *Cost* is that of the"
        " seeding relative to scikit-learn's with one local trial (means), *after Lloyd* the same"
        " after ten steps of Lloyd's algorithm (medians; of five seeds for the largest)."
        " *Evaluations* are distances per point, of which the textbook takes k, *trials* proposals"
        " per centre.",
    ]
    for name, title in NAMES.items():
        mine = [e for e in entries if e["kmeans"]["data"] == name]
        if not mine:
            continue
        about = mine[0]["kmeans"]
        lines += [
            "",
            f"### {title}",
            "",
            f"{about['n']:,} x {about['d']}, {about['dtype']};"
            f" floor {1e3 * mine[0]['floor']:.2f} ms.",
        ]
        rows = []
        for entry in mine:
            k, results = entry["kmeans"]["k"], entry["rows"]
            base = results["scikit-learn"]
            for contender, r in results.items():
                few = "" if r["seeds"] == seeds else f" ({r['seeds']})"
                rows.append([
                    f"k = {k}: {contender}{few}", ms(1e3 * r["seconds"]),
                    f"{base['seconds'] / r['seconds']:.3g}",
                    f"{r['mean_cost'] / base['mean_cost']:.3f}",
                    f"{r['inertia'] / base['inertia']:.3f}",
                    f"{r['evaluations']:.2f}" if "evaluations" in r else "",
                    f"{r['trials']:.1f}" if "trials" in r else "",
                    reached(name, k, contender, results),
                ])  # fmt: skip
        header = ["", "ms", "times as fast as scikit-learn", "cost", "after Lloyd", "evaluations",
                  "trials", ""]  # fmt: skip
        lines += table(header, rows)
    return lines


def reached(name: str, k: int, contender: str, results: dict) -> str:
    """Return whether the lazy method reaches what it is to reach."""
    if contender != "lazy":
        return ""
    lazy, base = results["lazy"], results["scikit-learn"]
    words = []
    if name == "kdd99" and k in GOALS:
        met = base["seconds"] / lazy["seconds"] >= GOALS[k]
        met &= lazy["mean_cost"] <= (1 + LOSS) * base["mean_cost"]
        words.append(f"goal {GOALS[k]} times at equal cost: {verdict(met)}")
    if lazy["seconds"] > SLOWER * results["exact"]["seconds"]:
        words.append(f"**{lazy['seconds'] / results['exact']['seconds']:.2f} times our own exact**")
    return "; ".join(words)


def alternating(title: str, part: str, label, entries: list[dict]) -> list[str]:
    """Return a table of contenders that took turns, a row for each case."""
    lines = [title, ""]
    lines += ["Milliseconds, medians; in brackets, how many times as long as ours."]
    for entry in entries:
        about, here = entry[part], entry[part]["ms"]
        ours, *others = here
        cells = [f"{ours} {ms(here[ours]['median'])}"]
        for other in others:
            times = about["multiples"][other]
            cells.append(f"{other} {ms(here[other]['median'])} ({times:.3g})")
        floor = f"floor {ms(about['floor'])}"
        lines += ["", f"- {label(about)}: {'; '.join([*cells, floor])}"]
    return [*lines, ""]


def weighted(entries: list[dict]) -> list[str]:
    return alternating("## Weighted draws", "weighted", lambda about: about["case"], entries)


def designs(entries: list[dict]) -> list[str]:
    name = lambda about: f"{about['what']}, n = {about['n']:,}"  # noqa: E731
    return alternating("## Designs", "design", name, entries)


def sketches(entries: list[dict]) -> list[str]:
    lines = ["## Sketches", "", "Million items per second, at best, the first item included."]
    for entry in entries:
        about = entry["sketch"]
        speeds = about["million_items_per_second"].items()
        cells = "; ".join(f"{name} {speed:.3g}" for name, speed in speeds)
        lines += ["", f"- {about['n']:,} items, k = {about['k']:,}: {cells}; floor"
                  f" {about['n'] / about['floor_ms'] / 1e3:.3g}"]  # fmt: skip
    return [*lines, ""]
