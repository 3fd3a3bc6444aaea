"""The search for distinct sequences beside the draws of its rows, and both beside NumPy."""

import numpy as np
import pytest
from sortes import _core
from sortes.decode import draw, row_stats
from sortes.sequences import gumbel_topk, priority_sample, stochastic_beam_search

from benches.sequences import references
from benches.turns import judge, turns

V = 128_256
RULES = {"no rule": {}, "top-k 50": {"top_k": 50}}
GOAL = 2.0  # of a read of the row, with its exponentials or with noise
BEYOND = 5.0  # microseconds of a node, beyond the draw of a token from its row


def rows(n, width=V):
    """Rows as a model gives them: few tokens hold most of the mass."""
    x = np.random.default_rng(0).gumbel(0, 2.5, (n, width)).astype(np.float32)
    return np.ascontiguousarray(x)


@pytest.mark.parametrize("priority", ["gumbel", "token"])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("samples", [16, 256])
def test_expand(benchmark, priority, name, samples):
    logits, batch = rows(16), 16
    values = {rule: float(value) for rule, value in RULES[name].items()}
    native = _core.decode.sampling.Rules(values, list(values))
    uniforms = np.random.default_rng(1).random(batch)
    trees = {}

    def expand(turn):
        """Expand 16 nodes of a search that never ends."""
        tree = trees.get("tree")
        if tree is None or tree.is_finished:
            stream = _core.Stream(turn)
            tree = trees["tree"] = _core.sequences.tree.SequenceTree(
                priority, samples, 1_000_000, [], stream
            )
        nodes = tree.next_batch(batch)
        tree.expand(nodes, (logits[: len(nodes)], False, native, None, None, None), (1, None))

    for turn in range(8):
        expand(turn)  # until a batch is full
    record = turns(
        benchmark,
        "16 nodes of a search",
        {"V": V, "priority": priority, "rules": name, "sequences": samples},
        {"sortes": expand},
        {},
        yardsticks={
            "row_stats": lambda turn: row_stats(logits, num_threads=1),
            "decode.draw": lambda turn: draw(logits, uniforms, num_threads=1, **RULES[name]),
        },
        floor_bytes=logits.nbytes,
        goal={"row_stats": GOAL},
        seconds=0.3,
    )
    beyond = (times["sortes"] - times["decode.draw"] for times in (record["ms"], record["best_ms"]))
    judge(record, "us a node beyond decode.draw", BEYOND, max(beyond) * 1e3 / batch)


@pytest.mark.parametrize("k", [1, 64, 1024])
def test_gumbel_topk(benchmark, k):
    logits = rows(1)[0]
    generator = np.random.default_rng(0)

    def maximum_and_noise(turn):
        return logits.max(), generator.standard_exponential(V)

    assert len(references.gumbel_topk(logits, k, generator)) == k
    turns(
        benchmark,
        "Gumbel top-k",
        {"V": V, "k": k},
        {"sortes": lambda turn: gumbel_topk(logits, k, rng=turn, num_threads=1)},
        {"NumPy": lambda turn: references.gumbel_topk(logits, k, generator)},
        yardsticks={"maximum, and noise of NumPy": maximum_and_noise},
        floor_bytes=logits.nbytes,
        goal={"maximum, and noise of NumPy": GOAL} if k == 64 else {},
        seconds=0.3,
    )


@pytest.mark.parametrize("way", ["stochastic beams", "priority"])
def test_search(benchmark, way):
    k, length, width = 16, 8, 32_000
    table = rows(64, width)

    def model(prefixes):
        return table[[(int(prefix.sum()) + 7 * len(prefix)) % len(table) for prefix in prefixes]]

    if way == "priority":
        ours = priority_sample(model, k, length).tokens.tolist()
        assert list(map(list, references.priority_sample(model, k, length))) == ours
        contenders = (
            lambda turn: priority_sample(model, k, length, num_threads=1),
            lambda turn: references.priority_sample(model, k, length),
        )
    else:
        generator = np.random.default_rng(0)
        contenders = (
            lambda turn: stochastic_beam_search(model, k, length, rng=turn, num_threads=1),
            lambda turn: references.stochastic_beam_search(model, k, length, generator),
        )
        assert len(set(contenders[1](0)[0])) == k
    turns(
        benchmark,
        "Whole searches, on a table of rows",
        {"V": width, "sequences": k, "tokens of each": length, "way": way},
        {"sortes": contenders[0]},
        {"NumPy": contenders[1]},
        seconds=1,
    )
