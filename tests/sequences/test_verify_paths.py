"""Several drafted paths: the law of the text, how much is taken, and what is refused."""

import itertools

import numpy as np
import pytest
from lawlib import assert_law
from sequences import tree_reference as ref
from sortes import Stream
from sortes.sequences import DraftTree, verify_paths, verify_tree

SIZES = {"grouped": ref.plan, "greedy": ref.greedy}
DRAWS = 60_000
FIRST = 2**32


def pair_of(seed):
    """A pair whose draft is far from the target, close to it, or in between."""
    rng = np.random.default_rng(seed)
    return ref.Pair(rng, 3, 2, sharp=1 + seed % 3).closer(seed % 4 / 3.5)


def rows(pair, paths):
    """The logits of both models along some paths."""
    along = [[path[:place] for place in range(len(path) + 1)] for path in paths]
    target = [pair.logits("p", beginnings) for beginnings in along]
    return np.array(target), np.array([pair.logits("q", b[:-1]) for b in along])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("method", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_the_reference_keeps_the_law(method, count, seed):
    """Exactly, by enumeration of all paths and every decision."""
    pair = pair_of(seed)
    drafts = ref.iid_paths(pair, count, 2)
    law, _ = ref.law_of(pair, drafts, lambda *a: ref.verified_paths(*a, SIZES[method]), 3)
    for text, chance in law.items():
        assert chance == pytest.approx(pair.probability(text), abs=1e-12)


def with_ties(pair, paths):
    """Greedy verification where ratios above one tie, and the first of such paths is taken.

    That is our reading of code that was published with the scheme; its law of the chosen path is
    that of a strict order, in which the highest id would win.
    """

    def ranks(prefix):
        return np.minimum(1.0, pair.p[prefix] / pair.q[prefix])

    left, prefix, laws = list(paths), (), {}
    below, own = 0.0, 1.0
    for place in range(len(paths[0])):
        q, rank = pair.q[prefix], ranks(prefix)
        order = np.argsort(rank, kind="stable")
        through = np.empty(len(q))
        through[order] = q[order].cumsum()
        law = (below + own * through) ** len(paths) - (below + own * (through - q)) ** len(paths)
        laws[prefix] = law / law.sum()
        best = max((path[place] for path in left), key=lambda token: rank[token])
        below, own = below + own * (through[best] - q[best]), own * q[best]
        left = [path for path in left if path[place] == best]
        prefix = (*prefix, best)
    tree = []
    for token in reversed(prefix):
        tree = [(token, tree)]
    return ((o, c) for o, c in ref.traversal(pair, tree, laws=laws) if o is not None)


def test_ties_change_the_law():
    """Why the order is strict."""
    pair = pair_of(0)
    law, _ = ref.law_of(pair, ref.iid_paths(pair, 3, 2), with_ties, 3)
    assert sum(abs(c - pair.probability(text)) for text, c in law.items()) / 2 > 0.1


def accepted(pair, count, sizes):
    drafts = ref.iid_paths(pair, count, 2)
    return ref.law_of(pair, drafts, lambda *a: ref.verified_paths(*a, sizes), 3)[1]


def test_more_is_taken_of_three_paths():
    """Than of one, for every pair; of a good draft the published scheme takes less than of one."""
    gains, losses = [], []
    for seed in range(8):
        pair = pair_of(seed)
        block = accepted(pair, 1, ref.greedy)
        gains.append((1 + accepted(pair, 3, ref.plan)) / (1 + block))
        losses.append((1 + accepted(pair, 3, ref.greedy)) / (1 + block))
        assert gains[-1] > 1
    assert np.mean(gains) > 1.13
    assert min(losses) < 0.9
    assert np.mean(losses) < np.mean(gains)


@pytest.mark.parametrize("seed", range(4))
def test_how_far_from_the_optimum(seed):
    """One path: a block is the optimum. Two: groups give 95 % of the tokens that can be."""
    pair = pair_of(seed)
    best = [ref.optimum(pair, ref.iid_paths(pair, count, 2), 3) for count in (1, 2)]
    assert accepted(pair, 1, ref.plan) == pytest.approx(best[0], abs=1e-6)
    reached = accepted(pair, 2, ref.plan)
    assert 0.95 * (1 + best[1]) < 1 + reached < 1 + best[1] + 1e-6


def block(pair, path):
    """The law of the number of tokens that block verification takes of a path, by its formulas."""
    weights, chances = [1.0], []
    for place, token in enumerate(path):
        p, q = pair.p[path[:place]], pair.q[path[:place]]
        weights.append(min(1.0, weights[-1] * p[token] / q[token]))
    for place in range(1, len(path)):
        p, q = pair.p[path[:place]], pair.q[path[:place]]
        rest = np.maximum(weights[place] * p - q, 0).sum()
        chances.append(rest / (rest + 1 - weights[place]) if rest + 1 > weights[place] else 1.0)
    chances.append(weights[-1])
    law, above = {}, 1.0
    for place in range(len(path), 0, -1):
        law[place] = above * chances[place - 1]
        above *= 1 - chances[place - 1]
    return {**law, 0: above}


def test_one_path_is_a_block_and_so_is_a_chain():
    """The traversal of a chain, and one path of either method, by another formula."""
    for seed in range(8):
        pair = pair_of(seed)
        for path in itertools.product(range(3), repeat=2):
            want = block(pair, path)
            chain = [(path[0], [(path[1], [])])]
            for outcomes in (
                ref.traversal(pair, chain),
                ref.verified_paths(pair, [path], ref.greedy),
                ref.verified_paths(pair, [path], ref.plan),
            ):
                got = dict.fromkeys(range(3), 0.0)
                for outcome, chance in outcomes:
                    if outcome is not None:
                        got[len(outcome[0])] += chance
                assert got == pytest.approx(want, abs=1e-12)


@pytest.mark.law
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_one_path_is_a_chain(seed):
    """Both kernels, which read other numbers, have the law of the block."""
    pair, path = pair_of(seed), (1, 2)
    target, draft = rows(pair, [path])
    law = block(pair, path)
    many = verify_paths(np.tile([[path]], (DRAWS, 1, 1)), np.broadcast_to(target, (DRAWS, 1, 3, 3)),
                        np.broadcast_to(draft, (DRAWS, 1, 2, 3)), rng=1)  # fmt: skip
    tree = DraftTree([0, *path], [-1, 0, 1])
    chain = np.broadcast_to(target[0], (DRAWS, 3, 3))
    padded = np.broadcast_to(np.vstack([draft[0], draft[0][:1]]), (DRAWS, 3, 3))
    taken = verify_tree([tree] * DRAWS, chain, padded, method="traversal", rng=1)
    for found in (many, taken):
        assert_law(np.bincount(found.num_accepted, minlength=3), [law[n] for n in range(3)])


@pytest.mark.law
@pytest.mark.parametrize("method", SIZES)
@pytest.mark.parametrize("seed", [0, 3])
def test_the_law_of_what_is_drawn(method, seed):
    """Of texts of three tokens, the paths being drawn as well."""
    pair, rng = pair_of(seed), np.random.default_rng(9)
    drafts = list(ref.iid_paths(pair, 2, 2))
    counts = rng.multinomial(DRAWS, [chance for chance, _ in drafts])
    got = dict.fromkeys(itertools.product(range(3), repeat=3), 0)
    for step, (count, (_, paths)) in enumerate(zip(counts.tolist(), drafts, strict=True)):
        if not count:
            continue
        logits = [np.broadcast_to(x, (count, *x.shape)) for x in rows(pair, paths)]
        tokens = np.broadcast_to(paths, (count, 2, 2))
        found = verify_paths(tokens, *logits, method=method, rng=0, step=step)
        for text in found.tokens.tolist():
            text = tuple(token for token in text if token >= 0)
            while len(text) < 3:
                text = (*text, int(rng.choice(3, p=pair.p[text])))
            got[text] += 1
    assert_law(list(got.values()), [pair.probability(text) for text in got])


@pytest.mark.parametrize("method", SIZES)
def test_decisions_are_those_of_the_reference(method):
    """Draw ``2**32 + 1 + k g + i`` decides about token `i` of path `k`; the first, what follows."""
    rng = np.random.default_rng(0)
    for seed in range(300):
        pair, count = pair_of(int(rng.integers(100))), int(rng.integers(1, 4))
        texts = list(ref.iid_paths(pair, 1, 2))
        picks = rng.choice(len(texts), count, p=[chance for chance, _ in texts])
        paths = [texts[i][1][0] for i in picks]
        stream, entity = Stream(seed, int(rng.integers(2**32))), int(rng.integers(2**32))

        def number(path, place, stream=stream, entity=entity):
            return ref.uniform(stream, entity, FIRST + path * 2 + place)

        path, taken, law = ref.walk_paths(pair, paths, SIZES[method], number)
        found = verify_paths(paths, *rows(pair, paths), method=method, rng=stream, rows=entity)
        assert found.num_accepted == taken
        assert found.path == (path or 0)
        last = ref.uniform(stream, entity, FIRST) * law.sum()
        token = int(np.searchsorted(np.cumsum(law), last, side="right"))
        want = [*paths[path or 0][:taken], token]
        assert found.tokens.tolist() == want + [-1] * (3 - len(want))


@pytest.mark.parametrize("method", SIZES)
def test_threads_and_batches(method):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(7, 5, 5, 2000)).astype(np.float32)
    draft = target[:, :, :-1] + rng.normal(size=(7, 5, 4, 2000)).astype(np.float32)
    target[:, 1:, 0], draft[:, 1:, 0] = target[:, :1, 0], draft[:, :1, 0]
    tokens = draft.argmax(-1)
    tokens[:, 1:, 0] = rng.integers(2000, size=(7, 4))
    given = {"method": method, "rng": 1, "step": 2, "top_p": 0.999}
    given["temperature"] = np.linspace(0.5, 1.5, 7)
    draft = np.maximum(draft, 3.0)  # so that all of it may have been drawn
    whole = verify_paths(tokens, target, draft, num_threads=1, **given)
    assert len(set(whole.path)) > 1
    assert whole.num_accepted.max() > 0
    for threads in (2, 7):
        again = verify_paths(tokens, target, draft, num_threads=threads, **given)
        assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    for b in range(7):
        own = {**given, "temperature": given["temperature"][b], "rows": [b]}
        alone = verify_paths(tokens[b], target[b], draft[b], **own)
        assert all(np.array_equal(a, w[b]) for a, w in zip(alone, whole, strict=True))


def test_many_paths_cancel_nothing():
    """A thousand paths: the law of the best is one, though it is a difference of high powers."""
    pair = pair_of(1)
    texts = list(ref.iid_paths(pair, 1, 2))
    picks = np.random.default_rng(0).choice(len(texts), 1000, p=[chance for chance, _ in texts])
    paths = [texts[i][1][0] for i in picks]
    for method in SIZES:
        found = verify_paths(paths, *rows(pair, paths), method=method, rng=0)
        assert found.tokens[0] >= 0


def test_arrays_of_torch():
    torch = pytest.importorskip("torch")
    target, draft = torch.zeros(2, 3, 4), torch.zeros(2, 2, 4)
    tokens = torch.tensor([[1, 2], [3, 0]])
    found = verify_paths(tokens, target, draft, rng=0)
    assert all(isinstance(part, torch.Tensor) for part in found)
    halves = verify_paths(tokens, target.bfloat16(), draft.half(), rng=0)
    assert torch.equal(found.tokens, halves.tokens)


TARGET, DRAFT, TOKENS = np.zeros((2, 3, 4)), np.zeros((2, 2, 4)), [[1, 2], [3, 0]]


def test_what_is_refused():
    def call(tokens=TOKENS, target=TARGET, draft=DRAFT, **given):
        return verify_paths(tokens, target, draft, rng=0, **given)

    nan, never = TARGET.copy(), DRAFT.copy()
    nan[:, 0, 3] = np.nan
    never[:, 0, 3] = -np.inf
    for given, message in [
        ({"tokens": [[1, 2], [3, 4]]}, r"draft_tokens: item \(1, 1\) must be in \[0, 4\), got 4"),
        ({"tokens": [[1, -1], [3, 0]]}, r"draft_tokens: item \(0, 1\) must be in \[0, 4\), got -1"),
        (
            {"tokens": [1, 2]},
            r"draft_tokens: must have shape \(K, g\) or \(B, K, g\), none of them",
        ),
        ({"tokens": np.zeros((2, 0), int)}, r"draft_tokens: must have shape \(K, g\)"),
        ({"target": TARGET[:, :2]}, r"target_logits: must have shape \(2, 3, V\), got \(2, 2, 4\)"),
        ({"draft": TARGET}, r"draft_logits: must have shape \(2, 2, 4\), got \(2, 3, 4\)"),
        ({"draft": DRAFT[..., :3]}, r"draft_logits: must have shape \(2, 2, 4\), got \(2, 2, 3\)"),
        ({"target": nan}, r"target_logits: row \(0, 0\): contains NaN or .inf"),
        ({"draft": nan[:, :2]}, r"draft_logits: row \(0, 0\): contains NaN or .inf"),
        ({"draft": never}, r"draft_tokens: item \(1, 0\) must be a draw of the draft, got 3"),
        ({"method": "best"}, "method: must be 'grouped' or 'greedy', got 'best'"),
        ({"rows": [1, 2]}, "rows: must have shape"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            call(**given)
