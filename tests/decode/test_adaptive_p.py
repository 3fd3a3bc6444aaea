"""Adaptive-p: the transform, the law of its draw, the state, bad input."""

import numpy as np
import pytest
from lawlib import assert_law
from sortes import _core, _device
from sortes.decode import AdaptiveP, distribution, sample
from vectors import load

CASES = [
    case
    for case in load("decode/truncation.json")["cases"]
    if case["group"] == "transform" and case["rule"] == "adaptive_p"
]

KINDS = ["numpy", "torch", "torch-ref", pytest.param("cuda", marks=pytest.mark.cuda)]


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def law_of(logits, target):
    """The law of one step, from the formula."""
    d = np.abs(softmax(logits) - target) / 0.3
    return softmax(np.where(np.isinf(logits), -np.inf, 5 - 10 * d**2 / (1 + d)))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_vectors(case):
    logits, target = np.array([case["logits"]], np.float32), case["expect"]["adapted_target"]
    reshaped = np.empty_like(logits)
    kernel = _core.decode.adaptive_p.adaptive_p
    normaliser = kernel((logits, False), np.array([target]), reshaped, None)
    np.testing.assert_allclose(reshaped[0], case["expect"]["logits"], rtol=2e-6)
    np.testing.assert_allclose(normaliser, np.log(np.exp(case["logits"]).sum()), rtol=1e-7)


@pytest.mark.law
@pytest.mark.parametrize("kind", KINDS)
def test_the_law_of_the_vectors(kind, monkeypatch):
    """State in, targets adapted, tokens drawn from the softmax of the transform."""
    n, case = 10**6 // len(CASES), CASES[0]
    row = np.array(case["logits"], np.float32)
    sampler = AdaptiveP(case["params"]["target"])
    sampler.state = [np.full(n, case["params"][name]) for name in ("weighted_sum", "total_weight")]
    logits = np.broadcast_to(row, (n, len(row)))
    tokens = draw(kind, monkeypatch, sampler, logits, rng=0)
    counts = np.bincount(tokens, minlength=len(row))
    assert_law(counts, softmax(np.array(case["expect"]["logits"])))
    p = softmax(row.astype(np.float64))[tokens]
    sum_, weight = (host(values) for values in sampler.state)
    np.testing.assert_allclose(sum_, p + 0.9 * case["params"]["weighted_sum"], rtol=1e-5)
    np.testing.assert_allclose(weight, 1 + 0.9 * case["params"]["total_weight"])


def draw(kind, monkeypatch, sampler, logits, **arguments):
    if kind == "numpy":
        return sampler.sample(logits, **arguments)
    torch = pytest.importorskip("torch")
    if kind == "torch-ref":
        # The operations of devices, on tensors that can be looked at.
        monkeypatch.setattr(_device, "PRETEND", True)
    device = "cuda" if kind == "cuda" else "cpu"
    tokens = sampler.sample(torch.tensor(np.ascontiguousarray(logits), device=device), **arguments)
    assert tokens.device.type == device
    return host(tokens)


def host(x):
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)


@pytest.mark.law
@pytest.mark.parametrize("kind", ["numpy", "torch-ref"])
def test_a_million_draws(kind, monkeypatch):
    n = 10**6
    row = np.random.default_rng(0).normal(0, 2, 12).astype(np.float32)
    row[7] = -np.inf
    tokens = draw(kind, monkeypatch, AdaptiveP(0.3), np.broadcast_to(row, (n, 12)), rng=1)
    assert_law(np.bincount(tokens, minlength=12), law_of(row.astype(np.float64), 0.3))


@pytest.mark.law
def test_rules_act_first():
    n = 200_000
    row = np.random.default_rng(1).normal(0, 2, 30).astype(np.float32)
    rules = {"temperature": 1.5, "min_p": 0.1}
    tokens = AdaptiveP(0.3).sample(np.broadcast_to(row, (n, 30)), rng=2, **rules)
    left = np.log(
        distribution(row, **rules), where=distribution(row, **rules) > 0, out=np.full(30, -np.inf)
    )
    assert np.isinf(left).any()
    assert_law(np.bincount(tokens, minlength=30), law_of(left, 0.3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_adapts(kind, monkeypatch):
    """Two steps by hand: three rows, one of them off."""
    rng = np.random.default_rng(2)
    target, decay = np.array([0.3, 0.6, -1.0]), np.array([0.9, 0.5, 0.0])
    sampler = AdaptiveP(target, decay)
    start = 1 / (1 - decay)
    want_sum, want_weight = np.clip(target, 0, 1) * start, start
    for step in range(3):
        logits = rng.normal(0, 2, (3, 12)).astype(np.float32)
        tokens = draw(kind, monkeypatch, sampler, logits, rng=3, step=step)
        p = np.array([softmax(row)[t] for row, t in zip(logits.astype(float), tokens, strict=True)])
        want_sum, want_weight = p + decay * want_sum, 1 + decay * want_weight
        np.testing.assert_allclose(host(sampler.state.weighted_sum), want_sum, rtol=1e-5)
        np.testing.assert_allclose(host(sampler.state.total_weight), want_weight)
        assert tokens[2] == sample(logits, rng=3, step=step)[2]


@pytest.mark.parametrize("name", ["float16", "float64", "bfloat16"])
def test_precisions_and_one_row(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = ml_dtypes.bfloat16 if name == "bfloat16" else name
    logits = np.array([2.0, 0.5, -1.0, -4.0]).astype(dtype)
    exact, other = AdaptiveP(0.5), AdaptiveP(0.5)
    token = exact.sample(logits, rng=5)
    assert token.shape == ()
    assert token == other.sample(logits.astype(np.float32), rng=5)
    np.testing.assert_allclose(exact.state, other.state, rtol=1e-6)


def test_bias_and_mask_act_first():
    logits = np.random.default_rng(7).normal(0, 2, (200, 12)).astype(np.float32)
    edited = logits.copy()
    edited[:, 3] += 2.0
    edited[:, 5:] = -np.inf
    mask = np.arange(12) < 5
    one, other = AdaptiveP(0.4), AdaptiveP(0.4)
    tokens = one.sample(logits, logit_bias={3: 2.0}, mask=mask, rng=0)
    np.testing.assert_array_equal(tokens, other.sample(edited, rng=0))
    np.testing.assert_allclose(one.state.weighted_sum, other.state.weighted_sum, rtol=1e-5)


def test_the_kernel_reports_rows_and_hears_a_callback():
    kernel, calls = _core.decode.adaptive_p.adaptive_p, []
    x, targets = np.zeros((5, 100)), np.full(5, 0.5)
    report = lambda *units: calls.append(units)  # noqa: E731
    kernel((x, False), targets, np.empty((5, 100), np.float32), (None, report))
    assert calls[-1] == (5, 5)

    def stop(done, total):
        raise LookupError(f"enough of {total}")

    with pytest.raises(LookupError, match=r"^enough of 5$"):
        kernel((x, False), targets, np.empty((5, 100), np.float32), (None, stop))


def test_state_follows_reordered_rows():
    logits = np.random.default_rng(5).normal(0, 2, (4, 12)).astype(np.float32)
    sampler = AdaptiveP(0.4)
    sampler.sample(logits, rng=6)
    before = sampler.state
    sampler.reorder([3, 1])
    np.testing.assert_array_equal(sampler.state.weighted_sum, before.weighted_sum[[3, 1]])
    np.testing.assert_array_equal(sampler.state.total_weight, before.total_weight[[3, 1]])
    with pytest.raises(ValueError, match=r"^logits: has 4 rows, but the state holds 2"):
        sampler.sample(logits, rng=6)
    sampler.reset()
    assert sampler.state is None


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: AdaptiveP(1.5), ValueError, r"target: must be in \(-inf, 1\], got 1.5"),
        (lambda: AdaptiveP(np.nan), ValueError, r"target: must be in \(-inf, 1\], got nan"),
        (lambda: AdaptiveP(None), TypeError, "target: must be a number, got None"),
        (lambda: AdaptiveP(0.5, 1.0), ValueError, r"decay: must be in \[0, 0.99\], got 1.0"),
        (lambda: AdaptiveP(0.5, -0.1), ValueError, r"decay: must be in \[0, 0.99\], got -0.1"),
        (
            lambda: setattr(AdaptiveP(0.5), "state", ([1.0], [1.0, 2.0])),
            ValueError,
            "state: weighted_sum and total_weight must have the same length",
        ),
        (
            lambda: setattr(AdaptiveP(0.5), "state", [[1.0]]),
            TypeError,
            r"state: must hold weighted_sum and total_weight, got \[\[1.0\]\]",
        ),
        (
            lambda: setattr(AdaptiveP(0.5), "state", (1.0, 1.0)),
            ValueError,
            r"state: weighted_sum: must have shape \(B,\), got \(\)",
        ),
        (
            lambda: setattr(AdaptiveP(0.5), "state", ([1.0], [0.0])),
            ValueError,
            r"state: total_weight: item 0 must be in \(0, inf\), got 0.0",
        ),
        (
            lambda: AdaptiveP(0.5).sample(np.array([[0.0, 1.0], [np.inf, 0.0]], np.float32)),
            ValueError,
            r"logits: row 1: contains NaN or \+inf",
        ),
        (
            lambda: AdaptiveP(0.5).sample(np.full((1, 2), -np.inf, np.float32)),
            ValueError,
            "logits: row 0: no finite logit",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
