"""Plans that fit a denoiser: rows by least squares, descents, files."""

import json
import math

import numpy as np
import pytest
import sortes
import torch
from sortes import _core
from sortes.diffusion import (
    Fitted,
    GaussianMixture,
    Path,
    StepSpec,
    fit_plan,
    fit_schedule,
    fit_steps,
    noise_like,
    plan,
    plan_from_steps,
    sample,
)
from sortes.diffusion._descent import Batch, Knots, Rows, Schedules, descend
from sortes.diffusion.fitting import _Fit

LAW = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
DOUBLE = torch.float64
CLEAN = np.append(np.geomspace(12, 0.02, 60), 0.0)
PATHS = {
    "ve": Path.ve(CLEAN),
    "vp": Path.vp(CLEAN),
    "flow": Path.flow(np.append(1.0, CLEAN / (1 + CLEAN)), t_scale=1000.0),
    "noisy end": Path.ve(CLEAN[:-1]),
}


def states(path, n, seed, dtype=DOUBLE):
    """Noise at the first level."""
    z = noise_like(np.empty((n, 1)), rng=seed)
    return (torch.tensor(z) * float(path.sigma[0])).to(dtype)


def rmse(made, path, seed=2, n=2000):
    """How far a plan ends from the probability flow, which is known, on new noise."""
    x = states(path, n, seed)
    exact = LAW.ode_map(x, path[0], path[-1])
    ends = sample(LAW.denoise, x * (made.init_sigma / path.sigma[0]), made)
    return float((ends - exact).square().mean().sqrt())


class TestRows:
    """Rows of coefficients, and their fit."""

    @staticmethod
    def row(path, form, k):
        base, directions = _core.diffusion.fitting.row((path.kind, path.alpha, path.sigma), form, k)
        return base, directions.reshape(-1, len(base))

    @pytest.mark.parametrize("kind", PATHS)
    @pytest.mark.parametrize("order", [1, 2, 3])
    def test_classical_rows_are_exponential_adams(self, kind, order):
        path = PATHS[kind].take([0, 9, 21, 33, 48, len(PATHS[kind]) - 1])
        known = plan("exp_ab", path, order=order, lower_order_final=False)
        for k in range(path.n_steps):
            base, _ = self.row(path, (4, order, 0), k)
            row = known.row(k + 1)
            width = min(len(base) - 1, len(row.w))
            assert base[0] == pytest.approx(row.c, rel=1e-12)
            np.testing.assert_allclose(base[1 : 1 + width], row.w[:width], rtol=1e-9, atol=1e-13)
            assert not base[1 + width :].any()

    def test_least_squares(self):
        """Against numpy.linalg.lstsq: free, with a ridge, and with an order that is kept."""
        rng = np.random.default_rng(3)
        path = PATHS["ve"].take([0, 9, 21, 33, 48])
        for trial in range(40):
            kept, k = trial % 4, 3
            base, directions = self.row(path, (4, 3, kept), k)
            parts = rng.normal(size=(len(base), 30))
            parts[-1] += parts[-2] * 10 ** -(trial % 3)
            target = rng.normal(size=30)
            ridge = [0.0, 1e-3, 2.0][trial % 3]
            found = _core.diffusion.fitting.fitted(
                base,
                directions.ravel(),
                (parts @ parts.T).ravel(),
                parts @ target,
                ridge,
            )
            moved = directions @ parts
            weights = np.sqrt(ridge) * np.linalg.norm(moved, axis=1)
            matrix = np.vstack([moved.T, np.diag(weights)])
            right = np.concatenate([target - base @ parts, np.zeros(len(moved))])
            steps = np.linalg.lstsq(matrix, right, rcond=None)[0]
            np.testing.assert_allclose(found, base + steps @ directions, rtol=1e-8, atol=1e-9)
            for power in range(kept):
                gap = np.array([path.lam[k - j] - path.lam[k] for j in range(4)]) ** power
                assert (found - base)[1:] @ gap == pytest.approx(0, abs=1e-9)

    def test_not_finite(self):
        with pytest.raises(ValueError, match="denoiser: returned numbers that are not finite"):
            _core.diffusion.fitting.fitted(
                [0.0, 1.0], [1.0, 0.0], np.full(4, np.nan), np.ones(2), 0.0
            )

    def test_in_turn_a_linear_denoiser_is_exact(self):
        """Of normal data every state is a multiple of the first: one coefficient would do."""
        law = GaussianMixture([1.0], [[0.0]], 0.7)
        path = PATHS["vp"]
        x = states(path, 50, 1)
        batch = Batch(law.denoise, x, path, 50, None, torch)
        exact = [law.ode_map(x, path[0], path[i]) for i in range(len(path))]
        batch.targets = [exact[-1]]
        knots = Knots(path, 4)
        rows = Rows(batch, knots, 4, (4, 2, 0))
        places = [15, 30, 45]
        theta = np.zeros(rows.starts[-1])
        theta[:3] = knots.numbers(path.lam[places])
        fitted = rows.in_turn(theta, [[*(exact[i] for i in places), exact[-1]]], 0.0)
        assert batch.cost(rows.plan(fitted)) < 1e-20
        assert batch.cost(rows.plan(theta)) > 1e-5


class TestDescent:
    """Derivatives, and the numbers of levels."""

    @pytest.mark.parametrize("kind", PATHS)
    def test_numbers_of_levels(self, kind):
        path = PATHS[kind]
        knots = Knots(path, 5)
        lam = knots.low + (knots.high - knots.low) * np.array([0.1, 0.35, 0.4, 0.9])
        np.testing.assert_allclose(knots.lam(knots.numbers(lam)), lam, rtol=1e-12)
        z = knots.numbers(lam)
        slopes = knots.slopes(z)
        for i in range(4):
            moved = np.eye(4)[i] * 1e-6
            difference = (knots.lam(z + moved) - knots.lam(z - moved)) / 2e-6
            np.testing.assert_allclose(slopes[:, i], difference, rtol=1e-6, atol=1e-9)
        there = knots.path(z)
        assert there[0] == path[0]
        assert there[-1] == path[-1]
        np.testing.assert_allclose(there[2], path.at_lambda(float(lam[1])), rtol=1e-12)

    @pytest.mark.parametrize("kind", PATHS)
    @pytest.mark.parametrize("form", [(4, 2, 0), (2, 2, 1), (4, 3, 2)])
    def test_derivatives(self, kind, form):
        """Those by parts of runs, against those by whole runs, from both sides."""
        path = PATHS[kind]
        x = states(path, 20, 1)
        batch = Batch(LAW.denoise, x, path, 20, None, torch)
        batch.targets = [torch.zeros_like(x)]
        batch.moved = 1e-6
        knots = Knots(path, 4)
        rows = Rows(batch, knots, 4, form)
        theta = np.random.default_rng(0).normal(size=rows.starts[-1]) * 0.02
        level_family = Schedules(batch, knots, lambda levels: plan("unipc", levels))
        for family, at in [(rows, theta), (level_family, theta[:3])]:
            residual, columns = family.columns(at, 0)
            torch.testing.assert_close(residual, sample(LAW.denoise, x, family.plan(at)))
            assert len(columns) == len(at)
            for i, column in enumerate(columns):
                ends = [
                    sample(LAW.denoise, x, family.plan(at + by * np.eye(len(at))[i]))
                    for by in (1e-5, -1e-5)
                ]
                difference = (ends[0] - ends[1]) / 2e-5
                torch.testing.assert_close(column, difference, rtol=1e-3, atol=1e-4)

    def test_where_a_descent_ends(self):
        """Of a linear problem: at the solution of its normal equations, with each ridge."""
        rng = np.random.default_rng(5)
        matrix, right = rng.normal(size=(40, 3)), rng.normal(size=40)
        ridge = np.array([0.0, 0.3, 2.0])

        class Linear:
            torch, states, numbers = torch, [0], 40

            def cost(self, theta):
                return float(((matrix @ theta - right) ** 2).mean())

            def plan(self, theta):
                return theta

            def columns(self, theta, which):
                return torch.tensor(matrix @ theta - right), [*torch.tensor(matrix.T)]

        problem = Linear()
        *_, last = descend(problem, problem, np.ones(3), ridge, 200)
        squares = (matrix**2).sum(0)
        solution = np.linalg.solve(matrix.T @ matrix + np.diag(ridge * squares), matrix.T @ right)
        np.testing.assert_allclose(last.theta, solution, atol=2e-2)
        assert last.cost == problem.cost(last.theta)


def stopping(after):
    """A denoiser that Ctrl-C stops after this many calls."""

    def denoiser(x, level):
        denoiser.left -= 1
        if denoiser.left < 0:
            raise KeyboardInterrupt
        return LAW.denoise(x, level)

    denoiser.left = after
    return denoiser


class TestFits:
    """What is public."""

    @pytest.mark.parametrize("kind", PATHS)
    def test_better_than_the_classical(self, kind):
        """On noise that nothing was fitted to."""
        path = PATHS[kind]
        found = fit_plan(LAW.denoise, states(path, 300, 1), path, 4, max_iterations=12)
        assert found.plan.n_evaluations == 4
        assert (found.path.kind, found.path[0], found.path[-1]) == (path.kind, path[0], path[-1])
        even = path.take(np.round(np.linspace(0, path.n_steps, 5)).astype(int))
        classical = rmse(plan("dpmpp_2m", even), path)
        levels = fit_schedule(
            LAW.denoise, states(path, 300, 1), path, 4, "dpmpp_2m", max_iterations=10
        )
        schedule = rmse(levels.plan, path)
        assert rmse(found.plan, path) < 0.2 * schedule
        assert schedule < 0.8 * classical

    def test_the_error_is_that_of_the_states(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 300, 1)
        fine = sample(LAW.denoise, x, plan("dpmpp_3m", path))
        for found in (
            fit_plan(LAW.denoise, x, path, 4, max_iterations=5),
            fit_schedule(LAW.denoise, x, path, 4, max_iterations=5),
            fit_steps(LAW.denoise, x, path, 4, generations=2, population=10, rng=0),
        ):
            ends = sample(LAW.denoise, x, found.plan)
            assert found.rmse == pytest.approx(
                float((ends - fine).square().mean().sqrt()), rel=1e-9
            )

    def test_the_best_of_all_is_returned(self, monkeypatch):
        """What was tried later, and was not better, does not hide it."""
        seen = []
        keep = _Fit._keep

        def watching(self, made, cost):
            seen.append(math.sqrt(cost))
            keep(self, made, cost)

        monkeypatch.setattr(_Fit, "_keep", watching)
        path, x = PATHS["ve"], states(PATHS["ve"], 100, 1)
        stopped = fit_steps(stopping(600), x, path, 4, rng=0, on_interrupt="return")
        assert stopped.rmse == min(seen) < seen[-1]
        seen.clear()
        assert fit_plan(LAW.denoise, x, path, 4, max_iterations=9).rmse == min(seen)

    def test_states_on_the_way(self):
        """The targets of rows in turn are the fine solver's states at their levels."""
        path, x = PATHS["ve"], states(PATHS["ve"], 10, 1)
        fit = _Fit(LAW.denoise, x, path, 3, None, 0, 4, "raise")
        fit._batch = Batch(LAW.denoise, x, path, 4, None, torch)
        fit._aim()
        _, fine = sample(LAW.denoise, x, plan("dpmpp_3m", path), return_trajectory=True)
        passed = fit._passed(fit._batch, np.array([20, 45]))
        for at, place in enumerate([20, 45, 60]):
            torch.testing.assert_close(torch.cat([part[at] for part in passed]), fine[place])

    def test_targets_can_be_given(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 300, 1)
        exact = LAW.ode_map(x, path[0], path[-1])
        one = fit_plan(LAW.denoise, x, path, 3, target=exact, max_iterations=10)
        ends = sample(LAW.denoise, x, one.plan)
        assert one.rmse == pytest.approx(float((ends - exact).square().mean().sqrt()), rel=1e-9)

    def test_more_iterations_are_not_worse(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 200, 1)
        errors = [
            fit_schedule(LAW.denoise, x, path, 4, max_iterations=i).rmse for i in (0, 1, 4, 40)
        ]
        assert sorted(errors, reverse=True) == errors
        assert errors[0] > errors[-1]

    def test_batches_change_nothing_but_rounding(self):
        """A step of a descent from the same place: sums over all parts."""
        path, x = PATHS["ve"], states(PATHS["ve"], 60, 1)
        reached = []
        for size in (60, 17):
            batch = Batch(LAW.denoise, x, path, size, None, torch)
            batch.targets = list(LAW.ode_map(x, path[0], path[-1]).split(size))
            rows = Rows(batch, Knots(path, 3), 3, (3, 2, 0))
            theta = np.zeros(rows.starts[-1])
            reached.append([*descend(rows, batch, theta, np.zeros(len(theta)), 1)])
        for one, other in zip(*reached, strict=True):
            assert one.cost == pytest.approx(other.cost, rel=1e-6)
            np.testing.assert_allclose(one.theta, other.theta, rtol=1e-5, atol=1e-7)
        assert reached[0][1].cost < reached[0][0].cost

    @pytest.mark.parametrize("fit", [fit_plan, fit_schedule, fit_steps])
    def test_batches_are_small(self, fit):
        path, x = PATHS["ve"], states(PATHS["ve"], 60, 1)
        seen = set()

        def denoiser(x, level):
            seen.add(len(x))
            return LAW.denoise(x, level)

        found = fit(denoiser, x, path, 3, max_iterations=2, batch_size=17)
        assert seen == {17, 9}
        fine = sample(LAW.denoise, x, plan("dpmpp_3m", path))
        error = float((sample(LAW.denoise, x, found.plan) - fine).square().mean().sqrt())
        assert found.rmse == pytest.approx(error, rel=1e-9)

    def test_runs_repeat(self):
        path, x = PATHS["vp"], states(PATHS["vp"], 100, 1, torch.float32)
        one, other = (fit_plan(LAW.denoise, x, path, 3, max_iterations=5) for _ in range(2))
        assert one.rmse == other.rmse
        np.testing.assert_array_equal(one.path.lam, other.path.lam)
        seeds = [
            fit_steps(LAW.denoise, x, path, 3, generations=2, population=8, max_iterations=0, rng=r)
            for r in (0, 0, 1, 2, 3)
        ]
        assert seeds[0].rmse == seeds[1].rmse
        assert len({found.rmse for found in seeds}) > 1

    def test_an_order_can_be_kept(self):
        """Rows of order 2 are exact for predictions that are lines in lam; free ones are not."""
        path, x = PATHS["vp"], states(PATHS["vp"], 200, 1)
        for kept in (0, 2):
            made = fit_plan(LAW.denoise, x, path, 5, keep_order=kept, max_iterations=2).plan

            def line(x, level):
                return torch.full_like(x, level.lam)

            start = made.path[0]
            begin = torch.zeros(1, dtype=DOUBLE)
            known = plan("exp_ab", made.path, order=2, lower_order_final=False)
            ends = [
                sample(line, begin + start.sigma, p, return_trajectory=True)[1]
                for p in (made, known)
            ]
            # The first step has one point, and the last goes to clean data.
            steps = [float((a[i] - b[i]).abs().max()) for a, b in [ends] for i in range(1, 5)]
            assert (max(steps) < 1e-9) == (kept == 2)

    def test_a_history_can_be_short(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 100, 1)
        made = fit_plan(LAW.denoise, x, path, 5, history=2, max_iterations=2).plan
        assert all(len(made.row(k).w) == 2 for k in range(6))

    def test_one_evaluation(self):
        """The best multiple sum of a state and its prediction, as lstsq finds it."""
        path, x = PATHS["ve"], states(PATHS["ve"], 100, 1)
        exact = LAW.ode_map(x, path[0], path[-1])
        made = fit_plan(LAW.denoise, x, path, 1, target=exact, ridge=0.0)
        parts = torch.cat([x, LAW.denoise(x, path[0])], 1).numpy()
        best = np.linalg.lstsq(parts, exact.numpy()[:, 0], rcond=None)[0]
        row = made.plan.row(1)
        np.testing.assert_allclose([row.c, *row.w], best, rtol=1e-4)

    def test_steps_are_not_worse_than_any_of_the_pool(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 100, 1)
        pool = [StepSpec(1), StepSpec(2), StepSpec(2, corrector=True), StepSpec(2, "eps")]
        fine = sample(LAW.denoise, x, plan("dpmpp_3m", path))
        even = path.take(np.round(np.linspace(0, path.n_steps, 5)).astype(int))
        errors = []
        for spec in pool:
            ends = sample(LAW.denoise, x, plan_from_steps([spec] * 4, even))
            errors.append(float((ends - fine).square().mean().sqrt()))
        found = fit_steps(
            LAW.denoise, x, path, 4, pool=pool, population=4, generations=1, max_iterations=0, rng=0
        )
        assert found.rmse == pytest.approx(min(errors), rel=1e-9)
        longer = fit_steps(LAW.denoise, x, path, 4, pool=pool, generations=8, rng=0)
        assert longer.rmse < found.rmse

    @pytest.mark.parametrize("fit", [fit_plan, fit_schedule, fit_steps])
    def test_ctrl_c_keeps_the_best(self, fit):
        path, x = PATHS["ve"], states(PATHS["ve"], 50, 1)
        random = {"rng": 0} if fit is fit_steps else {}

        with pytest.raises(sortes.Interrupted) as stop:
            fit(stopping(300), x, path, 3, **random)
        partial = stop.value.partial
        assert isinstance(partial, Fitted)
        kept = fit(stopping(300), x, path, 3, on_interrupt="return", **random)
        assert kept.rmse == partial.rmse
        with pytest.raises(KeyboardInterrupt) as early:
            fit(stopping(10), x, path, 3, **random)
        assert not isinstance(early.value, sortes.Interrupted)

    def test_progress(self):
        seen = []
        path, x = PATHS["ve"], states(PATHS["ve"], 50, 1)
        fit_plan(LAW.denoise, x, path, 3, max_iterations=2, progress=lambda *a: seen.append(a))
        assert [done for done, _ in seen] == list(range(1, len(seen) + 1))

    def test_half_precision(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 200, 1, torch.bfloat16)
        seen = set()

        def denoiser(x, level):
            seen.add(x.dtype)
            return LAW.denoise(x, level)

        found = fit_plan(denoiser, x, path, 3, max_iterations=3)
        assert seen == {torch.bfloat16}
        assert math.isfinite(found.rmse)

    def test_refusals(self):
        path, x = PATHS["ve"], states(PATHS["ve"], 10, 1)
        cases = [
            ({"n": 61}, ValueError, "n: must be below the 60 steps of the path, got 61"),
            ({"n": 0}, ValueError, r"n: must be in \[1, 1000\], got 0"),
            ({"keep_order": 3}, ValueError, "keep_order: must be at most order, 2, got 3"),
            ({"x": x[:0]}, ValueError, "x: must hold at least one state"),
            ({"x": x * math.nan}, ValueError, r"x: item \(0, 0\) is not finite: nan"),
            ({"target": x[:3]}, ValueError, r"target: must have shape \(10, 1\)"),
            ({"target": x / 0}, ValueError, r"target: item \(0, 0\) is not finite: "),
            ({"denoiser": lambda x, level: x / 0}, ValueError, "denoiser: returned numbers that"),
            ({"path": 3}, TypeError, "path: must be a Path, got 3"),
            ({"denoiser": 3}, TypeError, "denoiser: must be callable, got 3"),
            ({"ridge": -1.0}, ValueError, r"ridge: must be in \[0, inf\), got -1"),
        ]
        valid = {"denoiser": LAW.denoise, "x": x, "path": path, "n": 3}
        for changed, error, message in cases:
            with pytest.raises(error, match=message):
                fit_plan(**{**valid, **changed})
        with pytest.raises(ValueError, match="solver: must draw no noise, got 'ddpm'"):
            fit_schedule(**valid, solver="ddpm")
        with pytest.raises(ValueError, match=r"solver: must not be one of CFG\+\+, got"):
            fit_schedule(**valid, solver="euler_cfg_pp")
        with pytest.raises(ValueError, match=r"plan: must not be one of CFG\+\+, got"):
            Fitted(plan("euler_cfg_pp", path), 1.0)
        with pytest.raises(ValueError, match="order: must not be given for ddim"):
            fit_schedule(**valid, solver="ddim", order=2)
        with pytest.raises(ValueError, match=r"pool: item 1 must draw no noise, got eta=0\.5"):
            fit_steps(**valid, pool=[StepSpec(), StepSpec(eta=0.5)])
        with pytest.raises(ValueError, match="pool: must hold at least one StepSpec"):
            fit_steps(**valid, pool=[])

    def test_nan_on_the_way(self):
        """A denoiser that is no number at some levels: other levels are found, or it is named."""
        path, x = PATHS["ve"], states(PATHS["ve"], 20, 1)
        fine = sample(LAW.denoise, x, plan("dpmpp_3m", path))

        def denoiser(x, level):
            return LAW.denoise(x, level) * (math.nan if 0.3 < level.sigma < 0.6 else 1.0)

        found = fit_schedule(denoiser, x, path, 3, target=fine)
        assert math.isfinite(found.rmse)
        with pytest.raises(ValueError, match="denoiser: returned numbers that are not finite"):
            fit_schedule(lambda x, level: x * math.nan, x, path, 3, target=fine)


def results():
    """A fitted plan, one with correctors and noise, and one with churn."""
    path, x = PATHS["flow"], states(PATHS["flow"], 30, 1)
    coarse = path.take([0, 10, 30, 61])
    steps = plan_from_steps([StepSpec(2, eta=0.4, corrector=True)] * 3, coarse)
    return {
        "rows": fit_plan(LAW.denoise, x, path, 3, max_iterations=1),
        "steps": Fitted(steps, 0.5),
        "churn": Fitted(plan("heun", coarse.take([1, 2, 3]), s_churn=2.0), math.inf),
    }


RESULTS = results()


class TestFiles:
    """Results on disk."""

    @pytest.fixture(params=RESULTS)
    def found(self, request):
        return RESULTS[request.param]

    def test_there_and_back(self, found, tmp_path):
        file = tmp_path / "plan.json"
        found.save(file)
        back = Fitted.load(file, kind="flow", solver=found.plan.solver)
        assert back.rmse == found.rmse
        assert back.plan.solver == found.plan.solver
        assert back.plan.levels == found.plan.levels
        assert [*back.path] == [*found.path]
        assert back.path.at_lambda(0.3) == found.path.at_lambda(0.3)
        for name in set(found.plan._arrays) - {"a", "s"}:
            values = found.plan._arrays[name]
            np.testing.assert_array_equal(back.plan._arrays[name], values)
            assert np.asarray(back.plan._arrays[name]).dtype == np.asarray(values).dtype
        x = states(found.path, 5, 3)
        noise = {"rng": 3} if found.plan.n_draws else {}
        one, other = (sample(LAW.denoise, x, p, **noise) for p in (found.plan, back.plan))
        assert torch.equal(one, other)
        assert json.loads(file.read_text())["version"] == 1
        assert [f.name for f in tmp_path.iterdir()] == ["plan.json"]

    def test_of_another_kind_solver_or_version(self, found, tmp_path):
        file = tmp_path / "plan.json"
        found.save(file)
        with pytest.raises(
            ValueError, match='kind: must be "flow", that of the fitted result, got "ve"'
        ):
            Fitted.load(file, kind="ve")
        with pytest.raises(ValueError, match=f"solver: must be '{found.plan.solver}', that of"):
            Fitted.load(file, kind="flow", solver="ddim")
        text = file.read_text()
        for version in ("2", "0", "true", '"1"', "null"):
            file.write_text(text.replace('"version": 1', f'"version": {version}'))
            with pytest.raises(ValueError, match="file: must be of version 1, got"):
                Fitted.load(file, kind="flow")

    def test_damaged(self, found, tmp_path):
        """Every value of a file, replaced by others: refused by name, or a plan that runs."""
        file = tmp_path / "plan.json"
        found.save(file)
        whole = json.loads(file.read_text())
        x = states(found.path, 2, 3)

        def spots(node, way=()):
            items = node.items() if isinstance(node, dict) else enumerate(node)
            for key, value in items:
                yield (*way, key)
                if isinstance(value, dict | list):
                    yield from spots(value, (*way, key))

        tried = 0
        for way in list(spots(whole)):
            for bad in (None, "x", "inf", -1, 7.5, True, [[1.0]], 10**400):
                copy = json.loads(json.dumps(whole))
                node = copy
                for key in way[:-1]:
                    node = node[key]
                node[way[-1]] = bad
                file.write_text(json.dumps(copy))
                tried += 1
                try:
                    back = Fitted.load(file, kind="flow")
                except ValueError as error:
                    if not str(error).startswith(("file: ", "kind: ")):
                        raise AssertionError((way, bad)) from error
                    continue
                noise = {"rng": 0} if back.plan.n_draws else {}
                sample(LAW.denoise, x, back.plan, check_finite=False, **noise)
        assert tried > 500
        for text in ("", "[1", "[]", '{"format": "other"}', "[" * 100_000):
            file.write_text(text)
            with pytest.raises(ValueError, match="file: holds no"):
                Fitted.load(file, kind="flow")

    @pytest.mark.parametrize(
        ("name", "at"), [("w", (0, 0)), ("w", (2, 2)), ("state_w", (0, 1)), ("state_w", (1, 2))]
    )
    def test_what_is_not_there_yet(self, name, at, tmp_path):
        """A row that combines predictions of later evaluations would read any memory."""
        file = tmp_path / "plan.json"
        RESULTS["rows"].save(file)
        whole = json.loads(file.read_text())
        whole["plan"][name][at[0]][at[1]] = 0.5
        file.write_text(json.dumps(whole))
        with pytest.raises(ValueError, match=f"file: is damaged: {name} combines what is not"):
            Fitted.load(file, kind="flow")

    def test_names_of_files(self, tmp_path):
        found = Fitted(plan("ddim", Path.ve([2.0, 1.0])), 1.0)
        for call in (found.save, lambda file: Fitted.load(file, kind="ve")):
            with pytest.raises(TypeError, match="file: must be the name of a file, got 3"):
                call(3)
            with pytest.raises(ValueError, match="file: must be the name of a file"):
                call("a\0b")
            with pytest.raises(OSError):  # noqa: PT011 - whatever the system says
                call(tmp_path / "nowhere" / "plan.json")
