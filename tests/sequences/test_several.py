"""Several drafts for one position: the vectors, the laws, the optimum beside the linear program."""

import itertools

import numpy as np
import pytest
from lawlib import assert_law
from scipy import optimize, sparse, stats
from sortes.decode import sample
from sortes.sequences import (
    acceptance_rate,
    expected_accepted_tokens,
    gumbel_topk,
    optimal_acceptance,
    verify_multi,
)
from vectors import load

VECTORS = load("sequences/speculative.json")
DRAWS = 200_000


def ln(law):
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(law, np.float64))


def independent(q, k, draws, seed=0):
    rows = np.tile(ln(q), (draws, 1))
    return np.stack([sample(rows, rng=seed, step=100 + i) for i in range(k)], 1)


def distinct(q, k, draws, seed=0):
    rows = np.tile(ln(q), (draws, 1))
    return gumbel_topk(rows, min(k, np.count_nonzero(q)), rng=seed).indices


def verified(p, q, k, method, replacement, draws=DRAWS, seed=0):
    drafts = (independent if replacement else distinct)(q, k, draws, seed)
    target, draft = np.tile(ln(p), (draws, 1)), np.tile(ln(q), (draws, 1))
    found = verify_multi(drafts, target, draft, method=method, replacement=replacement, rng=seed)
    taken = found.accepted >= 0
    assert np.array_equal(drafts[taken, found.accepted[taken]], found.token[taken])
    return found


def check(p, q, k, method, replacement, acceptance, residual=None):
    """The token has the law of the target, and some draft is taken as often as it should be."""
    found = verified(p, q, k, method, replacement)
    assert_law(np.bincount(found.token, minlength=len(p)), np.array(p) / np.sum(p))
    taken = int((found.accepted >= 0).sum())
    chance = float(np.clip(acceptance, 0, 1))
    chance = 1.0 if chance > 1 - 1e-12 else chance
    assert stats.binomtest(taken, DRAWS, chance).pvalue >= 1e-6, (taken / DRAWS, chance)
    if residual is not None and taken < DRAWS:
        fell = found.token[found.accepted < 0]
        assert_law(np.bincount(fell, minlength=len(p)), residual)


@pytest.mark.parametrize("case", VECTORS["single"], ids=lambda c: str(len(c["target"])))
def test_vectors_of_one_draft(case):
    p, q = np.array(case["target"], float), np.array(case["draft"], float)
    alpha = acceptance_rate(p, q)
    assert alpha == pytest.approx(case["acceptance"], abs=1e-12)
    for gamma, tokens in case["expected_tokens"].items():
        assert expected_accepted_tokens(alpha, int(gamma)) == pytest.approx(tokens, rel=1e-9)


@pytest.mark.parametrize("case", VECTORS["multi"], ids=lambda c: f"{len(c['target'])}-{c['k']}")
def test_vectors_of_the_optimum(case):
    p, q, k = case["target"], case["draft"], case["k"]
    want = case["optimal_with_replacement"]
    assert optimal_acceptance(p, q, k) == pytest.approx(want, abs=1e-12)
    want = case["optimal_without_replacement"]
    got = optimal_acceptance(p, q, k, replacement=False)
    assert got == pytest.approx(want, abs=1e-11)


@pytest.mark.parametrize("case", VECTORS["multi"], ids=lambda c: f"{len(c['target'])}-{c['k']}")
def test_vectors_of_schemes(case):
    """200,000 positions each: an acceptance off by 0.006, or a law by as much, is seen.

    Red when `rrs` forgets to divide by what is left, when `kseq` takes its number too small, when
    the parts of the optimal selection leave out what was taken before, when its excess is not cut.
    """
    p, q, k = case["target"], case["draft"], case["k"]
    check(p, q, k, "rrs", True, case["rrs_with_replacement"])
    check(p, q, k, "rrs", False, case["rrs_without_replacement"])
    kseq = case["kseq"]
    check(p, q, k, "kseq", True, kseq["acceptance"], kseq["residual"])
    check(p, q, k, "optimal", True, case["optimal_with_replacement"])


def linear_program(p, q, k):
    """The largest acceptance of `k` independent drafts, by transport from pairs to tokens."""
    tuples = list(itertools.product(range(len(p)), repeat=k))
    mass = np.array([np.prod(q[list(drafts)]) for drafts in tuples])
    edges = [(i, x) for i, drafts in enumerate(tuples) for x in set(drafts)]
    rows, columns = np.array(edges).T
    ones, number = np.ones(len(edges)), np.arange(len(edges))
    limits = sparse.vstack([
        sparse.csr_array((ones, (rows, number)), shape=(len(tuples), len(edges))),
        sparse.csr_array((ones, (columns, number)), shape=(len(p), len(edges))),
    ])  # fmt: skip
    found = optimize.linprog(-ones, A_ub=limits, b_ub=np.concatenate([mass, p]), method="highs")
    return -found.fun


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_optimum_is_that_of_the_linear_program(k):
    rng = np.random.default_rng(k)
    for _ in range(12):
        width = int(rng.integers(2, 6))
        p, q = rng.dirichlet(np.full(width, 0.6)), rng.dirichlet(np.full(width, 0.6))
        assert optimal_acceptance(p, q, k) == pytest.approx(linear_program(p, q, k), abs=1e-9)


def distinct_optimum(p, q, k):
    """The bound for distinct drafts, with the integral at every beginning, one after the other."""
    with np.errstate(divide="ignore", invalid="ignore"):
        order = np.argsort(np.where(q > 0, p / q, np.inf), kind="stable")
    p, q = p[order], q[order]
    k = min(k, np.count_nonzero(q))
    rest = np.maximum(q[::-1].cumsum()[::-1] - q, 0)
    rest[q.cumsum() >= 1 - 1e-15] = 0
    t = np.exp(np.arange(-45, np.log(50 / rest[rest > 0].min(initial=1)), 0.2))
    counts, every = np.zeros((k, len(t))), np.empty(len(q))
    counts[0] = 1
    for at, (rate, others) in enumerate(zip(q, rest, strict=True)):
        waits = np.exp(-rate * t)
        counts[1:] = counts[1:] * waits + counts[:-1] * (1 - waits)
        counts[0] *= waits
        every[at] = 0.2 * (others * t * np.exp(-others * t) * (1 - counts.sum(0))).sum()
        if others == 0:
            every[at] = np.count_nonzero(q[: at + 1]) >= k
    return 1 - max((every - p.cumsum()).max(), 0)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_optimum_of_distinct_drafts_is_that_of_all_beginnings(k):
    """Red when a block is left out that has the worst beginning, or times are cut too early."""
    rng = np.random.default_rng(k)
    for case in range(40):
        width = int(rng.integers(1, 40)) if case % 8 else 1500
        p, q = (rng.dirichlet(np.full(width, rng.choice([0.05, 0.3, 2.0]))) for _ in range(2))
        if width > 3 and case % 3 == 0:
            q[rng.integers(width, size=width // 2)] = 0
            q /= q.sum()
        want = distinct_optimum(p, q, k)
        assert optimal_acceptance(p, q, k, replacement=False) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("width", [2, 3, 6, 25])
def test_the_optimum_is_reached(width, k):
    rng = np.random.default_rng(100 * width + k)
    for concentration in (0.3, 2.0):
        p, q = (rng.dirichlet(np.full(width, concentration)) for _ in range(2))
        p, q = np.float32(p) / np.float32(p).sum(), np.float32(q) / np.float32(q).sum()
        p, q = (law.astype(float) / law.sum(dtype=float) for law in (p, q))
        check(p, q, k, "optimal", True, optimal_acceptance(p, q, k))


def test_laws_that_hardly_overlap_or_are_equal():
    for p, q in (
        ([0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]),
        ([0.25] * 4, [0.25] * 4),
        ([1, 0, 0, 0], [0.1, 0.2, 0.3, 0.4]),
        ([0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]),
        ([0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]),
    ):
        p, q = np.array(p, float), np.array(q, float)
        for k in (1, 2, 3):
            best = float(optimal_acceptance(p, q, k))
            check(p, q, k, "optimal", True, best)
            for method, replacement in (("rrs", True), ("rrs", False), ("kseq", True)):
                found = verified(p, q, k, method, replacement, 20_000)
                assert_law(np.bincount(found.token, minlength=4), p)
                if np.array_equal(p, q):
                    assert np.all(found.accepted == 0)


@pytest.mark.parametrize("method", ["rrs", "kseq", "optimal"])
def test_rules_act_on_both_laws(method):
    rng = np.random.default_rng(4)
    target, draft = rng.normal(size=60), rng.normal(size=60)
    rules = {"top_k": 8, "temperature": 0.7}
    draws = 100_000
    drafts = np.stack(
        [sample(np.tile(draft, (draws, 1)), rng=1, step=10 + i, **rules) for i in range(3)], 1
    )
    found = verify_multi(drafts, np.tile(target, (draws, 1)), np.tile(draft, (draws, 1)), rng=1,
                         method=method, replacement=True, **rules)  # fmt: skip
    kept = np.argsort(-target)[:8]
    weights = np.zeros(60)
    weights[kept] = np.exp(target[kept] / 0.7)
    assert_law(np.bincount(found.token, minlength=60), weights / weights.sum())


@pytest.mark.parametrize("method", ["rrs", "kseq", "optimal"])
def test_long_rows(method):
    """Laws over more tokens than a list has: 20,000 of them, in groups."""
    rng = np.random.default_rng(5)
    width, draws, groups = 20_000, 3_000, 8
    target, draft = 1.5 * rng.normal(size=width), 1.5 * rng.normal(size=width)
    target[:30] += 7
    draft[:30] += 7
    p, q = (np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in (target, draft))
    assert acceptance_rate(p, q) < 0.8
    rows = np.broadcast_to(target.astype(np.float32), (draws, width))
    beside = np.broadcast_to(draft.astype(np.float32), (draws, width))
    drafts = np.stack([sample(beside, rng=3, step=i + 1) for i in range(2)], 1)
    found = verify_multi(drafts, rows, beside, rng=3, method=method, replacement=True)
    chance = np.bincount(np.arange(width) % groups, p, groups)
    assert_law(np.bincount(found.token % groups, minlength=groups), chance)
    if method == "optimal":
        best = float(optimal_acceptance(p, q, 2))
        taken = int((found.accepted >= 0).sum())
        assert stats.binomtest(taken, draws, best).pvalue >= 1e-6


def test_threads_parts_and_axes():
    rng = np.random.default_rng(6)
    target, draft = rng.normal(size=(2, 12, 90)).astype(np.float32)
    drafts = gumbel_topk(draft, 4, rng=1).indices
    for method, replacement in (("rrs", False), ("kseq", True), ("optimal", True)):
        beside = {"method": method, "replacement": replacement, "rng": 2, "step": 3}
        whole = verify_multi(drafts, target, draft, **beside)
        for threads in (1, 2, 7):
            again = verify_multi(drafts, target, draft, num_threads=threads, **beside)
            assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
        parts = [
            verify_multi(
                drafts[part], target[part], draft[part], rows=np.arange(12)[part], **beside
            )
            for part in (slice(5), slice(5, None))
        ]
        for got, want in zip(zip(*parts, strict=True), whole, strict=True):
            assert np.array_equal(np.concatenate(got), want)
        folded = verify_multi(drafts.reshape(3, 4, 4), target.reshape(3, 4, 90),
                              draft.reshape(3, 4, 90), **beside)  # fmt: skip
        assert np.array_equal(folded.token, whole.token.reshape(3, 4))
        alone = verify_multi(drafts[7], target[7], draft[7], rows=7, **beside)
        assert (alone.accepted, alone.token) == (whole.accepted[7], whole.token[7])


def refused(match, *arguments, error=ValueError, **keywords):
    with pytest.raises(error, match=match):
        verify_multi(*arguments, **keywords)


def test_what_is_refused():
    target, draft = np.random.default_rng(7).normal(size=(2, 2, 9))
    drafts = np.array([[0, 1], [2, 3]])
    refused(r"^replacement: must be True with method='kseq', got False", drafts, target, draft,
            method="kseq", replacement=False)  # fmt: skip
    refused(r"^drafts: item \(1, 1\) must differ from those before", [[0, 1], [2, 2]], target,
            draft)  # fmt: skip
    refused(r"^drafts: item \(1, 0\) must be in \[0, 9\), got 9", [[0, 1], [9, 3]], target, draft)
    refused(r"^drafts: item 1 must be in \[0, 9\), got -1", [0, -1], target[0], draft[0])
    refused(r"^drafts: item \(0, 0\) must be a draw of the", draft.argsort(1)[:, :2], target, draft,
            top_k=2)  # fmt: skip
    refused(r"^drafts: must have one column", drafts[:, :0], target, draft)
    refused(r"^target_logits: must be of \(2,\) texts, as many as the others", drafts, target[0],
            draft)  # fmt: skip
    refused(r"^drafts: must be of \(2,\) texts", drafts[0], target, draft)
    refused(r"^draft_logits: must be of \(2,\) texts", drafts, target, draft[:1])
    refused(
        r"^draft_logits: must have the 9 tokens of target_logits, got 8",
        drafts,
        target,
        draft[:, :8],
    )
    refused(r"^xtc_probability: must not be given", drafts, target, draft, xtc_probability=0.5)
    torn = target.copy()
    torn[1, 2] = np.nan
    refused(r"^target_logits: row 1: contains NaN", drafts, torn, draft)
    refused(r"^draft_logits: row 1: contains NaN", drafts, target, torn)
    with pytest.raises(ValueError, match=r"^p: must sum to one, got 0.5"):
        acceptance_rate([0.5, 0], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"^q: item 1 must be in \[0, inf\), got -0.5"):
        acceptance_rate([0.5, 0.5], [1.5, -0.5])
    with pytest.raises(ValueError, match=r"^q: must have the shape of p"):
        optimal_acceptance([0.5, 0.5], [0.2, 0.3, 0.5], 2)
    with pytest.raises(ValueError, match=r"^alpha: must be in \[0, 1\]"):
        expected_accepted_tokens(1.5, 2)
