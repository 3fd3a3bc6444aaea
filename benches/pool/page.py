"""Rows of pass@k are problems. The copied product is what human-eval's `estimate_pass_at_k` does,
in other words; the floor moves the counts that are read and the values that are written.
"""

PEERS = ("scipy",)


def brief(records):
    """Return a line on a million rows."""
    mine = [r for r in records if r["case"].get("rows") == 10**6 and r["case"].get("n") == "200"]
    if not mine:
        return []
    record = mine[0]
    return [
        f"pass@{record['case']['k']} of 1,000,000 problems: {record['ms']['sortes']:.3g} ms;"
        f" the product that is often copied {record['ms']['copied product']:.3g} ms"
        f" ({record['multiples']['copied product']:.0f}).",
        "",
    ]
