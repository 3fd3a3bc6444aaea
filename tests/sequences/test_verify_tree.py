"""Trees, verified: the law of the text for every method, and what is refused.

Mutants that were seen red are listed at the end of the module.
"""

import itertools

import numpy as np
import pytest
from backends import Backend
from lawlib import assert_law
from sequences import tree_reference as ref
from sortes import Stream
from sortes.decode import sample
from sortes.sequences import DraftTree, verify_tree
from vectors import load

CHILDREN = load("sequences/draft_trees.json")["deterministic_children"]
METHODS = {"draw": ref.draw, "rrs": ref.rejection, "traversal": ref.traversal}
#: How many children a node has after a beginning; the last two end at different depths.
WIDTHS = {
    "chain": lambda prefix: 1,
    "pairs": lambda prefix: 2,
    "all": lambda prefix: 3,
    "ragged": lambda prefix: 2 if not prefix else int(prefix[-1] == 1),
    "uneven": lambda prefix: 3 if not prefix else prefix[-1],
}
DRAWS = 60_000


def texts(length, vocabulary=3):
    return list(itertools.product(range(vocabulary), repeat=length))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("zeros", [False, True])
def test_the_reference_keeps_the_law(method, width, zeros):
    """Exactly, by enumeration of every tree and every decision."""
    pair = ref.Pair(np.random.default_rng(5), 3, 2, zeros=zeros)
    drafts = list(ref.trees(pair, WIDTHS[width]))
    assert sum(chance for chance, _ in drafts) == pytest.approx(1)
    law, _ = ref.law_of(pair, drafts, METHODS[method], 3)
    for text, chance in law.items():
        assert chance == pytest.approx(pair.probability(text), abs=1e-13)


def verified(pair, tree, count, method, **arguments):
    """What the kernel takes of a tree, `count` times."""
    tokens, parents = ref.flat(tree)
    beginnings = ref.prefixes(tokens, parents)
    one = DraftTree(tokens, parents)
    target = np.broadcast_to(pair.logits("p", beginnings), (count, len(one), 3))
    draft = (
        None if method == "draw" else np.broadcast_to(pair.logits("q", beginnings), target.shape)
    )
    return verify_tree([one] * count, target, draft, method=method, **arguments)


def outcomes_of(found):
    """Path and token that follows, of each text."""
    for tokens, count in zip(found.tokens.tolist(), found.num_accepted.tolist(), strict=True):
        yield tuple(tokens[:count]), tokens[count]


@pytest.mark.law
@pytest.mark.parametrize("width", ["pairs", "uneven"])
@pytest.mark.parametrize("method", METHODS)
def test_the_law_of_what_is_drawn(method, width):
    """Of texts of three tokens, trees being drawn as well, and of the outcomes of one tree."""
    rng = np.random.default_rng(1)
    pair = ref.Pair(rng, 3, 2)
    drafts = list(ref.trees(pair, WIDTHS[width]))
    counts = rng.multinomial(DRAWS, [chance for chance, _ in drafts])
    got = dict.fromkeys(texts(3), 0)
    for step, (count, (_, tree)) in enumerate(zip(counts, drafts, strict=True)):
        if not count:
            continue
        for path, token in outcomes_of(verified(pair, tree, int(count), method, rng=3, step=step)):
            text = (*path, token)
            while len(text) < 3:
                text = (*text, int(rng.choice(3, p=pair.p[text])))
            got[text[:3]] += 1
    assert_law(list(got.values()), [pair.probability(text) for text in got])


@pytest.mark.law
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", METHODS)
def test_the_outcomes_of_one_tree(method, seed):
    rng = np.random.default_rng(seed)
    pair = ref.Pair(rng, 3, 2, zeros=seed == 3)
    drafts = list(ref.trees(pair, WIDTHS[["pairs", "uneven", "all", "ragged"][seed]]))
    _, tree = drafts[rng.choice(len(drafts), p=[chance for chance, _ in drafts])]
    law = {}
    for outcome, chance in METHODS[method](pair, tree):
        if outcome is not None:
            law[outcome] = law.get(outcome, 0) + chance
    got = dict.fromkeys(law, 0)
    for outcome in outcomes_of(verified(pair, tree, DRAWS, method, rng=seed)):
        got[outcome] += 1
    assert_law(list(got.values()), list(law.values()))


@pytest.mark.parametrize("method", ["rrs", "traversal"])
@pytest.mark.parametrize("width", WIDTHS)
def test_decisions_are_those_of_the_reference(method, width):
    """With the numbers of the stream: draw n decides about node n, draw 0 gives what follows."""
    rng = np.random.default_rng(0)
    for seed in range(60):
        pair = ref.Pair(rng, 3, 2, sharp=1 + seed % 3)
        drafts = list(ref.trees(pair, WIDTHS[width]))
        tokens, parents = ref.flat(drafts[rng.integers(len(drafts))][1])
        stream = Stream(int(rng.integers(2**63)), int(rng.integers(2**32)))
        entity = int(rng.integers(2**32))

        def number(node, stream=stream, entity=entity):
            return ref.uniform(stream, entity, node)

        nodes, law = ref.walk(pair, tokens, parents, method, number)
        beginnings = ref.prefixes(tokens, parents)
        logits = [pair.logits(side, beginnings) for side in "pq"]
        tree = DraftTree(tokens, parents)
        found = verify_tree(tree, *logits, method=method, rng=stream, rows=entity)
        assert found.nodes.tolist() == nodes
        assert found.num_accepted == len(nodes)
        token = int(np.searchsorted(np.cumsum(law), number(0) * law.sum(), side="right"))
        assert found.tokens.tolist() == [*(tokens[node] for node in nodes), token]


RULES = {"temperature": 0.8, "top_k": 30, "top_p": 0.95}


def random_tree(rng, n, vocabulary):
    """A tree of `n` nodes and rows of logits that like its tokens."""
    parents = np.array([-1, *(rng.integers(i) for i in range(1, n))])
    tokens = rng.permutation(vocabulary)[:n]
    logits = rng.normal(size=(n, vocabulary)).astype(np.float32)
    logits[parents[1:], tokens[1:]] += 9
    return DraftTree(tokens, parents), logits


@pytest.mark.parametrize("kind", ["numpy", "torch-cpu", "torch-ref", "torch-cuda"])
def test_drawing_is_plain_sampling(kind):
    """Token for token: the text does not depend on the draft."""
    if kind == "torch-cuda" and not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(4)
    backend, lengths = Backend(kind), []
    for seed in range(40):
        tree, logits = random_tree(rng, int(rng.integers(1, 20)), 500)
        mask = rng.random((len(tree), 500)) < 0.9
        asked = {"rng": seed, "logit_bias": {3: 2.0}, **RULES}
        own = Backend("torch-cpu" if kind.startswith("torch-c") else kind)
        if kind == "torch-ref":
            own = backend
        rows = backend.convert(logits)
        with backend.watched(waits=True):
            found = verify_tree(tree, rows, mask=mask, step=seed, rows=9, **asked)
        nodes, tokens = (np.asarray(part.cpu() if hasattr(part, "cpu") else part)
                         for part in found[:2])  # fmt: skip
        assert type(found.tokens) is type(rows)
        at = 0
        for depth, token in enumerate(tokens):
            with backend.watched(waits=True):
                want = sample(
                    rows[at : at + 1], mask=mask[at], step=seed + depth, rows=[9], **asked
                )
            assert int(want[0]) == token
            at = nodes[depth] if depth < len(nodes) else at
        children = tree.tokens[1:][tree.parents[1:] == at]
        assert tokens[-1] not in children
        lengths.append(len(nodes))
        assert own is not None
    assert max(lengths) > 2
    assert len(set(lengths)) > 2


@pytest.mark.law
@pytest.mark.parametrize("case", CHILDREN, ids=str)
def test_fixed_children_are_taken_with_their_probabilities(case):
    p, children = np.array(case["target"]), case["children"]
    tree = DraftTree([0, *children], [-1] + [0] * len(children))
    with np.errstate(divide="ignore"):
        logits = np.broadcast_to(np.log(p), (DRAWS, len(tree), 3))
    found = verify_tree([tree] * DRAWS, logits, rng=0)
    firsts = found.nodes[found.num_accepted > 0, :1].reshape(-1)
    taken = np.bincount(firsts, minlength=len(tree))
    law = np.array([1 - case["acceptance"], *p[children]])
    assert_law([DRAWS - taken.sum(), *taken[1:]], law / law.sum())
    refused = found.tokens[found.num_accepted == 0, 0]
    if len(refused):
        assert_law(np.bincount(refused, minlength=3), case["residual_if_none"])


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_batches(method):
    rng = np.random.default_rng(2)
    trees, targets, drafts = [], np.zeros((9, 12, 3000), np.float32), None
    for b in range(9):
        tree, logits = random_tree(rng, int(rng.integers(1, 13)), 3000)
        trees.append(tree)
        targets[b, : len(tree)] = logits
    drafts = targets + rng.normal(size=targets.shape).astype(np.float32)
    given = {"method": method, "rng": 5, "step": 3, "temperature": np.linspace(0.5, 2, 9)}
    pair = (targets,) if method == "draw" else (targets, drafts)
    whole = verify_tree(trees, *pair, num_threads=1, **given)
    assert whole.num_accepted.max() > 1
    for threads in (2, 7):
        again = verify_tree(trees, *pair, num_threads=threads, **given)
        assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))
    for b, tree in enumerate(trees):
        n = len(tree)
        own = {**given, "temperature": given["temperature"][b]}
        alone = verify_tree(tree, *(x[b, :n] for x in pair), rows=[b], **own)
        count = int(alone.num_accepted)
        assert count == whole.num_accepted[b]
        assert np.array_equal(alone.nodes, whole.nodes[b, :count])
        assert np.array_equal(alone.tokens, whole.tokens[b, : count + 1])
        assert np.all(whole.nodes[b, count:] == -1)
        assert np.all(whole.tokens[b, count + 1 :] == -1)


def test_rules_act_on_both_laws():
    """What they leave of the target is all that comes, and of the draft all that is tried."""
    pair = ref.Pair(np.random.default_rng(3), 3, 1)
    tree = DraftTree([0, int(np.argmax(pair.p[()]))], [-1, 0])
    rows = [pair.logits(side, [(), (int(tree.tokens[1]),)]) for side in "pq"]
    rows[1][0, tree.tokens[1]] = 9  # the draft is sure of it as well
    for method in ("rrs", "traversal"):
        for seed in range(20):
            found = verify_tree(tree, *rows, method=method, top_k=1, rng=seed)
            assert found.num_accepted == 1
    other = DraftTree([0, int(np.argmin(rows[1][0]))], [-1, 0])
    with pytest.raises(ValueError, match=r"^tree: item 1 must be a draw of the draft, got \d"):
        verify_tree(other, *rows, method="rrs", top_k=2, rng=0)


@pytest.mark.parametrize("seed", range(12))
def test_traversal_takes_no_less(seed):
    """On average, of trees that are drawn: more than token by token, from the root."""
    pair = ref.Pair(np.random.default_rng(seed), 3, 2, sharp=1 + seed % 3).closer(seed % 4 / 4)
    for width in WIDTHS.values():
        drafts = list(ref.trees(pair, width))
        _, rejection = ref.law_of(pair, drafts, ref.rejection, 3)
        _, traversal = ref.law_of(pair, drafts, ref.traversal, 3)
        assert traversal >= rejection - 1e-12


TREE = DraftTree([5, 1, 2], [-1, 0, 1])
ROWS = np.zeros((3, 4), np.float32)


def bad_row(value, row=1):
    rows = np.zeros((3, 4), np.float32)
    rows[row] = value
    return rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TREE, ROWS[:2]), "target_logits: must have a row for each of 3 nodes, got 2"),
        ((TREE, ROWS[None]), r"target_logits: must have shape \(n, V\), got \(1, 3, V\)"),
        (([TREE], ROWS), r"target_logits: must have shape \(1, N, V\), got \(3, V\)"),
        (([TREE], ROWS[None, :2]), "target_logits: must have a row for each of 3 nodes of text 0"),
        ((TREE, ROWS[:, :2]), r"tree: item 2 must be in \[0, 2\), got 2"),
        ((TREE, ROWS, ROWS), "draft_logits: must not be given with method='draw'"),
        ((TREE, bad_row(np.nan, 0)), "target_logits: row 0: contains NaN or .inf"),
        ((TREE, bad_row(np.inf, 0)), "target_logits: row 0: contains NaN or .inf"),
        ((TREE, bad_row(-np.inf, 0)), "target_logits: row 0: no finite logit"),
        (([], ROWS[None]), "tree: must have at least one tree, got none"),
    ],
)
def test_what_drawing_refuses(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        verify_tree(*arguments, rng=0)


@pytest.mark.parametrize("method", ["rrs", "traversal"])
def test_what_the_others_refuse(method):
    def call(target=ROWS, draft=ROWS, tree=TREE, **given):
        return verify_tree(tree, target, draft, method=method, rng=0, **given)

    sure = np.array([[0, 0, 0, 0], [0, 0, 50, 0], [0, 0, 0, 0]], np.float32)
    for given, message in [
        ({"draft": None}, f"draft_logits: must be given with method='{method}'"),
        ({"draft": ROWS[:, :3]}, r"draft_logits: must have shape \(3, 4\), got \(3, 3\)"),
        ({"draft": ROWS[:2]}, r"draft_logits: must have shape \(3, 4\), got \(2, 4\)"),
        ({"draft": bad_row(np.nan, 0)}, "draft_logits: row 0: contains NaN or .inf"),
        (
            {"draft": bad_row([0, -np.inf, 0, 0], 0)},
            "tree: item 1 must be a draw of the draft, got 1: the draft's law",
        ),
        ({"target": bad_row(np.inf, 0)}, "target_logits: row 0: contains NaN or .inf"),
        ({"target": sure, "draft": sure, "step": 2**32}, r"step: must be in \[0, 2\*\*32\)"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            call(**given)
    with pytest.raises(ValueError, match=r"^target_logits: row \(1, 0\): contains NaN"):
        call(np.stack([ROWS, bad_row(np.nan, 0)]), np.stack([ROWS] * 2), [TREE] * 2)


def test_a_tree_that_leaves_the_steps():
    with pytest.raises(ValueError, match=r"^step: 4294967294 and 2 more are beyond"):
        verify_tree(TREE, ROWS, rng=0, step=2**32 - 2)
    with pytest.raises(ValueError, match=r"^method: must be 'draw', 'rrs' or 'traversal'"):
        verify_tree(TREE, ROWS, method="rs")
    with pytest.raises(TypeError, match=r"^tree: must be a DraftTree, or a list of them, got 3"):
        verify_tree(3, ROWS)
    with pytest.raises(TypeError, match=r"^tree: item 0 must be a DraftTree, got 3"):
        verify_tree([3], ROWS)
