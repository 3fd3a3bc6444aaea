"""Basis-aware truncation: vectors, proofs, another solver, rules, the law of the draw."""

import pickle
import re
from functools import partial
from time import monotonic
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_law
from sigint import ctrl_c_after
from sortes import Stream, _device
from sortes.decode import BasisAwareOutput, BasisAwareSampler, Rules, cutoffs, keep_mask, sample
from sortes.select import DynamicWeights
from vectors import load

CASES = [c for c in load("decode/truncation.json")["cases"] if c["group"] == "basis_aware"]


def softmax(logits):
    p = np.exp(logits - np.max(logits))
    return p / p.sum()


def sampler_of(W, **options):
    """Make a sampler that uses every column of `W` as it is."""
    W = np.asarray(W, np.float32)
    return BasisAwareSampler.from_features(np.c_[W, np.ones(len(W))], **options)


def problem(seed, V, c, *, spread=2.0, ties=False, removed=False):
    """Return a matrix and logits, which are numbers of float32; with `ties`, tokens coincide."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((V, c))
    logits = (spread * rng.standard_normal(V)).astype(np.float32).astype(float)
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
            critical = sampler_of(case["W"], nonneg=nonneg).critical(case["logits"])
            np.testing.assert_allclose(critical, expect[name], rtol=0, atol=1e-6)

    def test_keep_sets(self, case):
        threshold = sampler_of(np.empty((len(case["W"]), 0)))
        for by_tau in case["expect"]["by_tau"]:
            rule = {"epsilon_cutoff": by_tau["tau"]}
            kept = sampler_of(case["W"]).keep_mask(case["logits"], **rule)
            assert np.flatnonzero(kept).tolist() == by_tau["keep"]
            # Without columns, the threshold rule; the most probable token is kept anyway.
            kept = set(np.flatnonzero(threshold.keep_mask(case["logits"], **rule)))
            assert kept == {*by_tau["threshold_keep"], np.argmax(case["logits"])}

    def test_certificates(self, case):
        for nonneg in (True, False):
            sampler = sampler_of(case["W"], nonneg=nonneg)
            for token, critical in enumerate(sampler.critical(case["logits"])):
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
        np.testing.assert_allclose(sampler.critical(logits, ids), expected, rtol=1e-6, atol=1e-9)


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
    values = sampler.critical(logits, ids)
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
        nonneg = sampler_of(W).critical(logits)
        signed = sampler_of(W, nonneg=False).critical(logits)
        assert (p <= signed * (1 + 1e-9)).all()
        assert (signed <= nonneg * (1 + 1e-9)).all()
        assert (nonneg <= 1).all()

    @given(seed=st.integers(0, 2**32), V=st.integers(2, 40), c=st.integers(1, 6))
    def test_a_column_more_never_removes_a_token(self, seed, V, c):
        W, logits = problem(seed, V, c)
        for nonneg in (True, False):
            fewer = sampler_of(W[:, 1:], nonneg=nonneg).critical(logits)
            assert (fewer <= sampler_of(W, nonneg=nonneg).critical(logits) * (1 + 1e-9)).all()

    @given(seed=st.integers(0, 2**32), V=st.integers(2, 40), c=st.integers(1, 6))
    def test_the_keep_set_shrinks_as_tau_grows(self, seed, V, c):
        W, logits = problem(seed, V, c)
        before = np.ones(V, bool)
        for tau in (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9):
            kept = sampler_of(W).keep_mask(logits, epsilon_cutoff=tau)
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
        critical = sampler.critical(logits)
        np.testing.assert_allclose(
            sampler_of(W[order]).critical(logits[order]), critical[order], rtol=1e-9
        )
        # The product is rounded to float32.
        np.testing.assert_allclose(sampler_of(W @ turn).critical(logits), critical, rtol=1e-3)
        np.testing.assert_allclose(sampler_of(W * 1e-9).critical(logits), critical, rtol=1e-3)

    @given(seed=st.integers(0, 2**32), V=st.integers(1, 60), c=st.integers(0, 6))
    def test_masks_agree_with_critical_values(self, seed, V, c):
        W, logits = problem(seed, V, c, removed=V > 2)
        sampler = sampler_of(W)
        for rule in ({"eta_cutoff": 0.3}, {"top_p": 0.6}, {"min_p": 0.3}, {"top_k": 3}):
            tau, kept = sampler.cutoffs(logits, **rule), keep_mask(logits, **rule)
            expected = kept | (sampler.critical(logits) > tau)
            np.testing.assert_array_equal(sampler.keep_mask(logits, **rule), expected)

    def test_no_columns_is_the_threshold_rule(self):
        logits = problem(0, 50, 0)[1]
        sampler = sampler_of(np.empty((50, 0)))
        np.testing.assert_array_equal(
            sampler.keep_mask(logits, epsilon_cutoff=0.02), keep_mask(logits, epsilon_cutoff=0.02)
        )
        np.testing.assert_allclose(sampler.critical(logits), softmax(logits), rtol=1e-12)

    def test_the_only_token_is_kept(self):
        logits = [-np.inf, 1.0, -np.inf]
        for nonneg in (True, False):
            sampler = sampler_of([[1.0], [2.0], [3.0]], nonneg=nonneg)
            assert sampler.critical(logits).tolist() == [0, 1, 0]
            for rule in ({}, {"eta_cutoff": 0.01}, {"temperature": 0.0}):
                assert sampler.keep_mask(logits, **rule).tolist() == [False, True, False]
                assert sampler.sample(logits, rng=0, **rule) == 1


class TestCutoffs:
    """The probability at the cut: a threshold, or that of the least likely token kept."""

    LOGITS = np.log([0.5, 0.25, 0.125, 0.125])

    def cutoffs(self, logits=LOGITS, **rules):
        return sampler_of(np.eye(4)).cutoffs(logits, **rules)

    def test_thresholds(self):
        entropy = 1.75 * np.log(2)
        for epsilon in (0.01, 0.9):
            expected = min(epsilon, epsilon**0.5 * np.exp(-entropy))
            assert self.cutoffs(eta_cutoff=epsilon) == pytest.approx(expected, rel=1e-6)
            assert self.cutoffs(epsilon_cutoff=epsilon) == pytest.approx(epsilon, rel=1e-6)
        assert self.cutoffs(min_p=0.3) == pytest.approx(0.15, rel=1e-6)
        # A rule that would keep nothing keeps the most likely token.
        assert keep_mask(self.LOGITS, epsilon_cutoff=0.9).tolist() == [True, False, False, False]
        assert self.cutoffs(epsilon_cutoff=0.9, min_tokens_to_keep=2) == pytest.approx(0.25)

    @pytest.mark.parametrize(("top_p", "tau"), [(0.4, 0.5), (0.6, 0.25), (0.8, 0.125)])
    def test_least_likely(self, top_p, tau):
        assert self.cutoffs([self.LOGITS], top_p=top_p)[0] == pytest.approx(tau, rel=1e-6)
        assert self.cutoffs(top_k=2, top_p=0.9) == pytest.approx(0.25, rel=1e-6)

    def test_nothing_is_cut(self):
        for rules in ({}, {"temperature": 0.7}, {"top_p": 1.0}):
            assert self.cutoffs(**rules) == 0

    def test_temperature(self):
        assert self.cutoffs(top_p=0.1, temperature=0.5) == pytest.approx(8 / 11, rel=1e-6)
        assert self.cutoffs(temperature=0, top_p=0.5) == 1
        # Cut at temperature one, weighed at another.
        order = {"order": ["top_p", "temperature"]}
        cut = self.cutoffs(top_p=0.6, temperature=0.5, **order)
        assert cut == pytest.approx(2 / 11, rel=1e-6)

    def test_of_the_logits_that_the_family_keeps(self):
        logits = np.random.default_rng(0).normal(0, 2, (5, 4)).astype(np.float32)
        tau = self.cutoffs(logits, top_p=0.7)
        lowest = cutoffs(logits, top_p=0.7)[:, 0]
        p = np.exp(lowest - np.log(np.exp(logits.astype(float)).sum(1)))
        np.testing.assert_allclose(tau, p, rtol=1e-12)


class TestRules:
    W, LOGITS = problem(11, 200, 6)
    BATCH = LOGITS + np.random.default_rng(1).standard_normal((30, 200))

    def test_without_a_cut_it_is_sample(self):
        sampler = sampler_of(self.W)
        for rules in ({}, {"temperature": 0.7}, {"temperature": 0.0}, {"smoothing_factor": 0.2}):
            given = {"rng": 3, "step": 2, "rows": np.arange(30)[::-1], **rules}
            np.testing.assert_array_equal(
                sampler.sample(self.BATCH, **given), sample(self.BATCH, **given)
            )

    def test_the_token_is_that_of_sample_where_it_is_kept(self):
        sampler = sampler_of(self.W)
        kept = sampler.keep_mask(self.BATCH, eta_cutoff=0.1)
        first = sample(self.BATCH, rng=5)
        drawn = sampler.sample(self.BATCH, eta_cutoff=0.1, rng=5)
        stays = kept[np.arange(30), first]
        assert stays.any()
        assert not stays.all()
        np.testing.assert_array_equal(drawn[stays], first[stays])
        assert kept[np.arange(30), drawn].all()

    def test_bias_and_mask_shape_the_law(self):
        sampler, rule = sampler_of(self.W), {"eta_cutoff": 0.1}
        given = {"logit_bias": {3: 4.0, 8: -np.inf}, "mask": np.arange(200) % 3 > 0}
        edited = self.BATCH.astype(np.float32)
        edited[:, 3] += np.float32(4.0)
        edited[:, 8] = edited[:, ::3] = -np.inf
        for call in (sampler.keep_mask, sampler.cutoffs):
            np.testing.assert_array_equal(
                call(self.BATCH[:3], **rule, **given), call(edited[:3], **rule)
            )
        np.testing.assert_array_equal(
            sampler.sample(self.BATCH, rng=0, **rule, **given),
            sampler.sample(edited, rng=0, **rule),
        )
        np.testing.assert_array_equal(
            sampler.critical(self.BATCH[0], [1, 3, 8], **given),
            sampler.critical(edited[0], [1, 3, 8]),
        )

    def test_compiled_and_row_by_row(self):
        sampler = sampler_of(self.W)
        epsilon = np.linspace(0.0, 0.2, 30)
        rules = Rules(epsilon_cutoff=epsilon, temperature=0.8)
        tau = sampler.cutoffs(self.BATCH, rules)
        drawn = sampler.sample(self.BATCH, rules, rng=1)
        for row in (0, 10, 29):
            own = {"epsilon_cutoff": epsilon[row], "temperature": 0.8}
            assert tau[row] == sampler.cutoffs(self.BATCH[row], **own)
            assert drawn[row] == sampler.sample(self.BATCH[row], rng=1, rows=row, **own)

    @pytest.mark.parametrize("rule", [{"typical_p": 0.9}, {"xtc_probability": 0.5}])
    def test_rules_that_may_remove_the_best_are_refused(self, rule):
        (name,) = rule
        sampler = sampler_of(self.W)
        for method in ("sample", "keep_mask", "cutoffs"):
            with pytest.raises(ValueError, match=f"^{name}: may remove the most likely token"):
                getattr(sampler, method)(self.BATCH, **rule)


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
        sampler = sampler_of(W, nonneg=nonneg)
        critical = np.sort(sampler.critical(logits))
        rule = {"epsilon_cutoff": (critical[4] + critical[5]) / 2}
        kept = sampler.keep_mask(logits, **rule)
        p = softmax(logits)
        assert kept.sum() >= 5
        assert (kept & (p < rule["epsilon_cutoff"])).any()
        rows = np.broadcast_to(logits, (self.N // 10, 10))
        draws = [sampler.sample(rows, rng=seed, step=step, **rule) for step in range(10)]
        counts = np.bincount(np.concatenate(draws), minlength=10)
        assert_law(counts, np.where(kept, p, 0) / p[kept].sum())

    def test_out_of_programs(self):
        # Without a program, the draw is from the tokens above the threshold.
        W, logits = problem(2, 10, 3, spread=1.0)
        p = softmax(logits)
        tau = np.sort(p)[5]
        rows = np.broadcast_to(logits, (self.N // 5, 10))
        draws = sampler_of(W, max_lp=0).sample(rows, epsilon_cutoff=tau, rng=7)
        weights = np.where(keep_mask(logits, epsilon_cutoff=tau), p, 0)
        assert_law(np.bincount(draws, minlength=10), weights / weights.sum())


class TestReproducibility:
    W, LOGITS = problem(3, 300, 6)
    BATCH = LOGITS + np.random.default_rng(0).standard_normal((40, 300))
    RULE: ClassVar = {"epsilon_cutoff": 0.02}

    def sampler(self):
        return sampler_of(self.W)

    def sample(self, logits, **arguments):
        return self.sampler().sample(logits, **self.RULE, **arguments)

    def test_threads_and_batches_do_not_matter(self):
        whole = self.sample(self.BATCH, rng=5, step=3, details=True)
        assert whole.programs.sum() > 10
        for num_threads in (1, 2, 7):
            again = self.sample(self.BATCH, rng=5, step=3, num_threads=num_threads, details=True)
            for x, y in zip(again, whole, strict=True):
                np.testing.assert_array_equal(x, y)
        parts = [
            self.sample(self.BATCH[part], rng=5, step=3, rows=np.arange(40)[part])
            for part in (slice(0, 13), slice(13, 40))
        ]
        np.testing.assert_array_equal(np.concatenate(parts), whole.tokens)

    def test_streams(self):
        whole = self.sample(self.BATCH, rng=Stream(9), step=4)
        np.testing.assert_array_equal(self.sample(self.BATCH, rng=Stream(9).advance(4)), whole)
        each = [Stream(9)] * 40
        np.testing.assert_array_equal(self.sample(self.BATCH, rng=each, step=4), whole)
        assert (self.sample(self.BATCH, rng=Stream(10), step=4) != whole).any()
        assert (self.sample(self.BATCH, rng=Stream(9)) != whole).any()

    def test_threads_do_not_change_masks_and_values(self):
        sampler = self.sampler()
        for call in (partial(sampler.keep_mask, **self.RULE), sampler.critical):
            one = call(self.BATCH[:2], num_threads=1)
            np.testing.assert_array_equal(call(self.BATCH[:2], num_threads=3), one)

    def test_bytes_and_copies(self):
        sampler = self.sampler().with_options(max_lp=None, nonneg=False)
        tokens = sampler.sample(self.BATCH, rng=0, **self.RULE)
        for again in (
            pickle.loads(pickle.dumps(sampler)),
            BasisAwareSampler.from_bytes(sampler.to_bytes()),
            sampler.copy(),
        ):
            assert again.options == sampler.options
            assert repr(again) == repr(sampler)
            np.testing.assert_array_equal(again.features, sampler.features)
            np.testing.assert_array_equal(again.sample(self.BATCH, rng=0, **self.RULE), tokens)
        data = bytearray(sampler.to_bytes())
        data[len(data) // 2] ^= 1
        with pytest.raises(ValueError, match=r"^data: corrupt"):
            BasisAwareSampler.from_bytes(data)
        with pytest.raises(ValueError, match=r"^data: corrupt: its kind"):
            BasisAwareSampler.from_bytes(DynamicWeights([1, 2]).to_bytes())

    def test_ctrl_c_stops_a_draw(self):
        rows = np.broadcast_to(self.LOGITS, (500_000, 300))
        assert answered_in(lambda: self.sample(rows, rng=0)) < 0.5
        assert answered_in(lambda: self.sampler().critical(rows[:100_000])) < 0.5
        assert answered_in(lambda: self.sampler().keep_mask(rows, **self.RULE)) < 0.5

    def test_ctrl_c_stops_the_reduction(self):
        W = np.broadcast_to(np.random.default_rng(0).standard_normal(1500), (400_000, 1500))
        assert answered_in(lambda: BasisAwareSampler(W, rank=1)) < 0.5
        features = np.ones((3_000_000, 20), np.float32)
        assert (
            answered_in(lambda: [BasisAwareSampler.from_features(features) for _ in range(9)]) < 1
        )

    def test_a_callback_stops_the_work(self):
        def stop(done, total):
            raise RuntimeError(f"enough after {done} of {total}")

        rows = np.broadcast_to(self.LOGITS, (200_000, 300))
        with pytest.raises(RuntimeError, match=r"enough after \d+ of 60000000"):
            self.sampler().critical(rows, progress=stop)
        with pytest.raises(RuntimeError, match=r"enough after \d+ of 200000"):
            self.sample(rows, progress=stop)
        with pytest.raises(RuntimeError, match=r"enough after 30 of 60"):
            BasisAwareSampler(np.eye(30), rank=2, progress=stop)

    def test_progress(self):
        calls = []
        report = lambda *at: calls.append(at)  # noqa: E731
        self.sampler().critical(self.LOGITS, [0, 1], progress=report)
        assert calls[-1] == (2, 2)
        self.sampler().keep_mask(self.LOGITS, progress=report, **self.RULE)
        assert calls[-1] == (300, 300)
        self.sample(self.BATCH, progress=report)
        assert calls[-1] == (40, 40)
        BasisAwareSampler(self.W, rank=3, progress=report)
        assert calls[-1] == (600, 600)


def answered_in(call):
    """How many seconds a call takes to answer a Ctrl-C."""
    with ctrl_c_after(0.3) as sent, pytest.raises(KeyboardInterrupt):
        call()
    return monotonic() - sent[0]


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

    def test_features_are_a_copy(self):
        sampler = BasisAwareSampler(np.eye(4), rank=2)
        sampler.features[0, 0] = 2
        assert (sampler.features <= 1).all()

    def test_torch(self, torch):
        W, logits = problem(0, 50, 8)
        W, logits = torch.tensor(W, dtype=torch.float32), torch.tensor(logits).float()
        expected = BasisAwareSampler(W.numpy(), rank=4)
        sampler = BasisAwareSampler(torch.nn.Parameter(W), rank=4)
        np.testing.assert_allclose(sampler.features, expected.features, atol=1e-5)
        rows, rule = torch.stack([logits, logits.flip(0)]), {"eta_cutoff": 0.05}
        tokens = sampler.sample(rows, rng=0, **rule)
        assert tokens.dtype is torch.int64
        np.testing.assert_array_equal(tokens, sampler.sample(rows.numpy(), rng=0, **rule))
        assert sampler.keep_mask(logits, **rule).dtype is torch.bool
        assert sampler.cutoffs(logits, **rule).shape == ()
        half = sampler.sample(rows.bfloat16(), rng=0, details=True, **rule)
        assert isinstance(half, BasisAwareOutput)
        assert all(part.dtype is torch.int64 for part in half)
        np.testing.assert_array_equal(
            half.tokens, sampler.sample(rows.bfloat16().float(), rng=0, **rule)
        )
        assert BasisAwareSampler(W.bfloat16(), rank=4).features.shape == (50, 5)

    @pytest.mark.parametrize("kind", ["pretend", pytest.param("cuda", marks=pytest.mark.cuda)])
    def test_tensors_of_a_device_come_back_to_it(self, torch, monkeypatch, kind):
        W, logits = problem(0, 50, 8)
        device = "cuda" if kind == "cuda" else "cpu"
        monkeypatch.setattr(_device, "PRETEND", kind == "pretend")
        sampler = BasisAwareSampler(torch.tensor(W, device=device), rank=4)
        rows = torch.tensor(logits, device=device).repeat(3, 1)
        tokens = sampler.sample(rows, eta_cutoff=0.05, rng=0)
        assert tokens.device == rows.device
        expected = BasisAwareSampler(W, rank=4)
        np.testing.assert_allclose(sampler.features, expected.features, atol=1e-5)
        np.testing.assert_array_equal(
            tokens.cpu(), expected.sample(rows.cpu().numpy(), eta_cutoff=0.05, rng=0)
        )

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_precisions_of_logits(self, dtype):
        W, logits = problem(0, 50, 4)
        logits = logits.astype(np.float16)
        sample = partial(sampler_of(W).sample, eta_cutoff=0.05, rng=3)
        expected = sample(np.float64([logits, logits]))
        np.testing.assert_array_equal(sample(np.array([logits, logits], dtype)), expected)

    def test_empty_batches(self):
        sampler = sampler_of(np.eye(3))
        assert sampler.sample(np.empty((0, 3))).shape == (0,)
        assert sampler.keep_mask(np.empty((0, 3))).shape == (0, 3)
        assert sampler.critical(np.empty((0, 3))).shape == (0, 3)
        assert sampler.critical(np.zeros(3), []).shape == (0,)


class TestErrors:
    W = np.eye(4)[:, :2]
    LOGITS = np.zeros(4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rank": 3}, "rank: must be at most 2 for W of shape (4, 2)"),
            ({"rank": -1}, "rank: must be in [0, 2**32 - 1), got -1"),
            ({"max_lp": -1}, "max_lp: must be in [0, 2**32 - 1), got -1"),
            ({"max_pivots": 0}, "max_pivots: must be in [1, 2**32 - 1), got 0"),
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
            ([[1.0, 0.0], [0.0, np.nan]], ValueError, "W: row 1 contains NaN or infinities"),
            ([[1.0, 0.0], [0.0, 1e200]], ValueError, "W: the sum of its squares exceeds"),
            (np.ones((3, 3), complex), TypeError, "W: must hold numbers, got complex128"),
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
        with pytest.raises(TypeError, match=r"^strict: must be True or False, got 1"):
            BasisAwareSampler.from_features([[1.0]], strict=1)
        with pytest.raises(TypeError, match=r"^rank: must be an integer, got 1\.5"):
            BasisAwareSampler(self.W, rank=1.5)

    @pytest.mark.parametrize(
        ("logits", "message"),
        [
            ([[0.0] * 4, [0, np.nan, 0, 0]], "logits: row 1: contains NaN or +inf"),
            ([0, np.inf, 0, 0], "logits: row 0: contains NaN or +inf"),
            ([-np.inf] * 4, "logits: row 0: no finite logit"),
            ([0.0] * 3, "logits: must have shape (B, 4), got (1, 3)"),
        ],
    )
    @pytest.mark.parametrize("method", ["sample", "keep_mask", "critical", "cutoffs"])
    def test_logits(self, method, logits, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            getattr(sampler_of(self.W), method)(np.array(logits))

    def test_arguments(self):
        sampler = sampler_of(self.W)
        for call, message in [
            (lambda: sampler.critical(self.LOGITS, [0, 4]), "ids: item 1 must be in [0, 4), got 4"),
            (lambda: sampler.certificate(self.LOGITS, -1, 0.1), "id: must be at least 0, got -1"),
            (lambda: sampler.certificate(self.LOGITS, 4, 0.1), "id: must be in [0, 4), got 4"),
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
            sampler.critical(self.LOGITS, [0.5])

    def test_steps(self):
        W, logits = problem(8, 60, 5)
        one, rule = sampler_of(W, max_pivots=1), {"epsilon_cutoff": 0.05}
        with pytest.raises(ValueError, match=r"token \d+: undecided after max_pivots=1 steps"):
            one.critical(logits)
        rows = np.broadcast_to(logits, (50, 60))
        with pytest.raises(ValueError, match=r"row \d+: program of token \d+: undecided after"):
            one.with_options(strict=True).sample(rows, rng=0, **rule)
        # A token whose program is given up is kept.
        drawn = one.sample(rows, rng=0, details=True, **rule)
        assert drawn.failures.sum() > 0
        assert (drawn.failures <= drawn.programs).all()
