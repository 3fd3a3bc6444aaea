"""Trees of drafts: what it costs to grow and to verify them, and how much of a draft is taken."""

import numpy as np
import pytest
from sortes.decode import sample
from sortes.sequences import (
    DraftTree,
    DraftTreeBuilder,
    verify_paths,
    verify_tree,
)

from benches.sequences.references import draft_tree
from benches.turns import judge, peer, turns

LONGEST = 30.0  # microseconds, of a tree of the size that the paper has
GAIN = 1.15  # tokens per call of three paths, beside one
K, DEPTH, NODES, VOCABULARY = 10, 7, 59, 49_152


def proposals(rng):
    """What a draft says of each level: log-probabilities and tokens of the best."""
    levels = []
    for level in range(DEPTH + 1):
        law = np.sort(np.log(rng.dirichlet(np.full(K, 0.3), 1 if level == 0 else K)))[:, ::-1]
        ids = np.stack([rng.permutation(VOCABULARY)[:K] for _ in law])
        levels.append((np.ascontiguousarray(np.maximum(law, -50)), ids))
    return levels


def test_growing(benchmark):
    """A tree of EAGLE-2, from the proposals to tokens, parents, mask and paths."""
    levels = proposals(np.random.default_rng(0))
    builder = DraftTreeBuilder(K, DEPTH, NODES)

    def ours(turn):
        builder.start(levels[0][0][0], levels[0][1][0], root_token=1)
        for law, ids in levels[1:]:
            builder.expand(law, ids)
        tree = builder.finish()
        return tree.mask, tree.paths

    def finish(turn):
        tree = builder.finish()
        return tree.mask, tree.paths

    def torch_way(torch):
        given = [(torch.from_numpy(law).float(), torch.from_numpy(ids)) for law, ids in levels]
        return lambda turn: draft_tree(torch, given, K, NODES, 1)

    record = turns(
        benchmark,
        "Trees of drafts",
        {"function": "DraftTreeBuilder", "size": f"k = {K}, d = {DEPTH}, m = {NODES}"},
        {"sortes": ours, "sortes, finish alone": finish},
        {"torch": peer("torch", torch_way)},
        seconds=0.3,
    )
    judge(record, "us", LONGEST, 1e3 * record["ms"]["sortes"])


def test_drawing(benchmark):
    """A tree verified by drawing, beside the draws alone of the tokens of its path."""
    rng = np.random.default_rng(0)
    tree = DraftTree(np.arange(NODES + 1), np.array([-1, *range(NODES)]) // 2)
    logits = rng.normal(size=(NODES + 1, VOCABULARY)).astype(np.float32)
    for node in range(1, NODES + 1):
        logits[tree.parents[node], tree.tokens[node]] += 14
    length = int(verify_tree(tree, logits, rng=0, top_p=0.95).num_accepted)

    def draws(turn):
        for row in range(length + 1):
            sample(logits[row : row + 1], rng=0, top_p=0.95)

    def ours(turn):
        verify_tree(tree, logits, rng=0, top_p=0.95)

    turns(
        benchmark,
        "Trees of drafts",
        {"function": "verify_tree, draw", "size": f"a path of {length} nodes"},
        {"sortes": ours},
        {},
        yardsticks={"sample, row by row": draws},
        seconds=0.3,
    )


@pytest.mark.parametrize("closeness", [0.5, 0.8])
def test_accepted(benchmark, closeness):
    """Three paths of five tokens of a random model, in groups, at once, and one alone."""
    rng = np.random.default_rng(0)
    texts, count, length, size = 400, 3, 5, 64
    table = rng.normal(size=(size, size)) * 2
    other = closeness * table + (1 - closeness) * rng.normal(size=table.shape) * 2
    first = rng.integers(size, size=texts)
    tokens = np.empty((texts, count, length), np.int64)
    before = np.repeat(first[:, None], count, 1)
    for place in range(length):
        law = np.exp(other[before])
        law /= law.sum(-1, keepdims=True)
        through = law.cumsum(-1) > rng.random((texts, count, 1))
        before = tokens[..., place] = through.argmax(-1)
    seen = np.concatenate([np.repeat(first[:, None, None], count, 1), tokens], -1)
    target, draft = (x[seen].astype(np.float32) for x in (table, other))
    draft = np.ascontiguousarray(draft[:, :, :-1])
    found = {
        "one": verify_paths(tokens[:, :1], target[:, :1], draft[:, :1], rng=0),
        "greedy": verify_paths(tokens, target, draft, method="greedy", rng=0),
        "grouped": verify_paths(tokens, target, draft, rng=0),
    }
    per_call = {name: float(1 + one.num_accepted.mean()) for name, one in found.items()}

    def ours(turn):
        verify_paths(tokens[:8], target[:8], draft[:8], rng=turn)

    def all_at_once(turn):
        verify_paths(tokens[:8], target[:8], draft[:8], method="greedy", rng=turn)

    def single(turn):
        verify_paths(tokens[:8, :1], target[:8, :1], draft[:8, :1], rng=turn)

    record = turns(
        benchmark,
        "Several paths",
        {"function": "verify_paths", "draft": f"{closeness} of the target"},
        {"sortes": ours, "sortes, greedy": all_at_once},
        {},
        yardsticks={"one path": single},
        seconds=0.3,
    )
    names = {"sortes": "grouped", "one path": "one", "sortes, greedy": "greedy"}
    record["more"] = {"tokens per call": {name: per_call[of] for name, of in names.items()}}
    judge(record, "calls, one path = 1", 1 / GAIN, per_call["one"] / per_call["grouped"])
