"""Mirostat: forced trajectories, the law of a step, the state, bad input."""

import pickle

import numpy as np
import pytest
from lawlib import assert_law, assert_mean
from sortes import Stream, _device
from sortes.decode import AdaptiveP, Mirostat, distribution, keep_mask
from vectors import load

CASES = [case for case in load("decode/truncation.json")["cases"] if case["group"] == "mirostat"]
N = 8_000


@pytest.fixture(
    params=["numpy", "torch", "torch-ref", pytest.param("cuda", marks=pytest.mark.cuda)]
)
def kind(request, monkeypatch):
    """Turns rows of logits into one kind of array."""
    if request.param == "numpy":
        return lambda x: x
    torch = pytest.importorskip("torch")
    if request.param == "torch-ref":
        # The state of devices, in tensors that can be looked at.
        monkeypatch.setattr(_device, "PRETEND", True)
    device = "cuda" if request.param == "cuda" else "cpu"
    return lambda x: torch.from_numpy(x).to(device)


def host(x):
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)


@pytest.mark.parametrize("surprise", ["truncated", "full"])
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_forced_trajectories(case, surprise, kind):
    """Of many rows with the same logits, follow one that drew the token of the trajectory."""
    sampler = Mirostat(**case["params"], surprise=surprise)
    for number, step in enumerate(case["steps"]):
        logits = np.tile(np.array(step["logits"], np.float32), (N, 1))
        sampler.mu = np.full(N, step["mu"])
        tokens = host(sampler.sample(kind(logits), rng=0, step=number))
        kept = np.flatnonzero(keep_mask(logits[:1], mirostat_mu=step["mu"])[0])
        assert kept.tolist() == step["keep"]
        assert set(tokens.tolist()) <= set(step["keep"])
        followed = np.flatnonzero(tokens == step["token"])
        assert followed.size
        sampler.reorder(followed[:1])
        want = [step[f"mu_next_{surprise}"]]
        np.testing.assert_allclose(host(sampler.mu), want, atol=2e-6)


def test_a_row_starts_at_twice_tau_and_follows_its_own_parameters():
    logits = np.random.default_rng(0).normal(0, 3, (2, 50)).astype(np.float32)
    tau, eta = np.array([2.0, 6.0]), np.array([0.5, 0.25])
    sampler = Mirostat(tau, eta)
    assert sampler.mu is None
    tokens = sampler.sample(logits, rng=1)
    law = distribution(logits, mirostat_mu=2 * tau)
    surprise = -np.log2(law[[0, 1], tokens])
    np.testing.assert_allclose(sampler.mu, 2 * tau - eta * (surprise - tau), rtol=1e-7)


def test_temperature_comes_first():
    logits = np.random.default_rng(1).normal(0, 3, (3, 50)).astype(np.float32)
    for surprise in ("truncated", "full"):
        hot, plain = Mirostat(3.0, surprise=surprise), Mirostat(3.0, surprise=surprise)
        drawn = hot.sample(logits, rng=2, temperature=2.0)
        np.testing.assert_array_equal(drawn, plain.sample(logits / 2, rng=2))
        np.testing.assert_allclose(hot.mu, plain.mu, rtol=1e-6)


@pytest.mark.law
def test_the_law_of_a_step():
    n = 10**6
    row = np.random.default_rng(2).normal(0, 2, 30).astype(np.float32)
    sampler = Mirostat(tau=1.5)
    tokens = sampler.sample(np.broadcast_to(row, (n, 30)), rng=3)
    p = np.exp(row.astype(np.float64) - row.max())
    p[-np.log2(p / p.sum()) > 3.0] = 0
    assert_law(np.bincount(tokens, minlength=30), p / p.sum())


@pytest.mark.law
def test_the_surprise_settles_at_tau():
    """In the long run mu stays bounded, so the mean surprise is tau, over every row."""
    rows, steps, tau, eta = 200, 1500, 3.0, 0.2
    row = np.random.default_rng(3).normal(0, 2, 200).astype(np.float32)
    logits = np.broadcast_to(row, (rows, 200))
    sampler = Mirostat(tau, eta)
    for step in range(500):
        sampler.sample(logits, rng=4, step=step)
    before = sampler.mu
    for step in range(500, 500 + steps):
        sampler.sample(logits, rng=4, step=step)
    mean = tau + (before - sampler.mu) / (eta * steps)
    assert np.abs(mean - tau).max() < 0.02
    assert_mean(mean, tau)


@pytest.mark.parametrize("make", [Mirostat, lambda: AdaptiveP(0.4)])
def test_the_step_is_honoured(make):
    logits = np.random.default_rng(9).normal(0, 2, (40, 30)).astype(np.float32)
    first = make().sample(logits, rng=Stream(7))
    third = make().sample(logits, rng=Stream(7), step=3)
    np.testing.assert_array_equal(make().sample(logits, rng=Stream(7), step=0), first)
    np.testing.assert_array_equal(make().sample(logits, rng=Stream(7).advance(3)), third)
    assert (first != third).any()


def of_three_rows():
    sampler = Mirostat()
    sampler.mu = [8.0, 9.0, 7.0]
    return sampler


class TestState:
    def test_pure_steps_are_those_of_sample(self, kind):
        sampler = Mirostat([2.0, 3.0, 2.0], surprise="full")
        logits = np.random.default_rng(6).normal(0, 3, (4, 3, 40)).astype(np.float32)
        state = sampler.init(kind(logits[0]))
        for step, rows in enumerate(logits):
            before = host(state.mu).copy()
            tokens, next_state = sampler.step(kind(rows), state, rng=7, step=step, top_k=20)
            np.testing.assert_array_equal(host(state.mu), before)
            state = next_state
            drawn = sampler.copy().sample(kind(rows), rng=7, step=step, top_k=20)
            if step == 0:
                np.testing.assert_array_equal(host(tokens), host(drawn))
        assert sampler.state is None
        kept = sampler.copy()
        for step, rows in enumerate(logits):
            tokens = kept.sample(kind(rows), rng=7, step=step, top_k=20)
        np.testing.assert_array_equal(host(kept.state.mu), host(state.mu))

    def test_copies_and_pickles(self):
        sampler = Mirostat([2.0, 3.0], 0.5, surprise="full")
        logits = np.random.default_rng(8).normal(0, 3, (2, 40)).astype(np.float32)
        sampler.sample(logits, rng=0)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(sampler, protocol))
            assert repr(again) == repr(sampler)
            np.testing.assert_array_equal(again.mu, sampler.mu)
        copied, mu = sampler.copy(), sampler.mu.copy()
        copied.sample(logits, rng=0, step=1)
        np.testing.assert_array_equal(sampler.mu, mu)
        sampler.sample(logits, rng=0, step=1)
        np.testing.assert_array_equal(sampler.mu, copied.mu)
        again.reorder([1]).sample(logits[:1], rng=0)
        kind, given, _ = sampler.__reduce__()[1]
        with pytest.raises(ValueError, match=r"^state: mu: item 0 must be in"):
            sampler.__reduce__()[0](kind, given, (np.array([np.nan]),))

    def test_a_mask_of_survivors(self):
        assert of_three_rows().reorder([True, False, True]).mu.tolist() == [8.0, 7.0]
        assert of_three_rows().reorder([]).mu.shape == (0,)

    def test_one_row_of_shape_v(self):
        sampler = Mirostat()
        token = sampler.sample(np.zeros(16, np.float32), rng=0)
        assert token.shape == ()
        np.testing.assert_allclose(sampler.mu, [10 - 0.1 * (4 - 5)])

    def test_follows_reordered_rows(self):
        logits = np.random.default_rng(4).normal(0, 3, (4, 40)).astype(np.float32)
        still, moved = Mirostat(2.0), Mirostat(2.0)
        order = np.array([2, 0, 3])
        still.sample(logits, rng=5)
        moved.sample(logits, rng=5)
        moved.reorder(order)
        np.testing.assert_array_equal(moved.mu, still.mu[order])
        a = still.sample(logits, rng=5, step=1)
        b = moved.sample(logits[order], rng=5, step=1, rows=order)
        np.testing.assert_array_equal(b, a[order])
        np.testing.assert_array_equal(moved.mu, still.mu[order])

    def test_reset(self):
        sampler = Mirostat()
        sampler.reorder([0])  # nothing to reorder yet
        sampler.sample(np.zeros((3, 4), np.float32), rng=0)
        sampler.reset()
        assert sampler.mu is None
        sampler.sample(np.zeros((2, 4), np.float32), rng=0)
        assert sampler.mu.shape == (2,)

    def test_another_number_of_rows(self):
        sampler = Mirostat()
        sampler.sample(np.zeros((3, 4), np.float32), rng=0)
        with pytest.raises(
            ValueError, match=r"^logits: has 2 rows, but the state holds 3; reorder"
        ):
            sampler.sample(np.zeros((2, 4), np.float32), rng=0)

    def test_parameters_follow_reordered_rows(self):
        sampler = Mirostat([2.0, 3.0], 0.5)
        sampler.reorder([1])
        sampler.sample(np.zeros((1, 4), np.float32), rng=0)
        np.testing.assert_allclose(sampler.mu, [6.0 - 0.5 * (2 - 3)])

    @pytest.mark.parametrize("arguments", [{"tau": [1.0, 2.0]}, {"eta": [1.0, 2.0]}])
    def test_parameters_of_other_rows(self, arguments):
        (name,) = arguments
        with pytest.raises(ValueError, match=f"^{name}: has 2 values for 1 rows of logits"):
            Mirostat(**arguments).sample(np.zeros(4, np.float32))

    def test_a_failed_call_changes_nothing(self):
        sampler = Mirostat()
        with pytest.raises(ValueError, match=r"^logits: row 0: contains NaN"):
            sampler.sample(np.array([[np.nan, 1.0]], np.float32))
        assert sampler.mu is None
        sampler.mu = [3.0]
        with pytest.raises(ValueError, match=r"^logits: row 0: contains NaN"):
            sampler.sample(np.array([[np.nan, 1.0]], np.float32))
        assert sampler.mu == [3.0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Mirostat(tau=0.0), ValueError, r"tau: must be in \(0, inf\), got 0.0"),
        (
            lambda: Mirostat(tau=[1.0, -1.0]),
            ValueError,
            r"tau: item 1 must be in .*, got -1.0",
        ),
        (lambda: Mirostat(tau="5"), TypeError, "tau: must be a number, got '5'"),
        (lambda: Mirostat(tau=[[1.0]]), ValueError, r"tau: must be a number or have shape \(B,\)"),
        (lambda: Mirostat(eta=np.nan), ValueError, r"eta: must be in \(0, inf\), got nan"),
        (lambda: Mirostat(eta=np.inf), ValueError, r"eta: must be in \(0, inf\), got inf"),
        (lambda: Mirostat(surprise="nats"), ValueError, "surprise: must be 'truncated' or 'full'"),
        (lambda: setattr(Mirostat(), "mu", [[1.0]]), ValueError, r"mu: must be .* shape \(B,\)"),
        (lambda: setattr(Mirostat(), "mu", [np.nan]), ValueError, r"mu: item 0 must be in"),
        (lambda: setattr(Mirostat(), "mu", "x"), TypeError, "mu: must be a number, got 'x'"),
        (lambda: Mirostat(5.0, 0.1, "full"), TypeError, ".*positional arguments"),
        (
            lambda: Mirostat().sample(np.zeros(4), mirostat_mu=2.0),
            TypeError,
            "mirostat_mu: is what the sampler moves",
        ),
        (
            lambda: Mirostat().step(np.zeros(4), None),
            TypeError,
            "state: must hold mu, got None",
        ),
        (lambda: of_three_rows().reorder([3]), ValueError, r"indices: item 0 must be in \[0, 3\)"),
        (lambda: of_three_rows().reorder([0, -1]), ValueError, "indices: item 1 must be in"),
        (lambda: of_three_rows().reorder([0.0]), TypeError, "indices: must hold integers"),
        (lambda: of_three_rows().reorder(2), ValueError, r"indices: must have shape \(n,\)"),
        (lambda: of_three_rows().reorder("x"), TypeError, "indices: must be an integer, got 'x'"),
        (lambda: of_three_rows().reorder(None), TypeError, "indices: must be an integer"),
        (lambda: of_three_rows().reorder([[0, 1]]), ValueError, "indices: must have shape"),
        (
            lambda: of_three_rows().reorder([True, False]),
            ValueError,
            r"indices: must have shape \(3,\) as a mask, got \(2,\)",
        ),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make()
