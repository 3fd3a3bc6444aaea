"""Gumbel top-k: the vectors, the law, and what it refuses."""

import itertools

import numpy as np
import pytest
import sortes
from lawlib import assert_cdf, assert_law
from sortes import select
from sortes.sequences import conditional_gumbel, gumbel_topk, log_survival
from vectors import load

VECTORS = load("sequences/gumbel.json")
DRAWS = 100_000


@pytest.mark.parametrize("case", VECTORS["importance_weights"], ids=lambda c: f"k={c['k']}")
def test_given_noise(case):
    logp, perturbed, k = np.array(case["logp"]), np.array(case["perturbed"]), case["k"]
    drawn = gumbel_topk(logp, k, noise=perturbed - logp)
    assert drawn.indices.tolist() == case["indices"]
    assert drawn.perturbed == pytest.approx(perturbed[case["indices"]], rel=1e-12)
    assert drawn.kappa == pytest.approx(case["kappa"], rel=1e-12)
    assert drawn.num_valid == k


@pytest.mark.parametrize("case", VECTORS["log_survival"], ids=lambda c: f"x={c['x']}")
def test_log_survival(case):
    want = -200.0 if case["y"] == -np.inf else case["y"]  # the vector has lost it to underflow
    assert log_survival([case["x"]])[0] == pytest.approx(want, rel=1e-11, abs=1e-15)


@pytest.mark.parametrize("case", VECTORS["conditional_gumbel"], ids=str)
def test_conditional_gumbel(case):
    logp, gumbels = np.array(case["logp"]), np.array(case["gumbels"])
    noise = np.where(np.isfinite(logp), gumbels - np.where(np.isfinite(logp), logp, 0), 0)
    got = conditional_gumbel(logp, case["target_max"], noise=noise)
    assert got == pytest.approx(np.array(case["conditioned"]), rel=1e-12)
    # A matrix is its rows.
    twice = conditional_gumbel([logp] * 2, [case["target_max"], 1.0], noise=[noise] * 2)
    assert np.array_equal(twice[0], got)
    assert twice[1].max() == 1.0


def beams(case, lm, noise):
    """A stochastic beam search with the noise of the vectors, by the functions of the family."""
    k, kappa = case["k"], -np.inf
    beam = [((), 0.0, case["root_gumbel"])]
    while not all(ends(tokens, lm) for tokens, _, _ in beam):
        candidates = [hypothesis for hypothesis in beam if ends(hypothesis[0], lm)]
        for tokens, logp, value in beam:
            if ends(tokens, lm):
                continue
            law = np.log(lm["table"][",".join(map(str, tokens))])
            names = [",".join(map(str, (*tokens, t))) for t in range(len(law))]
            children = conditional_gumbel(logp + law, value, noise=[noise[name] for name in names])
            candidates += [((*tokens, t), logp + law[t], children[t]) for t in range(len(law))]
        candidates.sort(key=lambda hypothesis: -hypothesis[2])
        beam = candidates[:k]
        kappa = max([kappa, *(value for _, _, value in candidates[k : k + 1])])
    return beam, kappa


def ends(tokens, lm):
    return tokens[-1:] == (lm["eos"],) or len(tokens) == lm["max_len"]


@pytest.mark.parametrize("case", VECTORS["sbs"]["cases"], ids=lambda c: f"k={c['k']}")
def test_beams_of_given_noise(case):
    beam, kappa = beams(case, VECTORS["sbs"]["lm"], VECTORS["sbs"]["noise"])
    assert [list(tokens) for tokens, _, _ in beam] == case["sequences"]
    assert [value for _, _, value in beam] == pytest.approx(case["perturbed"], rel=1e-10)
    assert kappa == pytest.approx(case["kappa"], rel=1e-10)


@pytest.mark.law
@pytest.mark.parametrize("case", VECTORS["plackett_luce"], ids=lambda c: f"k={c['k']}")
def test_the_law(case):
    probs, k = np.array(case["probs"]), case["k"]
    law = {tuple(map(int, name.split(","))): p for name, p in case["ordered"].items()}
    outcomes = list(itertools.permutations(range(len(probs)), k))
    with np.errstate(divide="ignore"):
        logits = np.broadcast_to(np.log(probs), (DRAWS, len(probs)))
    drawn = gumbel_topk(logits, k, rng=5).indices
    place = drawn @ len(probs) ** np.arange(k)
    known = [np.dot(outcome, len(probs) ** np.arange(k)) for outcome in outcomes]
    counts = [(place == number).sum() for number in known]
    want = np.array([law.get(outcome, 0.0) for outcome in outcomes])
    assert_law(counts, want / want.sum())


@pytest.mark.law
def test_the_threshold_has_its_law():
    """Of equal weights kappa is an order statistic of Gumbel variables."""
    drawn = gumbel_topk(np.zeros((DRAWS, 3)), 2, rng=1)

    def cdf(x):  # of the least of three
        return 1 - (1 - np.exp(-np.exp(-x))) ** 3

    assert_cdf(drawn.kappa, cdf)


@pytest.mark.law
def test_conditioned_values_have_their_law():
    """The other of two is a Gumbel variable below the maximum."""
    got = conditional_gumbel(np.zeros((DRAWS, 2)), 0.5, rng=2)
    assert np.all(got.max(1) == 0.5)
    assert_law(np.bincount(got.argmax(1)), [0.5, 0.5])
    assert_cdf(got.min(1), lambda x: np.exp(np.exp(-0.5) - np.exp(-x)))


def test_it_is_the_race_of_select():
    weights = np.random.default_rng(0).exponential(size=100_000)
    weights[::7] = 0
    with np.errstate(divide="ignore"):
        logits = np.log(weights)
    drawn = gumbel_topk(logits, 500, rng=3, step=2)
    picked = select.choice(weights, 500, replace=False, rng=3, step=2)
    assert np.array_equal(drawn.indices, picked)
    keys = select.weighted_keys(weights, rng=3, step=2)
    assert drawn.perturbed == pytest.approx(-np.log(keys[picked]), rel=1e-12, abs=1e-12)
    assert drawn.kappa == pytest.approx(-np.log(np.sort(keys)[500]), rel=1e-12)


@pytest.mark.parametrize("shape", [(3, 70_000), (9, 5_000), (1, 40)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_threads_and_rows(shape, dtype):
    logits = np.random.default_rng(1).normal(size=shape).astype(dtype)
    first = gumbel_topk(logits, 33, rng=4, num_threads=1)
    for threads in (2, 7):
        again = gumbel_topk(logits, 33, rng=4, num_threads=threads)
        assert all(map(np.array_equal, first, again))
    for row, stream in enumerate(sortes.Stream(9).split(len(logits))):
        whole = gumbel_topk(logits, 33, rng=sortes.Stream(9))
        alone = gumbel_topk(logits[row], 33, rng=stream)
        assert np.array_equal(whole.indices[row], alone.indices)
        assert whole.kappa[row] == alone.kappa
    conditioned = conditional_gumbel(logits, 1.0, rng=4, num_threads=1)
    assert np.array_equal(conditioned, conditional_gumbel(logits, 1.0, rng=4, num_threads=7))
    assert np.array_equal(conditioned.argmax(1), first.indices[:, 0])


def test_the_first_items_do_not_depend_on_k():
    logits = np.random.default_rng(2).normal(size=1000)
    most = gumbel_topk(logits, 1000, rng=0)
    assert most.kappa == -np.inf
    assert sorted(most.indices) == list(range(1000))
    for k in (0, 1, 17, 999):
        drawn = gumbel_topk(logits, k, rng=0)
        assert np.array_equal(drawn.indices, most.indices[:k])
        assert drawn.kappa == most.perturbed[k]


def test_fewer_items_than_asked_for():
    drawn = gumbel_topk([[0.0, -np.inf, 1.0], [-np.inf] * 3], 3, rng=0)
    assert sorted(drawn.indices[0]) == [-1, 0, 2]
    assert drawn.indices[1].tolist() == [-1] * 3
    assert drawn.num_valid.tolist() == [2, 0]
    assert np.all(np.isneginf(drawn.kappa))
    assert np.isneginf(drawn.perturbed[0, 2])


def test_kinds_of_arrays():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(3).normal(size=(2, 50)).astype(np.float32)
    want = gumbel_topk(logits, 4, rng=0)
    got = gumbel_topk(torch.from_numpy(logits), 4, rng=0)
    assert all(isinstance(part, torch.Tensor) for part in got)
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(want, got, strict=True))
    half = torch.from_numpy(logits).bfloat16()
    same = gumbel_topk(half.double().numpy(), 4, rng=0)
    assert np.array_equal(gumbel_topk(half, 4, rng=0).indices.numpy(), same.indices)


BAD = {
    "nan": (lambda: gumbel_topk([[0.0], [np.nan]], 1), r"^logits: row 1: contains NaN or \+inf$"),
    "inf": (lambda: gumbel_topk([0.0, np.inf], 1), r"^logits: row 0: contains NaN or \+inf$"),
    "k": (lambda: gumbel_topk([0.0], 2), r"^k: must be at most the number of columns, 1, got 2$"),
    "negative": (lambda: gumbel_topk([0.0], -1), r"^k: must be at least 0"),
    "noise": (lambda: gumbel_topk([0.0], 1, noise=[[1.0]]), r"^noise: must have shape \(1,\)"),
    "bad noise": (lambda: gumbel_topk([0.0], 1, noise=[np.inf]), r"^noise: item 0 must be in"),
    "both": (lambda: gumbel_topk([0.0], 1, noise=[0.0], rng=0), r"^rng: must not be given with"),
    "streams": (
        lambda: gumbel_topk([[0.0]], 1, rng=[sortes.Stream(0)] * 2),
        r"^rng: must hold one stream for each of 1 rows",
    ),
    "maximum": (
        lambda: conditional_gumbel([[0.0], [0.0]], [1.0, np.nan]),
        r"^maximum: item 1 must be in",
    ),
    "maxima": (lambda: conditional_gumbel([0.0], [1.0, 2.0]), r"^maximum: must be a number"),
    "logprobs": (lambda: conditional_gumbel([np.nan], 1.0), r"^logprobs: row 0: contains NaN"),
    "x": (lambda: log_survival([0.0, np.nan]), r"^x: item 1 must be in"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_progress_counts_logits():
    seen = []
    gumbel_topk(np.zeros((4, 1000)), 2, rng=0, progress=lambda *told: seen.append(told))
    assert seen[-1] == (4000, 4000)
