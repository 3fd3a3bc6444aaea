"""Trees of drafted tokens: what they are made of, how they grow, and what is refused."""

import numpy as np
import pytest
from sortes.sequences import DraftTree, DraftTreeBuilder
from vectors import load

VECTORS = load("sequences/draft_trees.json")
CASES = VECTORS["eagle2"]


def proposals(case, paths, whole):
    """What the draft of a case says after some paths: whole rows, or the best tokens of each."""
    rows = [np.array(case["draft_logprobs"][",".join(map(str, path))], float) for path in paths]
    if whole:
        return (np.array(rows),)
    best = [np.argsort(-row, kind="stable")[: case["top_k"]] for row in rows]
    return np.array([row[ids] for row, ids in zip(rows, best, strict=True)]), np.array(best)


def grown(case, whole=False, **limits):
    """The tree of a case."""
    builder = DraftTreeBuilder(case["top_k"], case["depth"], case["num_draft_tokens"], **limits)
    first = [part[0] for part in proposals(case, [()], whole)]
    builder.start(*first, root_token=case["root_token"])
    paths = [()]
    for _ in range(case["depth"]):
        frontier = builder.frontier()
        above = [paths[parent] if parent >= 0 else () for parent in frontier.parents]
        paths = [(*path, int(t)) for path, t in zip(above, frontier.tokens, strict=True)]
        builder.expand(*proposals(case, paths, whole))
    return builder.finish()


def assert_tree(tree, want):
    assert tree.tokens.tolist() == want["tokens"]
    assert tree.parents.tolist() == want["parents"]
    assert tree.depths.tolist() == want["depths"]
    assert tree.mask.tolist() == np.array(want["mask"], bool).tolist()
    assert tree.paths.tolist() == want["paths"]
    assert tree.logprobs == pytest.approx(want["scores"], rel=1e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"k={c['top_k']},d={c['depth']}")
def test_the_trees_of_eagle(case):
    assert_tree(grown(case), case["tree"])


@pytest.mark.parametrize("case", [CASES[i] for i in (0, 1, 2, 4)], ids=str)
def test_whole_rows_propose_their_likeliest_tokens(case):
    """The case with ties is left out: rows are read as float32, in which they are none."""
    assert_tree(grown(case, whole=True), case["tree"])
    # Logits are as good as log-probabilities.
    more = {path: np.array(row, float) + 3 for path, row in case["draft_logprobs"].items()}
    assert_tree(grown({**case, "draft_logprobs": more}, whole=True), case["tree"])


def plain(rng, k, depth, most):
    """A random tree by the words of the paper: scores in a list, everything sorted."""
    law = np.round(rng.exponential(size=(depth + 1, k, k)) * -2, rng.integers(1, 4))
    law = np.sort(law, 2)[..., ::-1]
    ids = np.array([[rng.permutation(50)[:k] for _ in range(k)] for _ in range(depth + 1)])
    candidates = [(law[0, 0, j], None, ids[0, 0, j]) for j in range(k)]
    level = list(range(k))
    for d in range(1, depth + 1):
        new = []
        for rank, node in enumerate(level):
            for j in range(k):
                new.append(len(candidates))
                score = candidates[node][0] + law[d, rank, j]
                candidates.append((score, node, ids[d, rank, j]))
        level = sorted(new, key=lambda c: -candidates[c][0])[:k]
    kept = sorted(range(len(candidates)), key=lambda c: -candidates[c][0])[:most]
    kept = {c: i + 1 for i, c in enumerate(sorted(kept))}
    tokens = [7] + [int(candidates[c][2]) for c in kept]
    return law, ids, tokens, [-1] + [kept.get(candidates[c][1], 0) for c in kept]


@pytest.mark.parametrize("seed", range(20))
def test_random_trees_are_those_of_a_plain_sort(seed):
    rng = np.random.default_rng(seed)
    k, depth, most = (int(rng.integers(low, high)) for low, high in ((1, 6), (0, 5), (1, 40)))
    law, ids, tokens, parents = plain(rng, k, depth, most)
    builder = DraftTreeBuilder(k, depth, most).start(law[0, 0], ids[0, 0], root_token=7)
    for d in range(1, depth + 1):
        builder.expand(law[d], ids[d])
    tree = builder.finish()
    assert (tree.tokens.tolist(), tree.parents.tolist()) == (tokens, parents)
    DraftTree(tree.tokens, tree.parents)  # it is one


def test_texts_of_a_batch_grow_on_their_own():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 2, 6))
    rows[1, :, 1:] = -np.inf  # this text has a single continuation
    start = rng.normal(size=(3, 6))
    start[1, 1:] = -np.inf
    together = DraftTreeBuilder(2, 1, 5, batch_size=3)
    together.start(start, root_token=[7, 8, 9]).expand(rows, num_threads=2)
    for b, tree in enumerate(together.finish()):
        alone = DraftTreeBuilder(2, 1, 5).start(start[b], root_token=7 + b)
        width = len(alone.frontier().tokens)
        want = alone.expand(rows[b, :width]).finish()
        assert np.array_equal(tree.tokens, want.tokens)
        assert np.array_equal(tree.parents, want.parents)
        assert np.array_equal(tree.logprobs, want.logprobs)
    frontier = together.start(start, root_token=[7, 8, 9]).frontier()
    assert frontier.tokens[1, 1] == frontier.parents[1, 1] == -1
    assert frontier.logprobs[1].tolist() == [0.0, -np.inf]


def test_a_threshold_drops_paths():
    case = CASES[0]
    least = case["tree"]["scores"][3]
    tree = grown(case, score_threshold=least)
    whole = grown({**case, "num_draft_tokens": 100})
    assert tree.logprobs.tolist() == [s for s in whole.logprobs if s >= least][: len(tree)]
    assert len(tree) < len(grown(case))


def test_arrays_of_torch_are_taken():
    torch = pytest.importorskip("torch")
    row = torch.log_softmax(torch.arange(5.0), 0)
    builder = DraftTreeBuilder(2, 1, 3).start(row, root_token=1)
    values, ids = row.expand(2, 5).topk(2)
    tree = builder.expand(values, ids).finish()
    assert np.array_equal(tree.tokens, [1, 4, 3, 4])
    half = DraftTreeBuilder(2, 1, 3).start(row.bfloat16(), root_token=1)
    assert half.frontier().tokens.tolist() == [4, 3]


def test_paths_are_merged():
    tree = DraftTree.from_paths([[3, 4, 5], [3, 6], [], [3, 4, 7]], root_token=2)
    assert tree.tokens.tolist() == [2, 3, 4, 5, 6, 7]
    assert tree.parents.tolist() == [-1, 0, 1, 2, 1, 2]
    assert tree.counts.tolist() == [4, 3, 2, 1, 1, 1]
    assert tree.paths.tolist() == [[0, 1, 2, 3], [0, 1, 4, -1], [0, 1, 2, 5]]
    padded = DraftTree.from_paths([[3, 4, 5], [3, 6, -1], [-1, -1, -1], [3, 4, 7]], root_token=2)
    assert np.array_equal(padded.tokens, tree.tokens)
    assert np.array_equal(padded.counts, tree.counts)
    assert DraftTree.from_paths([]).tokens.tolist() == [-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "tokens: must have a root, got no node"),
        (([1, 2], [-1]), "parents: must have one parent for each of 2 nodes, got 1"),
        (([1], [0]), "parents: item 0 must be -1, for the root has no parent, got 0"),
        (([1, 2, 3], [-1, 2, 0]), r"parents: item 1 must be in \[0, 1\), got 2"),
        (([1, 2], [-1, 1]), r"parents: item 1 must be in \[0, 1\), got 1"),
        (([1, 2], [-1, -1]), r"parents: item 1 must be in \[0, 1\), got -1"),
        (([1, -2], [-1, 0]), r"tokens: item 1 must be in \[0, 2\*\*63\), got -2"),
        (([-2], [-1]), r"tokens: item 0 must be in \[-1, 2\*\*63\), got -2"),
        (([1, 5, 6, 5], [-1, 0, 0, 0]), "tokens: item 3 is the token 5 again, under the parent 0"),
    ],
)
def test_malformed_trees(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        DraftTree(*arguments)


def test_what_else_is_refused():
    with pytest.raises(ValueError, match=r"^logprobs: must have shape \(2,\), got \(1,\)"):
        DraftTree([1, 2], [-1, 0], logprobs=[0.0])
    with pytest.raises(ValueError, match=r"^logprobs: item 1 must be in \[-inf, 0\], got 0.5"):
        DraftTree([1, 2], [-1, 0], logprobs=[0.0, 0.5])
    with pytest.raises(ValueError, match=r"^counts: item 0 must be in \[0, 2\*\*63\), got -1"):
        DraftTree([1, 2], [-1, 0], counts=[-1, 0])
    with pytest.raises(ValueError, match=r"^paths: item \(0, 2\) must be -1, behind an end, got 4"):
        DraftTree.from_paths(np.array([[3, -1, 4]]))
    with pytest.raises(
        ValueError, match=r"^paths: item \(1, 0\) must be in \[-1, 2\*\*63\), got -3"
    ):
        DraftTree.from_paths([[3, -1], [-3]])


def test_growth_is_checked_and_undone():
    builder = DraftTreeBuilder(2, 1, 5)
    with pytest.raises(ValueError, match=r"^start: must be called before expand"):
        builder.expand([[-1.0]], [[1]])
    with pytest.raises(ValueError, match=r"^start: must be called before finish"):
        builder.finish()
    for bad, message in [
        (([0.5, -1], [1, 2]), r"logprobs: item \(0, 0\) must be in \[-inf, 0\], got 0.5"),
        (([-1, np.nan], [1, 2]), r"logprobs: item \(0, 1\) must be in \[-inf, 0\], got nan"),
        (([-1, -2], [1, -3]), r"tokens: item \(0, 1\) must be in \[0, 2\*\*63\), got -3"),
        (([-1, -2], [1, 1]), r"tokens: item \(0, 1\) is a second token 1"),
        (([-1, -2], [1]), r"tokens: must have shape \(2,\), got \(1,\)"),
        (([[-1, -2]], [[1, 2]]), r"logprobs: must have shape \(k,\) or \(V,\), got \(1, 2\)"),
        (([np.inf, 0.0],), "logprobs: row 0: contains NaN or .inf"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            builder.start(*bad, root_token=0)
    with pytest.raises(ValueError, match=r"^start"):
        builder.frontier().tokens.any() or builder.finish()
    builder.start([-1.0, -2.0], [1, 2], root_token=0)
    with pytest.raises(
        ValueError, match=r"^logprobs: must have 2 rows, as the frontier has, got 1"
    ):
        builder.expand([[-1.0]], [[1]])
    assert builder.frontier().tokens.tolist() == [1, 2]
    builder.expand([[-1.0]] * 2, [[1]] * 2)
    with pytest.raises(ValueError, match=r"^depth: is 1, and so many levels follow the first"):
        builder.expand([[-1.0]] * 2, [[1]] * 2)
    with pytest.raises(ValueError, match=r"^score_threshold: must be in \[-inf, 0\], got 0.5"):
        DraftTreeBuilder(score_threshold=0.5)
    with pytest.raises(ValueError, match=r"^root_token: must have shape \(2,\), got \(3,\)"):
        DraftTreeBuilder(batch_size=2).start([[-1.0]] * 2, [[1]] * 2, root_token=[1, 2, 3])
