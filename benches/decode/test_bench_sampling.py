"""The fused draw beside Torch's yardsticks, transformers with Torch's draw, vLLM and llama.cpp."""

import pytest

from benches.decode import contenders
from benches.decode.contenders import RULES
from benches.decode.rows import (
    DTYPES,
    GOAL_VOCABULARIES,
    KINDS,
    MIDDLE,
    VOCABULARIES,
    batches,
)
from benches.turns import turns

ONE_ROW = [(1, V, dtype, kind) for V in VOCABULARIES for kind in KINDS for dtype in DTYPES]
# What a call costs beside its work.
ONE_ROW += [(1, 1_000, "f32", "flat")]
# Memory is what differs in a batch: all sizes, kinds and dtypes, but not all their combinations.
BATCHED = [(64, V, "f32", "real") for V in VOCABULARIES]
BATCHED += [(256, 32_768, "f32", "real")]
BATCHED += [(64, MIDDLE, "f32", "flat"), (64, MIDDLE, "f16", "real"), (64, MIDDLE, "bf16", "real")]
TWO_THREADS = 1 / 1.85  # of the time of one


def name_of(cell):
    B, V, dtype, kind = cell
    return f"B={B}/V={V}/{dtype}/{kind}"


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cell", ONE_ROW, ids=name_of)
def test_one_row(benchmark, cell, name):
    B, V, dtype, kind = cell
    rule, rows = RULES[name], batches(kind, B, V, dtype)
    others = {}
    goal = rule.goal_at(V)
    if dtype == "f32":
        others["transformers"] = contenders.hugging_face(rule, rows)
        others["vLLM"] = contenders.vllm(rule, rows)
        others["llama.cpp"] = contenders.llama_cpp(rule, rows)
        if rule.faster and V in GOAL_VOCABULARIES:
            goal["transformers"] = 1 / rule.faster
    ours = {"sortes": contenders.ours(rule, rows)}
    contenders.check(rule, rows, ours | others)
    turns(
        benchmark,
        f"One row of {V:,} logits, {dtype}",
        {"row": kind, "pipeline": name},
        ours,
        others,
        yardsticks=contenders.yardstick(rule, rows),
        floor_bytes=rows[0].nbytes,
        goal=goal,
        seconds=0.25,
        touch=contenders.read(rows),
    )


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cell", BATCHED, ids=name_of)
def test_many_rows(benchmark, cell, name):
    B, V, dtype, kind = cell
    rule, rows = RULES[name], batches(kind, B, V, dtype)
    others = {}
    if V == MIDDLE and dtype == "f32":
        others["transformers"] = contenders.hugging_face(rule, rows)
        others["vLLM"] = contenders.vllm(rule, rows)
        others["llama.cpp"] = contenders.llama_cpp(rule, rows)
    ours = {"sortes": contenders.ours(rule, rows)}
    contenders.check(rule, rows, ours)
    turns(
        benchmark,
        f"{B} rows",
        {"V": V, "dtype": dtype, "row": kind, "pipeline": name},
        ours,
        others,
        yardsticks=contenders.yardstick(rule, rows),
        floor_bytes=rows[0].nbytes,
        seconds=0.4,
        least=3,
    )


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cell", BATCHED, ids=name_of)
def test_two_threads(benchmark, cell, name):
    B, V, dtype, kind = cell
    rule, rows = RULES[name], batches(kind, B, V, dtype)
    turns(
        benchmark,
        f"{B} rows, two threads",
        {"V": V, "dtype": dtype, "row": kind, "pipeline": name},
        {
            "sortes, two threads": contenders.ours(rule, rows, threads=2),
            "one thread": contenders.ours(rule, rows),
        },
        {},
        floor_bytes=rows[0].nbytes,
        goal={"one thread": TWO_THREADS},
        seconds=0.4,
    )
