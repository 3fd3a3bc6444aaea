"""What the pages of figures have in common."""


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a table, numbers to the right."""
    rule = ["---"] + ["--:"] * (len(header) - 1)
    return ["", *("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows]), ""]


def ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def provenance(date: str, machine: dict) -> list[str]:
    """Return where, when and with what."""
    about = machine["sortes"]
    cpu = machine["cpu"].get("brand_raw", machine["cpu"].get("arch", "unknown"))
    versions = [f"{name} {version}" for name, version in about["versions"].items() if version]
    absent = [name for name, version in about["versions"].items() if not version]
    return [
        "Written by `make bench`: `benches/report.py` over the record of one run.",
        "",
        f"- Date: {date} UTC; load of the machine at that moment: {about['load']:.1f}.",
        f"- Machine: {cpu}, {about['cpus']} CPUs, {machine['system']};"
        f" GPU: {about['gpu'] or 'none'}.",
        f"- Instruction sets in use: sortes {about['simd']['sortes']},"
        f" torch {about['simd']['torch']}.",
        f"- Versions: {', '.join(versions)}."
        + (f" Not installed: {', '.join(absent)}." if absent else ""),
        "",
    ]
