"""Choices of levels: dynamic programmes against all choices, evolution, and recorded results."""

import itertools
import math

import numpy as np
import pytest
import sortes
import torch
from sortes.diffusion import (
    GaussianMixture,
    Path,
    ays_cost,
    evolutionary_search,
    optimal_stepsize,
    shortest_k_path,
)
from vectors import load

VECTORS = load("diffusion/fitting.json")
LAW = GaussianMixture(*(VECTORS["gmm"][part] for part in ("w", "mu", "sd")))
DOUBLE = torch.float64


def subsets(n, k):
    """All choices of k steps from level 0 to level n."""
    for inner in itertools.combinations(range(1, n), k - 1):
        yield (0, *inner, n)


class TestShortest:
    def test_recorded(self):
        given = VECTORS["shortest_k_path"]
        for case in given["cases"]:
            found = shortest_k_path(given["C_upper"], case["K"])
            if case["path"] is None:
                assert found is None
            else:
                assert found.indices.tolist() == case["path"]
                assert found.cost == pytest.approx(case["cost"], rel=1e-12)

    def test_it_is_the_cheapest_of_all(self):
        rng = np.random.default_rng(7)
        for trial in range(60):
            n = 2 + trial % 8
            cost = rng.random((n, n))
            cost[rng.random((n, n)) < 0.2] = math.inf
            for k in range(1, n):
                best = min(
                    sum(cost[pair] for pair in itertools.pairwise(way)) for way in subsets(n - 1, k)
                )
                found = shortest_k_path(cost, k)
                if best == math.inf:
                    assert found is None
                else:
                    way = found.indices.tolist()
                    assert len(way) == k + 1
                    assert way[0] == 0
                    assert way[-1] == n - 1
                    assert sum(cost[pair] for pair in itertools.pairwise(way)) == pytest.approx(
                        best
                    )
                    assert found.cost == pytest.approx(best, rel=1e-12)

    def test_ties_and_too_many_steps(self):
        assert shortest_k_path(np.ones((5, 5)), 3).indices.tolist() == [0, 1, 2, 4]
        assert shortest_k_path(np.ones((5, 5)), 5) is None
        assert shortest_k_path(np.ones((5, 5)), 2**62) is None
        assert shortest_k_path([[0.0]], 1) is None

    def test_threads_change_nothing(self):
        cost = np.random.default_rng(3).random((1500, 1500))
        one, two = (shortest_k_path(cost, 9, num_threads=t) for t in (1, 2))
        assert one.indices.tolist() == two.indices.tolist()
        assert one.cost == two.cost

    def test_what_is_no_cost_is_named(self):
        for bad in (math.nan, -math.inf):
            with pytest.raises(ValueError, match=r"cost: item \(0, 2\) must be a number or inf"):
                shortest_k_path([[0, 1, bad], [bad, bad, 1], [bad, bad, bad]], 2)
        with pytest.raises(ValueError, match=r"cost: must have shape \(M, M\), got \(2, 3\)"):
            shortest_k_path(np.zeros((2, 3)), 1)


def klub(c, high, low):
    """The integral of the objective of Align Your Steps for normal data, in closed form."""

    def whole(s):
        # of c^4 s^-3 / (s^2 + c^2), and of c^4 s^-3 / (high^2 + c^2)
        first = -(c**2) / (2 * s * s) - math.log(s) + 0.5 * math.log(s * s + c * c)
        return first + c**4 / (high**2 + c**2) / (2 * s * s)

    return whole(high) - whole(low)


class TestAlignYourSteps:
    def test_the_programme_on_the_exact_objective(self):
        given = VECTORS["ays_klub_gaussian"]
        sigmas, c = given["sigma_grid"], given["c"]
        n = len(sigmas)
        cost = np.full((n, n), np.inf)
        for i, j in itertools.combinations(range(n), 2):
            cost[i, j] = klub(c, sigmas[i], sigmas[j])
        np.testing.assert_allclose(cost[0, 1:], given["first_row"][1:], rtol=1e-6, atol=1e-12)
        for case in given["cases"]:
            found = shortest_k_path(cost, case["K"])
            assert found.indices.tolist() == case["levels"]
            assert found.cost == pytest.approx(case["klub"], rel=1e-9)

    @pytest.mark.parametrize("kind", ["ve", "vp", "flow"])
    def test_normal_data(self, kind):
        """40,000 numbers: 6 sd of a mean of squares are 4.3 %, a false alarm of 2e-9 an entry.

        The entries share their noise. The other side is 1.4 %, of integrals from two points.
        """
        given = VECTORS["ays_klub_gaussian"]
        c, ratios = given["c"], np.array(given["sigma_grid"])[6:20:2]
        path = {
            "ve": Path.ve,
            "vp": Path.vp,
            "flow": lambda r: Path.flow(r / (1 + r)),
        }[kind](ratios)
        law = GaussianMixture([1.0], [0.0], c)
        x0 = torch.tensor(law.sample(40_000, rng=5)).reshape(-1, 4)
        flat = lambda x, level: law.denoise(x, level)  # noqa: E731
        cost = ays_cost(flat, x0, path, rng=7) / 4
        n = len(ratios)
        assert (cost[np.tril_indices(n)] == math.inf).all()
        for i, j in itertools.combinations(range(n), 2):
            assert cost[i, j] == pytest.approx(klub(c, ratios[i], ratios[j]), rel=0.057)

    def test_more_points_are_nearer(self):
        """The rule of integration alone: the same noise, one datum, predictions without noise."""
        path = Path.ve([4.0, 1.0, 0.25])

        def denoiser(x, level):
            return torch.full_like(x, math.log(level.sigma))

        found = [ays_cost(denoiser, torch.zeros(1, 1), path, points=p, rng=0) for p in (1, 2, 6)]

        def exact(high, low):
            # of s^-3 log(s / high)^2
            def whole(s):
                r = math.log(s / high)
                return -(r * r + r + 0.5) / (2 * s * s)

            return whole(high) - whole(low)

        errors = [abs(cost[0, 2] / exact(4.0, 0.25) - 1) for cost in found]
        assert errors[0] > 10 * errors[1] > 1000 * errors[2]
        assert errors[2] < 1e-5

    def test_seeds(self):
        path, x0 = Path.ve([4.0, 1.0, 0.25]), torch.ones(3, 2)
        one, same, other = (ays_cost(LAW.denoise, x0[..., None], path, rng=r) for r in (1, 1, 2))
        assert (one == same).all()
        assert (one != other).any()

    def test_refusals(self):
        x0 = torch.zeros(2, 1)
        with pytest.raises(ValueError, match="path: must have signal and noise at both ends"):
            ays_cost(LAW.denoise, x0, Path.ve([1.0, 0.0]))
        with pytest.raises(ValueError, match="x0: must hold at least one datum"):
            ays_cost(LAW.denoise, x0[:0], Path.ve([1.0, 0.5]))
        with pytest.raises(ValueError, match="denoiser: returned numbers that are not finite"):
            ays_cost(lambda x, level: x / 0, x0, Path.ve([1.0, 0.5]))


class TestStepsize:
    def test_recorded(self):
        given = VECTORS["optimal_stepsize"]
        path = Path.flow(np.array(given["grid"]["s"]))
        x = torch.tensor(given["x"], dtype=DOUBLE)
        for case in given["cases"]:
            found = optimal_stepsize(LAW.denoise, x, path, case["K"])
            assert found.indices.tolist() == case["path_levels"]
            assert found.cost == pytest.approx(case["cost"], rel=1e-9, abs=1e-25)

    @staticmethod
    def every(denoiser, x, path, k):
        """The cost of each choice, by taking its steps one by one."""

        def ended(way):
            y = x
            for i, j in itertools.pairwise(way):
                a, s = path.alpha, path.sigma
                d = denoiser(y, path[i])
                y = float(s[j] / s[i]) * y + float(a[j] - a[i] * s[j] / s[i]) * d
            return y

        fine = ended(range(len(path)))
        return {way: float(((ended(way) - fine) ** 2).mean()) for way in subsets(path.n_steps, k)}

    def problems(self):
        rng = np.random.default_rng(11)
        for trial in range(24):
            law = GaussianMixture(
                rng.dirichlet([2, 2, 2]), rng.normal(size=3) * 1.5, rng.uniform(0.2, 0.8, 3)
            )
            path = (
                Path.ve(np.geomspace(8, 0.05, 9)) if trial % 2 else Path.flow(np.linspace(1, 0, 9))
            )
            x = torch.tensor(rng.normal(size=6)) * float(path.sigma[0])
            yield law.denoise, x, path, 3 + trial % 2

    def test_a_wide_beam_is_exhaustive(self):
        """With room for all states of a level, nothing is lost: the best of all choices."""
        for denoiser, x, path, k in self.problems():
            costs = self.every(denoiser, x, path, k)
            found = optimal_stepsize(denoiser, x, path, k, beam=200)
            best = min(costs.values())
            assert found.cost == pytest.approx(best, rel=1e-8, abs=1e-15)
            assert costs[tuple(found.indices.tolist())] == pytest.approx(best, rel=1e-8, abs=1e-15)

    def test_costs_are_those_of_the_levels(self):
        """The greedy programme, with more beam and with moves: never below the best of all."""
        sums = np.zeros(3)
        for denoiser, x, path, k in self.problems():
            costs = self.every(denoiser, x, path, k)
            for at, options in enumerate([{}, {"beam": 3}, {"polish": True}]):
                found = optimal_stepsize(denoiser, x, path, k, **options)
                cost = costs[tuple(found.indices.tolist())]
                assert found.cost == pytest.approx(cost, rel=1e-8, abs=1e-15)
                sums[at] += cost / min(costs.values())
        assert sums[0] >= sums[1] >= 24 * (1 - 1e-8)
        assert sums[0] >= sums[2] >= 24 * (1 - 1e-8)

    def test_fewer_steps(self):
        """A denoiser that is right where one step begins and misleads later: one step is best."""
        path = Path.ve([4.0, 2.0, 1.0, 0.5])

        def denoiser(x, level):
            return x * 0 + (1.0 if level.sigma in (4.0, 1.0) else 9.0)

        x = torch.ones(2, 1, dtype=DOUBLE)
        exact, most = (
            optimal_stepsize(denoiser, x, path, 2, at_most=fewer) for fewer in (False, True)
        )
        costs = {k: min(self.every(denoiser, x, path, k).values()) for k in (1, 2)}
        assert len(exact.indices) == 3
        assert exact.cost == pytest.approx(costs[2])
        assert most.cost == pytest.approx(min(costs.values()))

    def test_as_many_steps_as_levels_cost_nothing(self):
        path = Path.ve(np.append(np.geomspace(5, 0.1, 6), 0.0))
        x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
        found = optimal_stepsize(LAW.denoise, x[..., None], path, 6)
        assert found.indices.tolist() == list(range(7))
        assert found.cost == 0

    def test_refusals(self):
        path, x = Path.ve([4.0, 1.0, 0.5]), torch.ones(2, 1)
        with pytest.raises(ValueError, match="k: must be at most 2, got 3"):
            optimal_stepsize(LAW.denoise, x, path, 3)
        with pytest.raises(ValueError, match=r"x: must hold at least one state"):
            optimal_stepsize(LAW.denoise, x[:0], path, 2)
        with pytest.raises(ValueError, match="denoiser: a step to level 1 ends at"):
            optimal_stepsize(lambda x, level: x / 0, x, path, 2)


class TestEvolution:
    @staticmethod
    def even(indices, choices):
        """Best with even steps and choices that alternate."""
        return float((np.diff(indices) ** 2).sum() + (choices != np.arange(len(choices)) % 2).sum())

    def test_it_finds_the_best_of_all(self):
        """13 levels, 4 steps, 2 choices: one of 2,640 is best; it asks about fewer."""
        for seed in range(5):
            found = evolutionary_search(self.even, 13, 4, n_choices=2, rng=seed)
            assert found.indices.tolist() == [0, 3, 6, 9, 12]
            assert found.choices.tolist() == [
                0,
                1,
                0,
                1,
            ]
            assert found.cost == 36
            assert found.n_evaluated <= 1000

    def test_nothing_is_tried_twice_and_a_small_space_ends_the_search(self):
        seen = []

        def fitness(indices, choices):
            seen.append((*indices, *choices))
            return self.even(indices, choices)

        found = evolutionary_search(fitness, 6, 3, n_choices=2, population=30, rng=1)
        assert len(seen) == len(set(seen)) == found.n_evaluated
        assert 40 <= len(seen) <= 48  # of 20 generations of 30
        best = min(
            self.even(np.array(way), np.array(c))
            for way in subsets(5, 3)
            for c in itertools.product(range(2), repeat=3)
        )
        assert found.cost == best

    def test_the_best_never_gets_worse_and_seeds_repeat(self):
        runs = [
            evolutionary_search(self.even, 60, 6, generations=g, rng=3).cost for g in (1, 5, 20)
        ]
        assert runs[0] >= runs[1] >= runs[2]
        assert runs[0] > runs[2]
        again = evolutionary_search(self.even, 60, 6, generations=20, rng=3).cost
        other = evolutionary_search(self.even, 60, 6, generations=1, rng=4)
        assert again == runs[2]
        assert other.cost != runs[0]

    def test_what_is_given_is_tried_first(self):
        seen = []

        def fitness(indices, choices):
            seen.append((indices.tolist(), choices.tolist()))
            return 1.0

        given = [0, 2, 9]
        evolutionary_search(fitness, 10, 2, n_choices=2, initial=[given], population=5, rng=0)
        assert seen[:2] == [(given, [0, 0]), (given, [1, 1])]

    def test_ctrl_c_keeps_the_best(self):
        def fitness(indices, choices):
            fitness.asked += 1
            if fitness.asked > 70:
                raise KeyboardInterrupt
            return self.even(indices, choices)

        fitness.asked = 0
        with pytest.raises(sortes.Interrupted) as stop:
            evolutionary_search(fitness, 30, 4, rng=0)
        assert stop.value.partial.n_evaluated == 70
        fitness.asked = 0
        found = evolutionary_search(fitness, 30, 4, rng=0, on_interrupt="return")
        assert found.cost == stop.value.partial.cost
        fitness.asked = 70
        with pytest.raises(KeyboardInterrupt) as plain:
            evolutionary_search(fitness, 30, 4, rng=0)
        assert not isinstance(plain.value, sortes.Interrupted)

    def test_refusals(self):
        with pytest.raises(ValueError, match="fitness: must return a number or inf, got nan"):
            evolutionary_search(lambda i, c: math.nan, 9, 3, rng=0)
        with pytest.raises(ValueError, match="fitness: must be finite for some levels"):
            evolutionary_search(lambda i, c: math.inf, 4, 2, rng=0)
        with pytest.raises(TypeError, match="fitness: must return a number, got 'far'"):
            evolutionary_search(lambda i, c: "far", 9, 3, rng=0)
        with pytest.raises(ValueError, match="k: must be at most 8, got 9"):
            evolutionary_search(self.even, 9, 9)
        with pytest.raises(ValueError, match=r"initial: item 1 must hold 3 levels that increase"):
            evolutionary_search(self.even, 9, 2, initial=[[0, 4, 8], [0, 8, 4]])
