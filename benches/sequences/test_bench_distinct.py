"""The search for distinct sequences beside one read of its rows, and Gumbel top-k beside NumPy."""

import numpy as np
import pytest
from sortes import _core
from sortes.decode import row_stats
from sortes.sequences import gumbel_topk

from benches.turns import turns

V = 128_256
RULES = {"no rule": {}, "top-k 50": {"top_k": 50.0}}
GOAL = 2.0  # of a read of the row with its exponentials


def rows(n):
    """Rows as a model gives them: few tokens hold most of the mass."""
    x = np.random.default_rng(0).gumbel(0, 2.5, (n, V)).astype(np.float32)
    return np.ascontiguousarray(x)


@pytest.mark.parametrize("priority", ["gumbel", "token"])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("samples", [16, 256])
def test_expand(benchmark, priority, name, samples):
    logits, batch = rows(16), 16
    native = _core.decode.sampling.Rules(RULES[name], list({"top_k"} & RULES[name].keys()))
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
    turns(
        benchmark,
        "16 nodes of a search",
        {"V": V, "priority": priority, "rules": name, "sequences": samples},
        {"sortes": expand},
        {},
        yardsticks={"row_stats": lambda turn: row_stats(logits, num_threads=1)},
        floor_bytes=logits.nbytes,
        goal={"row_stats": GOAL},
        seconds=0.3,
    )


@pytest.mark.parametrize("k", [1, 64, 1024])
def test_gumbel_topk(benchmark, k):
    logits = rows(1)[0]

    def by_numpy(turn):
        values = logits + np.random.default_rng(turn).gumbel(size=V)
        top = np.argpartition(values, -k)[-k:]
        return top[np.argsort(-values[top])]

    assert len(by_numpy(0)) == k
    turns(
        benchmark,
        "Gumbel top-k",
        {"V": V, "k": k},
        {"sortes": lambda turn: gumbel_topk(logits, k, rng=turn, num_threads=1)},
        {"NumPy": by_numpy},
        yardsticks={"maximum": lambda turn: logits.max()},
        floor_bytes=logits.nbytes,
        goal={},
        seconds=0.3,
    )
