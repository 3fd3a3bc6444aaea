"""Ratios: all contenders of a cell take turns, and their times go into the report."""

import contenders
import measure
import pytest
from contenders import RULES, YARDSTICKS
from data import BATCHES, DTYPES, KINDS, VOCABULARIES, batches

MIDDLE = VOCABULARIES[1]
ONE_ROW = [(1, V, dtype, kind) for V in VOCABULARIES for dtype in DTYPES for kind in KINDS]
# Memory is what differs in a batch: all sizes, kinds and dtypes, but not all their combinations.
BATCHED = [(64, V, "f32", "real") for V in VOCABULARIES]
BATCHED += [(64, MIDDLE, "f32", "flat"), (64, MIDDLE, "f16", "real"), (64, MIDDLE, "bf16", "real")]


def name_of(cell):
    B, V, dtype, kind = cell
    return f"B={B}/V={V}/{dtype}/{kind}"


@pytest.mark.benchmark(group="alternating: one round of ours and the yardsticks")
@pytest.mark.parametrize("cell", ONE_ROW + BATCHED, ids=name_of)
def test_ours(benchmark, cell):
    B, V, dtype, kind = cell
    rows = batches(kind, B, V, dtype)
    turns = {name: contenders.yardstick(name, rows) for name in YARDSTICKS}
    for name, rule in RULES.items():
        turns[name] = contenders.ours(rule, rows)
        contenders.check(rule, rows, {name: turns[name]})
        if B > 1:
            turns[f"{name}, 2 threads"] = contenders.ours(rule, rows, threads=2)
    run(benchmark, cell, rows, turns, budget=0.8 if B == 1 else 3, least=4, most=400)


@pytest.mark.benchmark(group="alternating: one round of the peers")
@pytest.mark.parametrize("cell", [c for c in ONE_ROW + BATCHED[1:2] if c[2] == "f32"], ids=name_of)
def test_peers(benchmark, cell):
    B, V, dtype, kind = cell
    rows = batches(kind, B, V, dtype)
    makers = {"transformers": contenders.hugging_face}
    if contenders.has_llama_cpp() and B == 1:
        makers["llama.cpp"] = contenders.llama_cpp
    turns = {}
    for name, rule in RULES.items():
        made = {peer: make(rule, rows) for peer, make in makers.items()}
        made = {f"{peer} {name}": turn for peer, turn in made.items() if turn}
        contenders.check(rule, rows, made)
        turns |= made
    run(benchmark, cell, rows, turns, budget=1.5, least=5 if B == 1 else 2, most=100)


def run(benchmark, cell, rows, turns, budget, least, most):
    rounds = measure.rounds_within(turns, budget, least, most)
    floor = measure.floor(rows)
    seconds = benchmark.pedantic(measure.alternate, (turns, rounds), rounds=1)
    B, V, dtype, kind = cell
    benchmark.extra_info.update(
        cell={"B": B, "V": V, "dtype": dtype, "kind": kind, "batches": BATCHES[B]},
        rounds=rounds,
        floor=1e3 * floor,
        ms=measure.summary(seconds),
        multiples={y: measure.multiples(seconds, y) for y in YARDSTICKS if y in turns},
    )
