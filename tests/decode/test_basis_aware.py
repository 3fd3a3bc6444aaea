"""Basis-aware truncation: vectors, proofs, another solver, the law of the draw."""

import _thread
import pickle
import re
from threading import Timer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_law
from sortes import Stream
from sortes.decode.basis_aware import BasisAwareOutput, BasisAwareSampler
from vectors import load

CASES = [c for c in load("decode/truncation.json")["cases"] if c["group"] == "basis_aware"]


def softmax(logits):
    p = np.exp(logits - np.max(logits))
    return p / p.sum()


def sampler_of(W, base="epsilon", **options):
    """Make a sampler that uses every column of `W` as it is."""
    W = np.asarray(W, np.float32)
    return BasisAwareSampler.from_features(np.c_[W, np.ones(len(W))], base, **options)


def problem(seed, V, c, *, spread=2.0, ties=False, removed=False):
    """Return a matrix and logits; with `ties`, tokens coincide."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((V, c))
    logits = spread * rng.standard_normal(V)
    if removed:
        logits[1::4] = -np.inf
    return (np.round(W) if ties else W), logits


def check_proof(sampler, logits, token, tau, certificate):
    """Check a decision from its definition alone."""
    a, p, sigma = sampler.features.astype(np.float64), softmax(logits), 1 / (1 - tau)
    others = np.arange(len(p)) != token
    if certificate.kept:
        r = a @ certificate.vector
        assert sigma * (p * np.maximum(r, 0))[others].sum() - p @ r < 0
        if not sampler.options["nonneg"]:
            size = np.abs(a) @ np.abs(certificate.vector)
            assert (r >= -1e-12 * size)[others & (p > 0)].all()
    else:
        q = certificate.vector
        assert q[token] == 0
        assert (q <= sigma * p + 1e-12).all()
        assert not sampler.options["nonneg"] or (q >= -1e-12).all()
        np.testing.assert_allclose(q @ a, p @ a, rtol=0, atol=1e-9 * np.abs(a).max())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
class TestVectors:
    def test_critical_values(self, case):
        expect = case["expect"]
        for nonneg, name in [(True, "tau_crit"), (False, "tau_crit_signed")]:
            tau_crit = sampler_of(case["W"], nonneg=nonneg).tau_crit(case["logits"])
            np.testing.assert_allclose(tau_crit, expect[name], rtol=0, atol=1e-6)

    def test_keep_sets(self, case):
        for by_tau in case["expect"]["by_tau"]:
            sampler = sampler_of(case["W"], epsilon=by_tau["tau"])
            assert np.flatnonzero(sampler.keep_mask(case["logits"])).tolist() == by_tau["keep"]
            # Without columns, the threshold rule; the most probable token is kept anyway.
            threshold = sampler_of(np.empty((len(case["W"]), 0)), epsilon=by_tau["tau"])
            kept = set(np.flatnonzero(threshold.keep_mask(case["logits"])))
            assert kept == {*by_tau["threshold_keep"], np.argmax(case["logits"])}

    def test_certificates(self, case):
        for nonneg in (True, False):
            sampler = sampler_of(case["W"], nonneg=nonneg)
            tau_crit = sampler.tau_crit(case["logits"])
            for token, critical in enumerate(tau_crit):
                for tau in {0.0, 0.01, 0.05, 0.15, 0.4, 0.99 * critical}:
                    certificate = sampler.certificate(case["logits"], token, tau)
                    assert certificate.kept == (critical > tau)
                    check_proof(sampler, case["logits"], token, tau, certificate)


def solve_with_highs(a, p, token, nonneg):
    """Return the critical value by another solver, on the definition with `sigma` unknown.

    The least mass `t` of a part of `p` with all of the token and the mean of `p`.
    """
    from scipy.optimize import linprog

    caps = p if nonneg else np.where(p > 0, np.inf, 0.0)
    bounds = np.c_[np.zeros(len(p)), caps]
    bounds[token] = p[token]
    result = linprog(
        np.r_[np.zeros(len(p)), 1.0],
        A_eq=np.c_[a.T, -(p @ a)],
        b_eq=np.zeros(a.shape[1]),
        bounds=np.r_[bounds, [[0, np.inf]]],
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.status == 2:  # infeasible: no sigma will do
        return 1.0
    assert result.status == 0, result.message
    return min(result.fun, 1.0)


@pytest.mark.parametrize("nonneg", [True, False])
@pytest.mark.parametrize(("ties", "removed"), [(False, False), (True, False), (False, True)])
def test_another_solver_agrees(nonneg, ties, removed):
    for seed in range(40):
        rng = np.random.default_rng([seed, 1])
        V, c = int(rng.integers(2, 60)), int(rng.integers(0, 8))
        W, logits = problem(seed, V, c, ties=ties, removed=removed)
        sampler = sampler_of(W, nonneg=nonneg)
        p, a = softmax(logits), sampler.features.astype(np.float64)
        ids = rng.choice(np.flatnonzero(p), min(4, np.count_nonzero(p)), replace=False)
        expected = [solve_with_highs(a, p, i, nonneg) for i in ids]
        np.testing.assert_allclose(sampler.tau_crit(logits, ids), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("nonneg", [True, False])
def test_another_solver_agrees_on_a_large_vocabulary(nonneg):
    # Large enough for restricted programs.
    W, logits = problem(5, 6000, 10, spread=3.0)
    sampler = sampler_of(W, nonneg=nonneg)
    p, a = softmax(logits), sampler.features.astype(np.float64)
    order = np.argsort(-p)
    ids = order[[2, 40, 300, 3000]]
    expected = [solve_with_highs(a * 1e3, p, i, nonneg) for i in ids]
    values = sampler.tau_crit(logits, ids)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-9)
    for token, value in zip(ids, values, strict=True):
        for tau in (0.999 * value, 1.001 * value):
            if tau < 1:
                certificate = sampler.certificate(logits, token, tau)
                assert certificate.kept == (tau < value)
                check_proof(sampler, logits, token, tau, certificate)


class TestInvariants:
    @given(seed=st.integers(0, 2**32), V=st.integers(1, 40), c=st.integers(0, 6))
    def test_critical_values_are_at_least_the_probabilities(self, seed, V, c):
        W, logits = problem(seed, V, c, ties=seed % 2 == 0)
        p = softmax(logits)
        nonneg = sampler_of(W).tau_crit(logits)
        signed = sampler_of(W, nonneg=False).tau_crit(logits)
        assert (p <= signed * (1 + 1e-9)).all()
        assert (signed <= nonneg * (1 + 1e-9)).all()
        assert (nonneg <= 1).all()

    @given(seed=st.integers(0, 2**32), V=st.integers(2, 40), c=st.integers(1, 6))
    def test_a_column_more_never_removes_a_token(self, seed, V, c):
        W, logits = problem(seed, V, c)
        for nonneg in (True, False):
            fewer = sampler_of(W[:, 1:], nonneg=nonneg).tau_crit(logits)
            assert (fewer <= sampler_of(W, nonneg=nonneg).tau_crit(logits) * (1 + 1e-9)).all()

    @given(seed=st.integers(0, 2**32), V=st.integers(2, 40), c=st.integers(1, 6))
    def test_the_keep_set_shrinks_as_tau_grows(self, seed, V, c):
        W, logits = problem(seed, V, c)
        before = np.ones(V, bool)
        for tau in (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9):
            kept = sampler_of(W, epsilon=tau).keep_mask(logits)
            assert (kept <= before).all()
            assert kept[np.argmax(logits)]
            before = kept

    @given(seed=st.integers(0, 2**32))
    def test_linear_maps_and_orders_do_not_matter(self, seed):
        W, logits = problem(seed, 25, 3)
        rng = np.random.default_rng(seed)
        order, turn = rng.permutation(25), rng.standard_normal((3, 3)) + 3 * np.eye(3)
        sampler = sampler_of(W)
        W = sampler.features[:, :-1].astype(np.float64)
        tau_crit = sampler.tau_crit(logits)
        np.testing.assert_allclose(
            sampler_of(W[order]).tau_crit(logits[order]), tau_crit[order], rtol=1e-9
        )
        # The product is rounded to float32.
        np.testing.assert_allclose(sampler_of(W @ turn).tau_crit(logits), tau_crit, rtol=1e-3)
        np.testing.assert_allclose(sampler_of(W * 1e-9).tau_crit(logits), tau_crit, rtol=1e-3)

    @given(seed=st.integers(0, 2**32), V=st.integers(1, 60), c=st.integers(0, 6))
    def test_masks_agree_with_critical_values(self, seed, V, c):
        W, logits = problem(seed, V, c, removed=V > 2)
        for base, parameter in [("eta", {"epsilon": 0.3}), ("top_p", {"top_p": 0.6})]:
            sampler = sampler_of(W, base, **parameter)
            tau, p = sampler.thresholds(logits), softmax(logits)
            # Our probabilities differ from NumPy's in the last digit.
            expected = (p >= tau * (1 - 1e-12)) | (sampler.tau_crit(logits) > tau)
            expected[np.argmax(logits)] = True
            np.testing.assert_array_equal(sampler.keep_mask(logits), expected)

    def test_no_columns_is_the_threshold_rule(self):
        logits = problem(0, 50, 0)[1]
        sampler = sampler_of(np.empty((50, 0)), epsilon=0.02)
        np.testing.assert_allclose(sampler.tau_crit(logits), softmax(logits), rtol=1e-12)

    def test_the_only_token_is_kept(self):
        logits = [-np.inf, 1.0, -np.inf]
        for nonneg in (True, False):
            sampler = sampler_of([[1.0], [2.0], [3.0]], nonneg=nonneg)
            assert sampler.tau_crit(logits).tolist() == [0, 1, 0]
            assert sampler.keep_mask(logits).tolist() == [False, True, False]
            assert sampler.sample(logits, rng=0) == 1


class TestThresholds:
    LOGITS = np.log([0.5, 0.25, 0.125, 0.125])

    def test_eta(self):
        entropy = 1.75 * np.log(2)
        for epsilon in (0.01, 0.9):
            expected = min(epsilon, epsilon**0.5 * np.exp(-entropy))
            sampler = sampler_of(np.eye(4), "eta", epsilon=epsilon)
            assert sampler.thresholds(self.LOGITS) == pytest.approx(expected, rel=1e-12)

    def test_epsilon(self):
        assert sampler_of(np.eye(4), epsilon=0.25).thresholds(self.LOGITS) == 0.25

    @pytest.mark.parametrize(("top_p", "tau"), [(0.4, 0.5), (0.6, 0.25), (0.8, 0.125), (1, 0.125)])
    def test_top_p(self, top_p, tau):
        sampler = sampler_of(np.eye(4), "top_p", top_p=top_p)
        assert sampler.thresholds([self.LOGITS])[0] == pytest.approx(tau, rel=1e-12)

    def test_temperature(self):
        sampler = sampler_of(np.eye(4), "top_p", top_p=0.1)
        assert sampler.thresholds(self.LOGITS, temperature=0.5) == pytest.approx(8 / 11)
        assert sampler.thresholds(self.LOGITS, temperature=0) == 1


@pytest.mark.law
class TestLaw:
    """The drawn token has the law of `p` restricted to the kept set.

    Broken by hand, it fails: every token kept, kept by the threshold alone, or drawn after a
    rejection without renormalising.
    """

    N = 1_000_000

    @pytest.mark.parametrize("nonneg", [True, False])
    @pytest.mark.parametrize("seed", [1, 4])
    def test_the_draw(self, nonneg, seed):
        W, logits = problem(seed, 10, 3, spread=1.0)
        # Between the critical values, so that tokens fall, and are saved, by the columns.
        tau_crit = np.sort(sampler_of(W, nonneg=nonneg).tau_crit(logits))
        tau = (tau_crit[4] + tau_crit[5]) / 2
        sampler = sampler_of(W, epsilon=tau, nonneg=nonneg)
        kept = sampler.keep_mask(logits)
        p = softmax(logits)
        assert kept.sum() >= 5
        assert (kept & (p < tau)).any()
        rows = np.broadcast_to(logits, (self.N // 10, 10))
        draws = [sampler.sample(rows, rng=seed, step=step) for step in range(10)]
        counts = np.bincount(np.concatenate(draws), minlength=10)
        assert_law(counts, np.where(kept, p, 0) / p[kept].sum())

    def test_out_of_programs(self):
        # Without a program, the draw is from the tokens above the threshold.
        W, logits = problem(2, 10, 3, spread=1.0)
        p = softmax(logits)
        tau = np.sort(p)[5]
        sampler = sampler_of(W, epsilon=tau, max_lp=0)
        draws = sampler.sample(np.broadcast_to(logits, (self.N // 5, 10)), rng=7)
        weights = np.where(p >= tau, p, 0)
        assert_law(np.bincount(draws, minlength=10), weights / weights.sum())


class TestReproducibility:
    W, LOGITS = problem(3, 300, 6)
    BATCH = LOGITS + np.random.default_rng(0).standard_normal((40, 300))

    def sampler(self):
        return sampler_of(self.W, "epsilon", epsilon=0.02)

    def test_threads_and_batches_do_not_matter(self):
        sampler = self.sampler()
        whole = sampler.sample(self.BATCH, rng=5, step=3, details=True)
        assert whole.programs.sum() > 10
        for num_threads in (1, 2, 7):
            again = sampler.sample(self.BATCH, rng=5, step=3, num_threads=num_threads, details=True)
            for x, y in zip(again, whole, strict=True):
                np.testing.assert_array_equal(x, y)
        parts = [
            sampler.sample(self.BATCH[part], rng=5, step=3, rows=np.arange(40)[part])
            for part in (slice(0, 13), slice(13, 40))
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole.tokens)

    def test_streams(self):
        sampler = self.sampler()
        whole = sampler.sample(self.BATCH, rng=Stream(9), step=4)
        np.testing.assert_array_equal(sampler.sample(self.BATCH, rng=Stream(9).advance(4)), whole)
        each = [Stream(9)] * 40
        np.testing.assert_array_equal(sampler.sample(self.BATCH, rng=each, step=4), whole)
        assert (sampler.sample(self.BATCH, rng=Stream(10), step=4) != whole).any()

    def test_threads_do_not_change_masks_and_values(self):
        sampler = self.sampler()
        for call in (sampler.keep_mask, sampler.tau_crit):
            one = call(self.BATCH[:2], num_threads=1)
            np.testing.assert_array_equal(call(self.BATCH[:2], num_threads=3), one)

    def test_pickle_and_files(self, tmp_path):
        sampler = self.sampler().with_options(max_lp=None, nonneg=False)
        sampler.save(tmp_path / "basis")
        tokens = sampler.sample(self.BATCH, rng=0)
        for copy in (
            pickle.loads(pickle.dumps(sampler)),
            BasisAwareSampler.load(tmp_path / "basis"),
        ):
            assert copy.options == sampler.options
            assert repr(copy) == repr(sampler)
            np.testing.assert_array_equal(copy.features, sampler.features)
            np.testing.assert_array_equal(copy.sample(self.BATCH, rng=0), tokens)
        changed = BasisAwareSampler.load(tmp_path / "basis", base="eta", epsilon=0.5)
        assert changed.options == sampler.options | {"base": "eta", "epsilon": 0.5}

    def test_interrupts(self):
        rows = np.broadcast_to(self.LOGITS, (2_000_000, 300))
        Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            self.sampler().sample(rows, rng=0)

        def stop(done, total):
            raise RuntimeError(f"enough after {done} of {total}")

        with pytest.raises(RuntimeError, match=r"enough after \d+ of 600000000"):
            self.sampler().tau_crit(rows, progress=stop)

    def test_progress(self):
        calls = []
        self.sampler().tau_crit(self.LOGITS, [0, 1], progress=lambda *at: calls.append(at))
        assert calls[-1] == (2, 2)


class TestMatrix:
    def test_the_reduction_spans_the_leading_vectors(self):
        W = np.random.default_rng(0).standard_normal((40, 12))
        leading = np.linalg.svd(W, full_matrices=False)[2][:5]
        sampler = BasisAwareSampler(W, rank=5)
        assert sampler.features.shape == (40, 6)
        assert sampler.features.dtype == np.float32
        assert (sampler.features[:, -1] == 1).all()
        # The same columns, up to their signs.
        np.testing.assert_allclose(
            np.abs(sampler.features[:, :-1]), np.abs(W @ leading.T), rtol=1e-4, atol=1e-6
        )

    def test_directions_in_which_the_matrix_vanishes_are_left_out(self):
        W = np.random.default_rng(0).standard_normal((40, 2)).repeat(3, axis=1)
        assert BasisAwareSampler(W, rank=5).features.shape == (40, 3)

    def test_features_are_read_only(self):
        features = BasisAwareSampler(np.eye(4), rank=2).features
        with pytest.raises(ValueError, match="read-only"):
            features[0, 0] = 2

    def test_torch(self, torch):
        W, logits = problem(0, 50, 8)
        W, logits = torch.tensor(W, dtype=torch.float32), torch.tensor(logits).float()
        expected = BasisAwareSampler(W.numpy(), rank=4)
        sampler = BasisAwareSampler(torch.nn.Parameter(W), rank=4)
        np.testing.assert_allclose(sampler.features, expected.features, atol=1e-5)
        rows = torch.stack([logits, logits.flip(0)])
        tokens = sampler.sample(rows, rng=0)
        assert tokens.dtype is torch.int64
        np.testing.assert_array_equal(tokens, sampler.sample(rows.numpy(), rng=0))
        assert sampler.keep_mask(logits).dtype is torch.bool
        half = sampler.sample(rows.bfloat16(), rng=0, details=True)
        assert isinstance(half, BasisAwareOutput)
        np.testing.assert_array_equal(half.tokens, sampler.sample(rows.bfloat16().float(), rng=0))
        assert BasisAwareSampler(W.bfloat16(), rank=4).features.shape == (50, 5)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_precisions_of_logits(self, dtype):
        W, logits = problem(0, 50, 4)
        logits = logits.astype(np.float16)
        sampler = sampler_of(W)
        expected = sampler.sample(np.float64([logits, logits]), rng=3)
        np.testing.assert_array_equal(
            sampler.sample(np.array([logits, logits], dtype), rng=3), expected
        )

    def test_empty_batches(self):
        sampler = sampler_of(np.eye(3))
        assert sampler.sample(np.empty((0, 3))).shape == (0,)
        assert sampler.keep_mask(np.empty((0, 3))).shape == (0, 3)
        assert sampler.tau_crit(np.empty((0, 3))).shape == (0, 3)
        assert sampler.tau_crit(np.zeros(3), []).shape == (0,)


class TestErrors:
    W = np.eye(4)[:, :2]
    LOGITS = np.zeros(4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rank": 3}, "rank: must be at most 2 for W of shape (4, 2)"),
            ({"rank": -1}, "rank: must be at least 0, got -1"),
            ({"base": "min_p"}, "base: must be 'eta', 'epsilon' or 'top_p', got 'min_p'"),
            ({"epsilon": 1.0}, "epsilon: must be in (0, 1), got 1.0"),
            ({"epsilon": np.nan}, "epsilon: must be in (0, 1), got nan"),
            ({"top_p": 0.5}, "top_p: is not a parameter of base='eta', got 0.5"),
            ({"base": "top_p", "top_p": 0}, "top_p: must be in (0, 1], got 0"),
            (
                {"base": "top_p", "epsilon": 0.1},
                "epsilon: is not a parameter of base='top_p', got 0.1",
            ),
            ({"max_lp": -1}, "max_lp: must be at least 0, got -1"),
            ({"max_pivots": 0}, "max_pivots: must be at least 1, got 0"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            BasisAwareSampler(self.W, **({"rank": 1} | options))

    @pytest.mark.parametrize(
        ("W", "error", "message"),
        [
            (np.ones(3), ValueError, "W: must have shape (V, d), got (3,)"),
            (np.ones((0, 3)), ValueError, "W: must have shape (V, d), got (0, 3)"),
            (np.full((3, 3), np.nan), ValueError, "W: contains NaN or infinities"),
            (np.ones((3, 3), complex), TypeError, "W: dtype must be a real number, got complex128"),
        ],
    )
    def test_matrix(self, W, error, message):
        with pytest.raises(error, match=re.escape(message)):
            BasisAwareSampler(W, rank=1)

    def test_features(self):
        with pytest.raises(ValueError, match=r"^features: the last column must hold ones, token 1"):
            BasisAwareSampler.from_features([[1.0, 1.0], [1.0, 2.0]])
        with pytest.raises(ValueError, match=r"^features: column 0 is not finite"):
            BasisAwareSampler.from_features([[np.inf, 1.0]])
        with pytest.raises(ValueError, match=r"^features: must have shape \(V, c \+ 1\), got \(2,"):
            BasisAwareSampler.from_features([1.0, 1.0])
        with pytest.raises(TypeError, match=r"^rank: is not an option of BasisAwareSampler"):
            BasisAwareSampler.from_features([[1.0]], rank=3)
        with pytest.raises(TypeError, match=r"^rank: must be an integer, got 1\.5"):
            BasisAwareSampler(self.W, rank=1.5)

    @pytest.mark.parametrize(
        ("logits", "message"),
        [
            ([[0.0] * 4, [0, np.nan, 0, 0]], "logits: row 1: contains NaN or +inf"),
            ([0, np.inf, 0, 0], "logits: row 0: contains NaN or +inf"),
            ([-np.inf] * 4, "logits: row 0: no finite logit"),
            ([0.0] * 3, "logits: expected shape (B, 4), got (1, 3)"),
        ],
    )
    @pytest.mark.parametrize("method", ["sample", "keep_mask", "tau_crit", "thresholds"])
    def test_logits(self, method, logits, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            getattr(sampler_of(self.W), method)(np.array(logits))

    def test_arguments(self):
        sampler = sampler_of(self.W)
        for call, message in [
            (lambda: sampler.tau_crit(self.LOGITS, [0, 4]), "ids: must be in [0, 4), got 4"),
            (lambda: sampler.certificate(self.LOGITS, -1, 0.1), "id: must be at least 0, got -1"),
            (lambda: sampler.certificate(self.LOGITS, 0, 1), "tau: must be in [0, 1), got 1"),
            (
                lambda: sampler.certificate([self.LOGITS], 0, 0.1),
                "logits: must have shape (V,), got (1, 4)",
            ),
            (
                lambda: sampler.sample(self.LOGITS, temperature=-1),
                "temperature: must be in [0, inf), got -1",
            ),
            (
                lambda: sampler.sample(self.LOGITS, rows=[-1]),
                "rows: item 0 must be in [0, 2**32), got -1",
            ),
            (
                lambda: sampler.sample(self.LOGITS, rows=[1, 2]),
                "rows: must have shape (1,), got (2,)",
            ),
        ]:
            with pytest.raises(ValueError, match=re.escape(message)):
                call()
        with pytest.raises(TypeError, match=r"^ids: must hold integers, got float64"):
            sampler.tau_crit(self.LOGITS, [0.5])

    def test_steps(self):
        W, logits = problem(8, 60, 5)
        one = sampler_of(W, epsilon=0.05, max_pivots=1)
        with pytest.raises(ValueError, match=r"token \d+: undecided after max_pivots=1 steps"):
            one.tau_crit(logits)
        rows = np.broadcast_to(logits, (50, 60))
        with pytest.raises(ValueError, match=r"row \d+: program of token \d+: undecided after"):
            one.with_options(strict=True).sample(rows, rng=0)
        # A token whose program is given up is kept.
        drawn = one.sample(rows, rng=0, details=True)
        assert drawn.failures.sum() > 0
        assert (drawn.failures <= drawn.programs).all()

    def test_files(self, tmp_path):
        np.savez(tmp_path / "other.npz", x=1)
        with pytest.raises(ValueError, match=r"^file: .* was not written by"):
            BasisAwareSampler.load(tmp_path / "other.npz")
