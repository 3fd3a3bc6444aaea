"""Every time of a draw includes truncation. Rows are *flat*, Gaussian with standard deviation 2;
*peaked*, standard deviation 5; or *real*, recorded logits of SmolLM2-135M, stretched to the size of
the vocabulary along the logarithm of the rank. The yardsticks `amax` and `softmax` are what Torch
needs for these alone, on the same row.
"""

import re

from benches.report import near, ratio, section, table

PEERS = ("torch", "transformers", "vllm", "llama_cpp_python", "scipy")
ONE_ROW = re.compile(r"One row of ([\d,]+) logits, (\w+)")
README = "One row of 128,256 logits, f32"


def opening(records):
    """Return the goals of one row, each with the worst kind of row and dtype."""
    worst = {}
    for record in records:
        title = ONE_ROW.fullmatch(record["section"])
        if not title:
            continue
        for goal in record["goals"]:
            key = (record["case"]["pipeline"], title[1], goal["what"], goal["limit"])
            if goal["reached"] and goal["reached"] > worst.get(key, (0, ""))[0]:
                worst[key] = goal["reached"], f"{title[2]}, {record['case']['row']}"
    if not worst:
        return []
    rows = [
        [pipeline, V, f"{ratio(limit)} {what}", near(reached), where,
         "met" if reached <= limit else "**missed**"]
        for (pipeline, V, what, limit), (reached, where) in worst.items()
    ]  # fmt: skip
    header = ["pipeline", "V", "goal", "worst", "where", ""]
    return ["## Goals of one row", "", "Over all kinds of rows and dtypes.", *table(header, rows)]


def brief(records):
    """Return the table of real rows at the middle vocabulary."""
    mine = [
        {**record, "goals": []}
        for record in records
        if record["section"] == README and record["case"]["row"] == "real"
    ]
    if not mine:
        return []
    words = "truncation and draw, in milliseconds; in brackets, how many times as long as ours:"
    return [f"{README}, real: {words}", *section("", mine)[3:]]
