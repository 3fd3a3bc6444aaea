"""Plans beside the samplers of k-diffusion, by the same names: the same where these are right.

All is computed in float64, with a model that is smooth and nowhere constant.
"""

import inspect

import numpy as np
import pytest
import torch
from sortes.diffusion import Path, from_k_diffusion, plan, sample, sample_adaptive

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

DOUBLE = torch.float64
X = torch.tensor([[-1.3], [0.2], [0.8], [2.1]], dtype=DOUBLE)


def model(x, sigma):
    """A prediction that depends on everything."""
    s = sigma[:, None]
    return x / (1 + s**2) + 0.3 * torch.sin(2 * x) / (1 + s)


def draws(n):
    generator = torch.Generator().manual_seed(3)
    return torch.stack([torch.randn(X.shape, generator=generator, dtype=DOUBLE) for _ in range(n)])


def sigmas_of(n, *, clean=True):
    """Uneven levels."""
    levels = np.linspace(14.6 ** (1 / 5), 0.03 ** (1 / 5), n) ** 5
    return np.append(levels, 0.0) if clean else levels


def ours(name, sigmas, *, denoiser=model, **options):
    made = plan(name, Path.ve(sigmas), **options)
    noise = draws(made.n_draws) if made.n_draws else None
    return sample(from_k_diffusion(denoiser), X * sigmas[0], made, noise=noise)


def theirs(k_diffusion, name, sigmas, *, denoiser=model, **options):
    given = torch.tensor(sigmas)
    function = getattr(k_diffusion, f"sample_{name}")
    if "noise_sampler" in inspect.signature(function).parameters:
        noise = iter(draws(3 * len(sigmas)))
        options["noise_sampler"] = lambda *_: next(noise)
    return function(denoiser, X * sigmas[0], given, disable=True, **options)


SAME = [
    ("euler", {}, {}),
    ("euler_ancestral", {}, {}),
    ("euler_ancestral", {"eta": 0.5, "s_noise": 1.1}, {}),
    ("heun", {}, {}),
    ("dpm_2", {}, {}),
    ("dpm_2_ancestral", {}, {}),
    ("lms", {}, {"lower_order_final": False}),
    ("dpmpp_2s_ancestral", {}, {}),
    ("dpmpp_sde", {"eta": 0.0}, {}),
    ("dpmpp_2m", {}, {"lower_order_final": False}),
    ("dpmpp_2m_sde", {}, {"lower_order_final": False}),
    ("dpmpp_2m_sde", {"eta": 0.4, "solver_type": "heun"}, {"lower_order_final": False}),
    (
        "dpmpp_3m_sde",
        {},
        {"lower_order_final": False, "compat": "published", "solver_type": "heun"},
    ),
]


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("n", [7, 20])
@pytest.mark.parametrize(("name", "shared", "mine"), SAME)
def test_samplers(k_diffusion, name, shared, mine, n, clean):
    sigmas = sigmas_of(n, clean=clean)
    got = ours(name, sigmas, **shared, **mine)
    # LMS integrates numerically, to 1e-4.
    limit = 2e-4 if name == "lms" else 1e-9
    assert float((got - theirs(k_diffusion, name, sigmas, **shared)).abs().max()) < limit


@pytest.mark.parametrize("name", ["euler", "heun", "dpm_2"])
def test_churn(k_diffusion, name, monkeypatch):
    options = {"s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 10.0, "s_noise": 1.1}
    sigmas = sigmas_of(10)
    made = plan(name, Path.ve(sigmas), **options)
    noise = draws(made.n_draws)
    # Theirs draws in every step, and uses what is inside.
    gammas = (sigmas[:-1] >= 0.05) & (sigmas[:-1] <= 10.0)
    drawn = iter(noise)
    used = iter(gammas.tolist() * 2)

    def randn_like(x):
        return next(drawn) if next(used) else torch.zeros_like(x)

    monkeypatch.setattr(torch, "randn_like", randn_like)
    other = theirs(k_diffusion, name, sigmas, **options)
    monkeypatch.undo()
    got = sample(from_k_diffusion(model), X * sigmas[0], made, noise=noise)
    assert float((got - other).abs().max()) < 1e-9


@pytest.mark.parametrize("n", [6, 7, 8])
def test_dpm_fast(k_diffusion, n):
    """As many evaluations as steps, in steps of orders 3, 2 and 1."""
    sigmas = sigmas_of(n + 1, clean=False)
    other = k_diffusion.sample_dpm_fast(
        model, X * sigmas[0], sigmas[-1], sigmas[0], n, disable=True
    )
    assert float((ours("dpm_fast", sigmas) - other).abs().max()) < 1e-5  # float32 levels


def test_dpm_adaptive(k_diffusion):
    """Theirs is float32 in its levels, so that few steps are the same to the last digit."""
    ends = 0.03, 14.6
    other, told = k_diffusion.sample_dpm_adaptive(
        model, X * ends[1], *ends, rtol=0.01, atol=0.01, disable=True, return_info=True
    )
    run = sample_adaptive(
        from_k_diffusion(model), X * ends[1], Path.ve(ends[::-1]), rtol=0.01, atol=0.01
    )
    assert (len(run.lam) - 1, run.n_rejected) == (told["n_accept"], told["n_reject"])
    assert float((run.x - other).abs().max()) < 0.02
