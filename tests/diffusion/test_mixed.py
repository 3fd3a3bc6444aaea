"""Plans whose steps differ: of one kind they are solvers that exist, of several they are exact."""

import numpy as np
import pytest
import torch
from sortes.diffusion import GaussianMixture, Path, StepSpec, plan, plan_from_steps, sample

LAW = GaussianMixture([0.3, 0.7], [-1.2, 0.9], [0.35, 0.5])
X = torch.linspace(-2, 2, 7, dtype=torch.float64)
CLEAN = np.append(np.geomspace(12, 0.05, 8), 0.0)
PATHS = {
    "ve": Path.ve(CLEAN),
    "vp": Path.vp(CLEAN[:-1]),
    "flow": Path.flow(CLEAN / (1 + CLEAN)),
}
#: A kind of step, and the solver that is made of it.
SOLVERS = [
    (StepSpec(1), "ddim", {}),
    (StepSpec(2), "exp_ab", {"order": 2, "lower_order_final": False}),
    (StepSpec(4), "exp_ab", {"order": 4, "lower_order_final": False}),
    (StepSpec(3, "eps"), "deis_logrho", {"order": 3, "lower_order_final": False}),
    (StepSpec(3, "eps", "rho"), "deis_rhoab", {"order": 3, "lower_order_final": False}),
    (
        StepSpec(3, corrector=True),
        "unipc",
        {"order": 3, "solver_type": "heun", "lower_order_final": False},
    ),
    (
        StepSpec(2, eta=0.7),
        "dpmpp_2m_sde",
        {"eta": 0.7, "solver_type": "heun", "lower_order_final": False},
    ),
]


def ended(made, noise=None, trajectory=False):
    """The end of a run from the first level."""
    x = X * made.init_sigma
    return sample(LAW.denoise, x, made, noise=noise, return_trajectory=trajectory)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize(("spec", "solver", "options"), SOLVERS)
def test_steps_of_one_kind_are_a_solver(kind, spec, solver, options):
    path = PATHS[kind]
    made = plan_from_steps([spec] * path.n_steps, path)
    known = plan(solver, path, **options)
    if solver == "deis_rhoab" and path.lam[-1] == np.inf:
        # Rows of that solver keep their order in a step to clean data; here its order is 1.
        path = path.take(range(path.n_steps))
        made, known = plan_from_steps([spec] * path.n_steps, path), plan(solver, path, **options)
    noise = None
    if made.n_draws:
        draws = np.random.default_rng(0).normal(size=(made.n_draws, len(X)))
        noise = torch.tensor(draws)
        assert made.n_draws == known.n_draws
    one, other = (ended(p, noise, trajectory=True) for p in (made, known))
    assert made.n_evaluations == known.n_evaluations
    for a, b in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_kinds_can_follow_each_other():
    """Each step as its formula says, by a loop that holds states and predictions as they were."""
    path = PATHS["vp"]
    specs = [
        StepSpec(1),
        StepSpec(2, "eps", corrector=True),
        StepSpec(3, "eps", "rho"),
        StepSpec(3, corrector=True),
        StepSpec(2, eta=0.5),
        StepSpec(3, "eps"),
        StepSpec(4),
    ]
    z = torch.tensor(np.random.default_rng(1).normal(size=len(X)))
    a, s, lam = path.alpha, path.sigma, path.lam
    x = X * path.sigma[0]
    held = []

    def integral(spec, i, points):
        """The step from level i by a polynomial through predictions, with 200 nodes of Gauss."""
        u, w = np.polynomial.legendre.leggauss(200)
        h = lam[i + 1] - lam[i]
        at = lam[i] + h * (u + 1) / 2
        w = w * h / 2
        clock = (lambda v: np.exp(-v)) if spec.clock == "rho" else (lambda v: v)
        nodes = [clock(p["lam"]) for p in points]
        out = 0
        eta = spec.eta
        for j, p in enumerate(points):
            basis = np.prod(
                [(clock(at) - n) / (nodes[j] - n) for m, n in enumerate(nodes) if m != j], axis=0
            ) * np.ones_like(at)
            if spec.history == "x0":
                far = np.exp(-(1 + eta) * (lam[i + 1] - at))
                out = out + p["d"] * float(a[i + 1] * (1 + eta) * (w * far * basis).sum())
            else:
                out = out + p["e"] * float(a[i + 1] * (w * -np.exp(-at) * basis).sum())
        return out

    def moved(spec, i, x, points):
        if spec.history == "eps":
            return x * float(a[i + 1] / a[i]) + integral(spec, i, points)
        h = lam[i + 1] - lam[i]
        mean = x * float(s[i + 1] / s[i] * np.exp(-spec.eta * h)) + integral(spec, i, points)
        return mean + z * float(s[i + 1] * np.sqrt(-np.expm1(-2 * spec.eta * h)))

    def known(y, i):
        d = LAW.denoise(y, path[i])
        return {"lam": lam[i], "d": d, "e": (y - float(a[i]) * d) / float(s[i])}

    y = x
    for i, spec in enumerate(specs):
        new = known(y, i)
        if i and specs[i - 1].corrector:
            before = specs[i - 1]
            order = min(before.order, len(held))
            x = moved(before, i - 1, x, [new, *held[::-1][:order]])
        else:
            x = y
        held.append(new)
        y = moved(spec, i, x, held[::-1][: min(spec.order, len(held))])
    made = plan_from_steps(specs, path)
    assert made.n_draws == 1
    torch.testing.assert_close(ended(made, z[None]), y, rtol=1e-9, atol=1e-9)


def test_pure_noise_and_clean_data():
    path = Path.flow([1.0, 0.7, 0.4, 0.1, 0.0])
    kinds = [StepSpec(3, "eps"), StepSpec(2, eta=0.5), StepSpec(3, corrector=True)]
    for spec in kinds:
        made = plan_from_steps([spec] * 4, path)
        noise = torch.ones(9, len(X), dtype=torch.float64) if made.n_draws else None
        assert ended(made, noise).isfinite().all()
    assert not plan_from_steps([StepSpec(2)], Path.flow([1.0, 0.0])).row(1).c


def test_refusals():
    path = Path.ve([2.0, 1.0, 0.5])
    for steps, message in [
        ([StepSpec(2)], r"steps: must hold 2, one for each, got 1"),
        ([StepSpec(2), StepSpec(5)], r"steps: item 1 order: must be in \[1, 4\], got 5"),
        ([StepSpec(2), StepSpec(2, "v")], r"steps: item 1 history: must be 'x0' or 'eps'"),
        ([StepSpec(2, "eps", eta=1.0)] * 2, r"steps: item 0 eta: must be 0 with history"),
        ([StepSpec(2, "x0", "rho")] * 2, r"steps: item 0 clock: must be \"lam\" with history"),
        ([StepSpec(2, eta=-1.0)] * 2, r"steps: item 0 eta: must be in \[0, inf\), got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            plan_from_steps(steps, path)
    with pytest.raises(TypeError, match="steps: item 1 must be a StepSpec, got 3"):
        plan_from_steps([StepSpec(), 3], path)
    with pytest.raises(TypeError, match="path: must be a Path, got 3"):
        plan_from_steps([StepSpec()], 3)
