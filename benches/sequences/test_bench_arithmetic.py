"""A step of arithmetic sampling beside the draw of the same rows, and beside float64 in NumPy."""

import numpy as np
import pytest
from sortes.decode import draw
from sortes.sequences import ArithmeticCodes

from benches.decode.rows import KINDS, MIDDLE, VOCABULARIES, batches
from benches.sequences.references import arithmetic_decode
from benches.turns import turns

RULES = {"no rule": {}, "top-p 0.9": {"top_p": 0.9}, "min-p 0.1": {"min_p": 0.1}}
CELLS = [(1, V, kind) for V in VOCABULARIES for kind in KINDS] + [(64, MIDDLE, "real")]
GOAL = 1.3  # of the draw's time


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"B={cell[0]}/V={cell[1]}/{cell[2]}")
def test_step(benchmark, cell, name):
    B, V, kind = cell
    rows, rules = [batch.numpy() for batch in batches(kind, B, V, "f32")], RULES[name]
    uniforms = np.random.default_rng(0).random((len(rows), B))

    def stepping(order):
        codes = ArithmeticCodes(1, B, token_order=order, rng=0)
        return lambda turn: codes.step(rows[turn % len(rows)], num_threads=1, **rules)

    def drawing(turn):
        at = turn % len(rows)
        return draw(rows[at], uniforms[at], num_threads=1, **rules)

    # The same rule: both take the token in whose part the number lies.
    codes = ArithmeticCodes(1, B, codes=uniforms[0], rng=0)
    assert np.array_equal(codes.step(rows[0], **rules), drawing(0))
    others = {}
    if not rules:

        def by_numpy(turn):
            return arithmetic_decode(rows[turn % len(rows)], uniforms[turn % len(rows)])

        others["NumPy"] = by_numpy
        assert np.array_equal(others["NumPy"](0), drawing(0))
    turns(
        benchmark,
        "One row" if B == 1 else f"{B} rows",
        {"V": V, "row": kind, "rules": name},
        {
            "sortes": stepping("id"),
            "by probability": stepping("probability"),
            "random order": stepping("random"),
        },
        others,
        yardsticks={"decode.draw": drawing},
        floor_bytes=rows[0].nbytes,
        goal={"decode.draw": GOAL},
        seconds=0.3,
    )
