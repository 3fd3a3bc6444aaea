"""The loop: what it asks, what it draws, what it shows, and what ends it."""

import numpy as np
import pytest
import torch
from sortes import Interrupted, _device
from sortes.diffusion import (
    DynamicThreshold,
    Guided,
    Path,
    plan,
    sample,
    sample_adaptive,
    solver_names,
)
from sortes.diffusion.solvers import SOLVERS

SIGMAS = np.append(np.geomspace(14.6, 0.03, 6), 0.0)
PATH = Path.ve(SIGMAS)


def denoiser(x, level):
    """The prediction of normal data, element by element."""
    return x * (level.alpha / (level.alpha**2 + level.sigma**2))


def guided(denoiser):
    """The same, with another prediction beside it that has no condition: for CFG++."""

    def both(x, level):
        d = denoiser(x, level)
        return Guided(d, 0.5 * d)

    denoiser.guided = both
    return denoiser


guided(denoiser)


def start(*shape, dtype=torch.float32, seed=0):
    made = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(made).to(dtype) * SIGMAS[0]


#: A plan of each solver that needs nothing of its own.
PLANS = [
    plan(name, PATH, **({"betas": (0.1, 19.9)} if name == "deis_tab" else {}))
    for name in SOLVERS
    if name not in ("dpm_v3", "flow_sde")
]


@pytest.mark.parametrize("made", PLANS, ids=lambda made: made.solver)
def test_nothing_waits(made, monkeypatch):
    """No value is read from a tensor within the loop; the check at the end can be left out."""
    asked = []
    for name in ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *_, name=name: asked.append(name), raising=True
        )
    kept = {"rng": 0} if made.n_draws else {}
    sample(denoiser, start(2, 3), made, check_finite=False, **kept)
    assert not asked


@pytest.mark.parametrize("made", PLANS, ids=lambda made: made.solver)
def test_evaluations_are_those_of_the_plan(made):
    levels, shapes = [], set()

    def watched(x, level):
        levels.append(level)
        shapes.add((x.shape, x.dtype, x.is_contiguous()))
        return denoiser(x, level)

    x = start(2, 3, 4)
    before = x.clone()
    end = sample(guided(watched), x, made, **({"rng": 0} if made.n_draws else {}))
    assert levels == list(made.levels)
    assert shapes == {(x.shape, torch.float32, True)}
    assert torch.equal(x, before)
    assert (end.shape, end.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("name", ["ddpm", "er_sde", "seeds_3", "sa_solver", "dpm_2_ancestral"])
@pytest.mark.parametrize("pretend", [False, True], ids=["host", "device"])
def test_an_image_is_the_one_made_alone(name, pretend, monkeypatch):
    """Its noise bit for bit, by its name; on a device the same numbers, in Torch operations."""
    made = plan(name, PATH)
    x = start(8, 3, 4)
    together = sample(denoiser, x, made, rng=7, step=2)
    monkeypatch.setattr(_device, "PRETEND", pretend)
    for i in (5, 0, 7):
        alone = sample(denoiser, x[i : i + 1], made, rows=[i], rng=7, step=2)
        torch.testing.assert_close(alone[0], together[i], rtol=1e-5, atol=1e-6)
    some = [3, 1, 6]
    mixed = sample(denoiser, x[some], made, rows=some, rng=7, step=2)
    torch.testing.assert_close(mixed, together[some], rtol=1e-5, atol=1e-6)


def test_the_noise_of_images():
    drawn = {}

    def spy(name, rows):
        seen = []
        # Data that are zero leave the noise alone.
        sample(
            lambda x, level: torch.zeros_like(x),
            torch.zeros(len(rows), 5, dtype=torch.float64),
            plan("consistency", PATH),
            rows=rows,
            rng=3,
            callback=lambda info: seen.append(info["x"].clone()),
        )
        drawn[name] = torch.stack(seen)[1:]

    spy("all", [0, 1, 2])
    spy("last", [2])
    assert torch.equal(drawn["last"][:, 0], drawn["all"][:, 2])
    scaled = drawn["all"] / torch.from_numpy(SIGMAS[1:6])[:, None, None]
    assert len(torch.unique(scaled.round(decimals=9))) == scaled.numel()


def test_streams_steps_and_generators():
    made = plan("ddpm", PATH)
    x = start(2, 3)
    one = sample(denoiser, x, made, rng=5)
    assert torch.equal(sample(denoiser, x, made, rng=5), one)
    assert not torch.equal(sample(denoiser, x, made, rng=5, step=1), one)
    assert not torch.equal(sample(denoiser, x, made), sample(denoiser, x, made))
    from sortes import Stream

    streams = [Stream(3), Stream(4)]
    several = sample(denoiser, x, made, rng=streams)
    swapped = sample(denoiser, x.flip(0), made, rows=[1, 0], rng=streams[::-1])
    torch.testing.assert_close(several, swapped.flip(0))


def test_noise_that_is_brought():
    made = plan("dpmpp_2m_sde", PATH)
    x, noise = start(2, 3), torch.randn(made.n_draws, 2, 3)
    asked = []

    def sampler(sigma, sigma_next):
        asked.append((sigma, sigma_next))
        return noise[len(asked) - 1]

    assert torch.equal(
        sample(denoiser, x, made, noise=noise), sample(denoiser, x, made, noise=sampler)
    )
    np.testing.assert_allclose(asked, np.stack([SIGMAS[:5], SIGMAS[1:6]], 1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    """The network is asked in it, and the state is held in float32."""
    asked = set()

    def half(x, level):
        asked.add(x.dtype)
        return denoiser(x, level)

    made = plan("unipc", PATH)
    end = sample(half, start(2, 3).to(dtype), made)
    assert asked == {dtype}
    assert end.dtype is dtype
    single = sample(denoiser, start(2, 3).to(dtype).float(), made)
    torch.testing.assert_close(end.float(), single, rtol=0.05, atol=0.05)


def test_odd_tensors():
    made = plan("unipc", PATH)
    x = start(3, 4)
    whole = sample(denoiser, x, made)
    torch.testing.assert_close(sample(denoiser, x.T.contiguous().T, made), whole)
    empty = torch.empty(0, 4)
    asked = []
    end, states = sample(asked.append, empty, made, return_trajectory=True)
    assert (end.shape, len(states), asked) == (empty.shape, 7, [])
    with torch.enable_grad():
        assert not sample(denoiser, x.requires_grad_(), made).requires_grad


@pytest.mark.parametrize("name", ["euler", "unipc", "heun", "sa_solver", "dpm_fast"])
def test_trajectories_and_callbacks(name):
    made = plan(name, PATH, **({"s_churn": 2.0} if name == "heun" else {}))
    seen = []
    kept = {"rng": 0} if made.n_draws else {}
    end, states = sample(
        denoiser, start(2, 3), made, return_trajectory=True, callback=seen.append, **kept
    )
    assert torch.equal(end, sample(denoiser, start(2, 3), made, **kept))
    assert len(states) == made.n_steps + 1
    assert [info["i"] for info in seen] == list(range(made.n_steps))
    for info, state, ratio in zip(seen, states, made.path.ratio, strict=False):
        assert info["x"] is state
        assert info["sigma"] == ratio <= info["sigma_hat"] * (1 + 1e-12)
        assert info["denoised"].shape == state.shape
    torch.testing.assert_close(states[0], start(2, 3))


def test_progress():
    made = plan("heun", PATH)
    reports = []
    sample(denoiser, start(1, 2), made, progress=lambda *report: reports.append(report))
    assert reports == [(k + 1, 11) for k in range(11)]


def test_an_interrupt_keeps_what_is_done():
    made = plan("euler", PATH)
    _, states = sample(denoiser, start(2, 3), made, return_trajectory=True)

    def stopped(x, level):
        if level.sigma < 1:
            raise KeyboardInterrupt
        return denoiser(x, level)

    reached = int((SIGMAS >= 1).sum())
    with pytest.raises(Interrupted) as caught:
        sample(stopped, start(2, 3), made)
    # The state of the last level whose evaluation was made.
    assert torch.equal(caught.value.partial, states[reached - 1])
    end, kept = sample(stopped, start(2, 3), made, return_trajectory=True, on_interrupt="return")
    assert torch.equal(end, states[reached - 1])
    assert len(kept) == reached + 1


def test_what_is_not_finite_is_said_once():
    def broken(x, level):
        return torch.where(torch.arange(3) == 1, torch.nan, denoiser(x, level))

    made = plan("unipc", PATH)
    with pytest.warns(RuntimeWarning, match=r"^denoiser: 2 of 6 numbers of the result") as seen:
        end = sample(broken, start(2, 3), made)
    assert len(seen) == 1
    assert end.isnan().sum() == 2
    assert sample(broken, start(2, 3), made, check_finite=False).isnan().sum() == 2


REFUSED = [
    ({"x": torch.ones(2, 3, dtype=torch.int64)}, TypeError, "x: must hold floats"),
    ({"x": [1.0]}, TypeError, r"x: must be a tensor, got \[1.0\]"),
    ({"x": torch.tensor(1.0)}, ValueError, r"x: must have shape \(B, ...\), got \(\)"),
    ({"plan": "ddim"}, TypeError, "plan: must be a Plan, got 'ddim'"),
    ({"denoiser": 3}, TypeError, "denoiser: must be callable, got 3"),
    ({"denoiser": lambda x, level: 3}, TypeError, "denoiser: must return a tensor, got 3"),
    ({"denoiser": lambda x, level: x[:1]}, ValueError, r"denoiser: must return shape \(2, 3\)"),
    ({"denoiser": lambda x, level: x > 0}, TypeError, "denoiser: must return floats"),
    ({"rng": 3}, ValueError, "rng: must not be given with a plan of ddim that draws nothing"),
    ({"rows": [0, 1]}, ValueError, "rows: must not be given for ddim"),
    ({"noise": torch.ones(9, 2, 3)}, ValueError, "noise: must not be given for ddim"),
    ({"callback": 3}, TypeError, "callback: must be callable, got 3"),
    ({"on_interrupt": "stop"}, ValueError, "on_interrupt: must be 'raise' or 'return'"),
]


@pytest.mark.parametrize(("given", "error", "message"), REFUSED)
def test_what_is_refused(given, error, message):
    call = {"denoiser": denoiser, "x": torch.ones(2, 3), "plan": plan("ddim", PATH), **given}
    with pytest.raises(error, match=f"^{message}"):
        sample(**call)


NOISE_REFUSED = [
    ({"noise": torch.ones(2, 2, 3)}, ValueError, r"noise: must have shape \(5, 2, 3\)"),
    ({"noise": 3}, TypeError, "noise: must be a tensor or a function, got 3"),
    ({"noise": lambda *_: 3}, ValueError, r"noise: must return a tensor of shape \(2, 3\), got 3"),
    ({"noise": torch.ones(5, 2, 3), "rng": 1}, ValueError, "rng: must not be given with noise"),
    ({"noise": torch.ones(5, 2, 3), "rows": [1, 2]}, ValueError, "rows: must not be given with"),
    ({"rows": [0]}, ValueError, "rows: must have shape"),
    ({"rows": [0, -1]}, ValueError, r"rows: item 1 must be in \[0, 2\*\*32\), got -1"),
]


@pytest.mark.parametrize(("given", "error", "message"), NOISE_REFUSED)
def test_noise_that_is_refused(given, error, message):
    with pytest.raises(error, match=f"^{message}"):
        sample(denoiser, torch.ones(2, 3), plan("ddpm", PATH), **given)


def test_churn_takes_noise_of_its_own():
    made = plan("heun", PATH, s_churn=2.0)
    with pytest.raises(ValueError, match=r"^noise: must be a tensor for churn"):
        sample(denoiser, start(2, 3), made, noise=lambda *_: torch.ones(2, 3))


# Adaptive steps.


def exact(x, path):
    """Where the probability flow takes normal data."""
    first, last = path[0], path[-1]
    return x * np.hypot(last.alpha, last.sigma) / np.hypot(first.alpha, first.sigma)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("kind", ["ve", "vp", "flow"])
def test_adaptive_steps_keep_their_tolerance(kind, order):
    ratio = np.array([14.6, 0.03])
    path = Path.flow(ratio / (1 + ratio)) if kind == "flow" else getattr(Path, kind)(ratio)
    x = start(64, dtype=torch.float64) / SIGMAS[0] * path.sigma[0]
    found = {}
    for tolerance in (1e-2, 1e-4):
        found[tolerance] = sample_adaptive(
            denoiser, x, path, order=order, rtol=tolerance, atol=tolerance
        )
        errors = (found[tolerance].x - exact(x, path)).abs() / (1 + exact(x, path).abs())
        assert float(errors.max()) < 5 * tolerance  # of one step; there are tens
    assert found[1e-4].n_evaluations > found[1e-2].n_evaluations
    assert (np.diff(found[1e-4].lam) > 0).all()
    made = found[1e-2]
    accepted = len(made.lam) - 1
    # A refused step has its first evaluation from the one before.
    assert made.n_evaluations == order * accepted + (order - 1) * made.n_rejected


def test_adaptive_steps_to_clean_data_and_with_noise():
    x = start(5, 2)
    clean = sample_adaptive(denoiser, x, PATH, rtol=1e-3, atol=1e-3)
    assert clean.lam[-1] == np.inf
    kept = {"eta": 1.0, "rng": 4}
    noisy = sample_adaptive(denoiser, x, PATH, **kept)
    again = sample_adaptive(denoiser, x, PATH, **kept)
    assert torch.equal(noisy.x, again.x)
    assert not torch.allclose(noisy.x, clean.x, atol=0.1)


@pytest.mark.law
def test_the_variance_of_adaptive_steps_with_noise():
    """100,000 normals, 5 standard errors and the error of the steps: below 3 % of the variance."""
    x = start(100_000, 1)
    found = sample_adaptive(denoiser, x, Path.ve([14.6, 0.03]), eta=1.0, rtol=1e-3, rng=2)
    assert abs(float(found.x.var()) / 1.0009 - 1) < 0.03


def test_adaptive_steps_that_are_refused():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"^max_evaluations: 12 did not suffice"):
        sample_adaptive(denoiser, x, PATH, max_evaluations=12)
    with pytest.raises(ValueError, match=r"^path: must begin and end"):
        sample_adaptive(denoiser, x, Path.flow([1.0, 0.5, 0.0]))
    with pytest.raises(ValueError, match=r"^denoiser: returned what is not finite"):
        sample_adaptive(lambda x, level: x * torch.nan, x, PATH)
    with pytest.raises(ValueError, match=r"^rng: must not be given with eta=0"):
        sample_adaptive(denoiser, x, PATH, rng=3)


def test_thresholds_of_large_images():
    """Quantiles of more numbers than Torch's own takes are those of NumPy."""
    d = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    for ratio in (0.25, 0.9, 0.995, 1.0):
        got = DynamicThreshold(lambda x, level: x, ratio=ratio, max_value=9.0)(d, PATH[0])
        q = np.maximum(np.quantile(np.abs(d.numpy()).reshape(2, -1), ratio, axis=1), 1)
        wanted = np.clip(d.numpy(), -q[:, None, None, None], q[:, None, None, None])
        np.testing.assert_allclose(got, wanted / q[:, None, None, None], rtol=1e-12)


def test_every_name_is_found():
    names = solver_names()
    assert len(names) == len(set(names))
    comfy = {
        *("euler", "euler_ancestral", "heun", "heunpp2", "dpm_2", "dpm_2_ancestral", "lms"),
        *("exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_fast", "dpmpp_2s_ancestral", "dpmpp_sde"),
        *("dpmpp_sde_gpu", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde_heun"),
        *("dpmpp_2m_sde_heun_gpu", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu", "ddpm", "lcm", "ipndm"),
        *("ipndm_v", "deis", "res_multistep", "res_multistep_ancestral", "gradient_estimation"),
        *("er_sde", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece", "ddim", "uni_pc"),
        *("uni_pc_bh2", "euler_cfg_pp", "euler_ancestral_cfg_pp", "dpmpp_2s_ancestral_cfg_pp"),
        *("dpmpp_2m_cfg_pp", "res_multistep_cfg_pp", "res_multistep_ancestral_cfg_pp"),
        "gradient_estimation_cfg_pp",
    }
    # All 44 but dpm_adaptive, which is sample_adaptive.
    assert len(comfy) == 43
    assert comfy <= set(names)
