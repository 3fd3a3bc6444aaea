"""CFG++: the rules of ComfyUI in plain NumPy, on the exact predictions of two mixtures."""

import itertools
import re

import numpy as np
import pytest
import torch
from sortes.diffusion import (
    Denoiser,
    GaussianMixture,
    Guided,
    Level,
    Path,
    plan,
    sample,
    solver_names,
)

DOUBLE = torch.float64
STARTS = np.array([[-1.3], [0.2], [0.8], [2.1]])
#: Two mixtures: of all data, and of those with a condition.
ALL = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
SOME = GaussianMixture([1.0], [[0.9]], [0.4])
SCALE = 0.6
NAMES = [name for name in solver_names() if name.endswith("_cfg_pp")]
#: Uneven steps, so that none of them passes for another.
SIGMAS = np.array([10.0, 6.0, 4.1, 2.0, 1.1, 0.6, 0.45, 0.2, 0.1, 0.0])


class Guiding:
    """Both predictions, in closed form."""

    def __init__(self, scale=SCALE):
        self.scale = scale

    def guided(self, x, level):
        u = ALL.denoise(x, level)
        return Guided(u + self.scale * (SOME.denoise(x, level) - u), u)

    def __call__(self, x, level):
        raise AssertionError("CFG++ needs both predictions")


def noises(n):
    return np.random.default_rng(5).standard_normal((n, *STARTS.shape))


def ours(name, path, scale=SCALE, **options):
    made = plan(name, path, **options)
    x = torch.tensor(STARTS * made.init_sigma)
    noise = torch.tensor(noises(made.n_draws)) if made.n_draws else None
    return sample(Guiding(scale), x, made, noise=noise).numpy()


def both(x, sigma):
    return Guiding().guided(x, Level(1.0, float(sigma), 0.0))


def ancestral(s, t):
    up = min(t, np.sqrt(t**2 * (s**2 - t**2) / s**2))
    return np.sqrt(t**2 - up**2), up


def euler(x, sigmas, *, eta):
    noise = iter(noises(len(sigmas)))
    for s, t in itertools.pairwise(sigmas):
        d, u = both(x, s)
        down, up = ancestral(s, t) if eta else (t, 0.0)
        x = d + down * (x - u) / s
        if up > 0:
            x = x + up * next(noise)
    return x


def two_stages(x, sigmas):
    noise = iter(noises(len(sigmas)))
    for s, t in itertools.pairwise(sigmas):
        d, u = both(x, s)
        down, up = ancestral(s, t)
        apart = d - u
        if down == 0:
            x = u
        else:
            middle = np.sqrt(s * down)
            inner = middle / s * x + (1 - middle / s) * u
            _, later = both(inner, middle)
            x = down / s * x + (1 - down / s) * later
        if t > 0:
            x = x + up * next(noise)
        x = x + apart
    return x


def two_steps(x, sigmas, *, published):
    before = None
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        d, u = both(x, s)
        x_next = d + t / s * (x - u)
        if before is not None and t > 0:
            r = np.log(sigmas[i - 1] / s) / np.log(s / t)
            newest = d if published else u
            x_next = x_next + (1 - t / s) / (2 * r) * (newest - before)
        x, before = x_next, u
    return x


def res(x, sigmas, *, eta, published):
    noise = iter(noises(len(sigmas)))
    before = reached = None
    for i, (s, t) in enumerate(itertools.pairwise(sigmas)):
        d, u = both(x, s)
        down, up = ancestral(s, t) if eta else (t, 0.0)
        if down == 0 or before is None:
            x = d + down * (x - u) / s
        else:
            h = np.log(s / down)
            c = (np.log(reached) - np.log(sigmas[i - 1])) / h
            one = -np.expm1(-h) / h
            two = (np.expm1(-h) / h + 1) / h
            apart = d - u
            if published:
                x, apart = x + apart, 0.0
            x = np.exp(-h) * x + h * ((one - two / c) * u + two / c * before) + apart
        if t > 0 and up > 0:
            x = x + up * next(noise)
        before, reached = u, down
    return x


def gradients(x, sigmas, *, gamma=2.0):
    before = None
    for s, t in itertools.pairwise(sigmas):
        d, u = both(x, s)
        slope = (x - u) / s
        x = d + t * slope
        if before is not None and t > 0:
            x = x + (gamma - 1) * (slope - before) * (t - s)
        before = slope
    return x


RULES = [
    ("euler_cfg_pp", {}, lambda x, s: euler(x, s, eta=0)),
    ("euler_ancestral_cfg_pp", {}, lambda x, s: euler(x, s, eta=1)),
    ("dpmpp_2s_ancestral_cfg_pp", {}, two_stages),
    ("dpmpp_2m_cfg_pp", {}, lambda x, s: two_steps(x, s, published=False)),
    ("dpmpp_2m_cfg_pp", {"compat": "published"}, lambda x, s: two_steps(x, s, published=True)),
    ("res_multistep_cfg_pp", {}, lambda x, s: res(x, s, eta=0, published=False)),
    (
        "res_multistep_cfg_pp",
        {"compat": "published"},
        lambda x, s: res(x, s, eta=0, published=True),
    ),
    ("res_multistep_ancestral_cfg_pp", {}, lambda x, s: res(x, s, eta=1, published=False)),
    (
        "res_multistep_ancestral_cfg_pp",
        {"compat": "published"},
        lambda x, s: res(x, s, eta=1, published=True),
    ),
    ("gradient_estimation_cfg_pp", {}, gradients),
    ("gradient_estimation_cfg_pp", {"gamma": 1.5}, lambda x, s: gradients(x, s, gamma=1.5)),
]


@pytest.mark.parametrize("sigmas", [SIGMAS, SIGMAS[:-1], SIGMAS[[0, 5, 9]], SIGMAS[[0, 9]]])
@pytest.mark.parametrize(
    ("name", "options", "rule"), RULES, ids=[f"{name}-{o}" for name, o, _ in RULES]
)
def test_the_rules_of_comfyui(name, options, rule, sigmas):
    theirs = rule(STARTS * sigmas[0], sigmas)
    np.testing.assert_allclose(ours(name, Path.ve(sigmas), **options), theirs, rtol=1e-11)
    # States of constant variance are those states, scaled.
    vp = Path.vp(sigmas)
    start = np.hypot(1, sigmas[0])
    scaled = plan(name, vp, **options)
    x = torch.tensor(STARTS * sigmas[0] / start)
    noise = torch.tensor(noises(scaled.n_draws)) if scaled.n_draws else None
    end = sample(Guiding(), x, scaled, noise=noise).numpy() / vp.alpha[-1]
    np.testing.assert_allclose(end, theirs, rtol=1e-10)


def test_every_name_has_a_rule():
    assert {name for name, _, _ in RULES} == set(NAMES)
    assert len(NAMES) == 7


def flow_two_stages(x, sigmas):
    """The step of rectified flows: further down, and up again with another share of data."""
    noise = iter(noises(len(sigmas)))
    for s, t in itertools.pairwise(sigmas):
        d, u = Guiding().guided(x, Level(1 - s, s, s))
        apart = d - u
        if t == 0:
            x = d
            continue
        down = t * t / s  # eta = 1
        lam = [np.log((1 - v) / v) for v in (s, down)]
        middle = 1 / (1 + np.exp(0.5 * sum(lam)))
        _, later = Guiding().guided(
            middle / s * x + (1 - middle / s) * u, Level(1 - middle, middle, middle)
        )
        x = down / s * x + (1 - down / s) * later
        kept = (1 - t) / (1 - down)
        x = kept * x + np.sqrt(t**2 - (down * kept) ** 2) * next(noise)
        x = x + (1 - t) * apart
    return x


def test_ancestral_steps_of_flows():
    sigmas = np.array([0.9, 0.7, 0.4, 0.1, 0.0])
    got = ours("dpmpp_2s_ancestral_cfg_pp", Path.flow(sigmas))
    np.testing.assert_allclose(got, flow_two_stages(STARTS * 0.9, sigmas), rtol=1e-10)


BASES = {
    "euler_cfg_pp": ("ddim", {}),
    "euler_ancestral_cfg_pp": ("ddim", {"eta": 1.0}),
    "dpmpp_2s_ancestral_cfg_pp": ("dpmpp_2s_ancestral", {}),
    "dpmpp_2m_cfg_pp": ("dpmpp_2m", {"lower_order_final": False}),
    "res_multistep_cfg_pp": ("res_2m", {"lower_order_final": False}),
    "res_multistep_ancestral_cfg_pp": ("res_multistep_ancestral", {"lower_order_final": False}),
    "gradient_estimation_cfg_pp": ("gradient_estimation", {}),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_without_guidance_it_is_the_solver(name, kind):
    path = Path.flow([0.95, 0.7, 0.4, 0.1, 0.0]) if kind == "flow" else getattr(Path, kind)(SIGMAS)
    base, options = BASES[name]
    made = plan(base, path, **options)
    noise = torch.tensor(noises(made.n_draws)) if made.n_draws else None
    end = sample(ALL.denoise, torch.tensor(STARTS * made.init_sigma), made, noise=noise)
    np.testing.assert_allclose(ours(name, path, scale=0.0), end, rtol=1e-12)


def test_first_order_is_guidance_whose_scale_grows_as_steps_shrink():
    """x' = a' (D_u + w d) + s' e_u is DDIM with the scale w a' / (a' - a s' / s) (CFG++, 3.2)."""
    path = Path.vp(SIGMAS)
    x = STARTS * path.sigma[0]
    for level, then in zip([*path][:-1], [*path][1:], strict=True):
        u, c = ALL.denoise(x, level), SOME.denoise(x, level)
        w = SCALE * then.alpha / (then.alpha - level.alpha * then.sigma / level.sigma)
        d = u + w * (c - u)
        x = then.alpha * d + then.sigma * (x - level.alpha * d) / level.sigma
    np.testing.assert_allclose(ours("euler_cfg_pp", path), x, rtol=1e-12)


def test_a_denoiser_with_guidance_and_what_callbacks_see():
    def network(x, t, label):
        return (SOME if label else ALL).denoise(x, Level(1.0, float(t[0]), 0.0))

    denoiser = Denoiser(
        network,
        prediction="sample",
        kind="ve",
        args={"label": 1},
        uncond={"label": 0},
        guidance_scale=SCALE,
    )
    path = Path.ve(SIGMAS)
    seen = []
    x = torch.tensor(STARTS * 10.0)
    end = sample(denoiser, x, plan("dpmpp_2m_cfg_pp", path), callback=seen.append)
    np.testing.assert_allclose(end.numpy(), ours("dpmpp_2m_cfg_pp", path), rtol=1e-12)
    np.testing.assert_allclose(seen[0]["denoised"], both(STARTS * 10.0, 10.0).data, rtol=1e-12)


def test_what_is_refused():
    path = Path.ve(SIGMAS)
    with pytest.raises(TypeError, match=r"denoiser: must have the method guided of Denoiser"):
        sample(ALL.denoise, torch.tensor(STARTS), plan("euler_cfg_pp", path))
    with pytest.raises(ValueError, match=re.escape("compat: must be None on a path of kind")):
        plan("dpmpp_2m_cfg_pp", Path.flow([0.9, 0.5, 0.0]), compat="published")
    with pytest.raises(ValueError, match="eta: must not be given for euler_cfg_pp, which has none"):
        plan("euler_cfg_pp", path, eta=1.0)
    broken = Guiding()
    broken.guided = lambda x, level: x
    with pytest.raises(TypeError, match="denoiser: guided must return a Guided"):
        sample(broken, torch.tensor(STARTS), plan("euler_cfg_pp", path))
