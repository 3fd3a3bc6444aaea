"""Many steps at once: where they lead, what they take, and to whom it belongs."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sortes import Interrupted, _device
from sortes.diffusion import (
    Denoiser,
    DynamicThreshold,
    GaussianMixture,
    Level,
    Levels,
    Path,
    paradigms,
    plan,
    sample,
)
from sortes.diffusion.solvers import SOLVERS
from vectors import load

VECTORS = load("diffusion/parallel.json")
DOUBLE = torch.float64
SIGMAS = np.append(np.geomspace(14.6, 0.03, 12), 0.0)
PATH = Path.vp(SIGMAS)
MIXTURE = GaussianMixture(*(VECTORS["gmm"][part] for part in ("w", "mu", "sd")))


def denoiser(x, level):
    """The prediction of a curved law, element by element, for a level or one of each."""
    a, s = level.alpha, level.sigma
    return a * x / (a * a + s * s) + 0.3 * x / (1 + x * x)


def start(*shape, dtype=torch.float32, seed=0, path=PATH):
    made = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(made).to(dtype) * path.sigma[0]


def noisy(made):
    return {"rng": 7} if made.n_draws else {}


#: A plan of each solver that needs nothing of its own.
PLANS = [
    plan(name, PATH, **({"betas": (0.1, 19.9)} if name == "deis_tab" else {}))
    for name in SOLVERS
    if name not in ("dpm_v3", "flow_sde", "ddpm_learned") and SOLVERS[name].guided is None
]


@pytest.fixture(params=[False, True], ids=["host", "device"])
def pretend(request, monkeypatch):
    """The sums of the host, and those of devices."""
    monkeypatch.setattr(_device, "PRETEND", request.param)


@pytest.mark.parametrize("made", PLANS, ids=lambda made: made.solver)
def test_a_window_of_one_is_the_loop_to_the_bit(made, pretend):
    """Red where the first state of a window is made by increments as the others are."""
    x = start(3, 2, 5)
    found = paradigms(denoiser, x, made, window=1, **noisy(made))
    assert torch.equal(found.x, sample(denoiser, x, made, **noisy(made)))
    assert found.n_iterations.tolist() == found.n_evaluations.tolist() == [made.n_evaluations] * 3


@pytest.mark.parametrize("window", [3, 5, None])
@pytest.mark.parametrize("made", PLANS, ids=lambda made: made.solver)
def test_without_tolerance_it_is_the_loop(made, window, pretend):
    """For every solver, with noise of every age; red with predictions of another iteration."""
    x = start(3, 4, dtype=DOUBLE)
    found = paradigms(denoiser, x, made, window=window, tol=0.0, **noisy(made))
    wanted = sample(denoiser, x, made, **noisy(made))
    torch.testing.assert_close(found.x, wanted, rtol=1e-10, atol=1e-11)
    assert (found.n_iterations <= made.n_evaluations).all()


def test_the_error_falls_with_the_tolerance():
    made = plan("ddpm", Path.vp(np.geomspace(20, 0.05, 101)))
    x = start(16, 3, dtype=DOUBLE, path=made.path)
    wanted = sample(denoiser, x, made, rng=7)
    errors, calls = [], []
    for tol in (1e-1, 1e-2, 1e-3, 1e-4):
        found = paradigms(denoiser, x, made, tol=tol, rng=7)
        errors.append(float((found.x - wanted).abs().max()))
        calls.append(int(found.n_iterations.max()))
    assert errors[0] < 0.5
    for loose, tight in pairwise(errors):
        assert tight < 0.5 * loose
    assert calls == sorted(calls)
    assert calls[0] <= 35  # of 100


def reference(step, levels, x, window, tol):
    """The rule of the paper, of a batch whose windows slide together: states, and windows."""
    n = len(levels) - 1
    states, begin, windows = [x.copy() for _ in range(n + 1)], 0, []
    variances = [levels[0].sigma ** 2]
    for before, after in pairwise(levels):
        ratio = after.sigma * before.alpha / (after.alpha * before.sigma)
        variances.append(after.sigma**2 * (1 - ratio**2) or variances[-1])
    while begin < n:
        end = min(begin + window, n)
        windows.append([begin, end - begin])
        made = [states[begin]]
        for i in range(begin, end):
            made.append(made[-1] + step(i, states[i]) - states[i])
        forward = 1
        for k in range(begin + 1, end):
            error = np.square(made[k - begin] - states[k]).mean(-1).max()
            if error > tol**2 * variances[k]:
                break
            forward += 1
        states[begin + 1 : end + 1] = made[1:]
        begin += forward
        for k in range(end + 1, min(begin + window, n) + 1):
            states[k] = states[end]
    return states[n], windows


@pytest.mark.parametrize(
    "case",
    [case for case in VECTORS["cases"] if case["form"] == "increment"],
    ids=lambda case: f"{case['window']}-{case['tol']}-{case['eta']}",
)
def test_recorded_windows(case):
    """The records slide all images together; the rule that makes them, image by image, is ours."""
    a, s, t = (np.array([float(v) for v in VECTORS["path"][part]]) for part in ("a", "s", "t"))
    path = Path(a, s, t, kind="vp")
    made = plan("ddim", path, eta=case["eta"])
    noise = np.array(VECTORS["noise_by_step"])[: made.n_draws]
    x = np.array(case["x"])

    def step(i, state, images=slice(None)):
        row = made.row(i + 1)
        moved = row.c * state + row.w[0] * MIXTURE.denoise(state, path[i])
        return moved + (row.n[0] * noise[i, images] if row.draws else 0.0)

    end, windows = reference(step, list(path), x, case["window"], case["tol"])
    np.testing.assert_allclose(end, case["final"], rtol=1e-9)
    assert windows == case["windows"]
    given = {"noise": torch.tensor(noise)} if made.n_draws else {}
    found = paradigms(
        MIXTURE.denoise, torch.tensor(x), made, window=case["window"], tol=case["tol"], **given
    )
    for i in range(len(x)):
        one = slice(i, i + 1)
        alone, several = reference(
            lambda k, state, one=one: step(k, state, one),
            list(path),
            x[one],
            case["window"],
            case["tol"],
        )
        np.testing.assert_allclose(found.x[one], alone, rtol=1e-9)
        assert found.n_iterations[i] == len(several)
        assert found.n_evaluations[i] == sum(width for _, width in several)


@pytest.mark.parametrize("name", ["ddim", "ddpm", "unipc", "heun", "seeds_3", "sa_solver"])
def test_an_image_of_a_batch_is_the_image_alone(name, pretend):
    """To the bit, where the denoiser treats each number alone. Red with windows in common."""
    made = plan(name, PATH)
    x = start(6, 2, 3, seed=1) * torch.tensor([0.1, 1.0, 3.0, 0.5, 1.0, 2.0])[:, None, None]
    together = paradigms(denoiser, x, made, window=7, tol=0.02, **noisy(made))
    if name == "ddim":
        assert len(set(together.n_iterations.tolist())) > 1
    for i in range(6):
        given = {**noisy(made), "rows": [i]} if made.n_draws else {}
        alone = paradigms(denoiser, x[i : i + 1], made, window=7, tol=0.02, **given)
        assert torch.equal(alone.x[0], together.x[i])
        assert alone.n_iterations[0] == together.n_iterations[i]
        assert alone.n_evaluations[0] == together.n_evaluations[i]


def test_one_call_in_an_iteration():
    made = plan("ddim", PATH)
    calls = []

    def watched(x, level):
        calls.append((len(x), level))
        return denoiser(x, level)

    found = paradigms(watched, start(2, 3), made, window=5)
    assert len(calls) == found.n_iterations.max()
    assert sum(n for n, _ in calls) == found.n_evaluations.sum()
    assert calls[0][0] == 10
    assert isinstance(calls[0][1], Levels)
    assert list(calls[0][1]) == [PATH[k] for k in range(5) for _ in range(2)]
    calls.clear()
    paradigms(watched, start(2, 3), made, window=1)
    assert [level for _, level in calls] == list(made.levels)


def test_the_device_is_waited_for_once_in_an_iteration(monkeypatch):
    monkeypatch.setattr(_device, "PRETEND", True)
    made = plan("ddpm", PATH)
    asked, real = [], torch.Tensor.tolist
    for name in ("item", "cpu", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda self, *_, name=name: asked.append(name))
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: asked.append("tolist") or real(self))
    found = paradigms(denoiser, start(2, 3), made, rng=0, tol=0.3)
    assert asked == ["tolist"] * found.n_iterations.max()


def test_a_noise_sampler_is_asked_once_and_in_order():
    """The form of k-diffusion, of which some count their calls."""
    made = plan("dpmpp_2m_sde", PATH)
    x, noise = start(2, 3), torch.randn(made.n_draws, 2, 3)
    asked = []

    def sampler(sigma, sigma_next):
        asked.append(sigma)
        return noise[len(asked) - 1]

    for window in (3, None):
        asked.clear()
        found = paradigms(denoiser, x, made, window=window, tol=0, noise=sampler)
        np.testing.assert_allclose(asked, SIGMAS[: made.n_draws], rtol=1e-9)
        wanted = sample(denoiser, x, made, noise=noise)
        torch.testing.assert_close(found.x, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_networks_are_asked_about_levels(prediction):
    """A `Denoiser` with guidance in an interval, for several levels at once."""
    trained = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))

    def network(x, t, shift=0.0):
        return 0.5 * x + 1e-3 * t[:, None] + shift

    made = Denoiser(
        network,
        prediction=prediction,
        alphas_cumprod=trained,
        args={"shift": 0.3},
        uncond={"shift": 0.0},
        guidance_scale=2.0,
        guidance_interval=(0.2, 5.0),
    )
    x = start(6, 2, dtype=DOUBLE)
    several = [PATH[k] for k in (0, 11, 5, 5, 2, 7)]
    found = made(x, Levels(several, x))
    for i, level in enumerate(several):
        torch.testing.assert_close(found[i : i + 1], made(x[i : i + 1], level), rtol=1e-12, atol=0)
    guided = made.guided(x, Levels(several, x))
    one = made.guided(x[1:2], several[1])
    torch.testing.assert_close(guided.data[1:2], one.data, rtol=1e-12, atol=0)


def test_from_pure_noise_and_with_integers():
    path = Path.flow(np.linspace(1, 0, 9), t_scale=1000)
    asked = []

    def network(x, t):
        asked.append(t)
        return x - 0.3

    made = Denoiser(network, path, prediction="flow_prediction", round_timesteps=True)
    x = torch.randn(2, 3, dtype=DOUBLE)
    solver = plan("flow_euler", path)
    found = paradigms(made, x, solver, tol=0)
    torch.testing.assert_close(found.x, sample(made, x, solver))
    assert asked[0].dtype is torch.int64
    assert asked[0].tolist() == [round(t) for t in path.t[:-1] for _ in range(2)]


def test_levels_of_a_batch(backend):
    x = np.arange(6.0).reshape(3, 2)
    state = backend.convert(x)
    path = Path.flow([1.0, 0.5, 0.25, 0.0])
    several = Levels([path[0], path[2], path[1]], state)
    parts = {
        "alpha": [0.0, 0.75, 0.5],
        "sigma": [1.0, 0.25, 0.5],
        "ratio": [np.inf, 1 / 3, 1.0],
        "lam": [-np.inf, np.log(3), 0.0],
    }
    for name, values in parts.items():
        column = backend.to_numpy(getattr(several, name), state)
        np.testing.assert_allclose(column, np.array(values)[:, None])
    np.testing.assert_allclose(backend.to_numpy(several.t, state), parts["sigma"])
    assert several[-1] == path[1]
    assert len(several) == 3
    one = GaussianMixture([1, 2], [[0.0, 1.0], [2.0, -1.0]], 0.5)
    for ask in (one.denoise, lambda *a: one.predict(*a, prediction="epsilon")):
        found = backend.to_numpy(ask(state, several), state)
        for i in range(3):
            np.testing.assert_allclose(found[i], ask(x[i], several[i]), rtol=1e-12)


def test_what_levels_refuse():
    x = np.zeros((2, 3))
    for make, error, message in [
        (
            lambda: Levels([PATH[0]], x),
            ValueError,
            "x: must hold a state for each of 1 levels, got 2",
        ),
        (lambda: Levels([PATH[0], 3.0], x), TypeError, "levels: must be a Level, got 3.0"),
        (lambda: Levels(PATH[0].t, x), TypeError, "levels: must be a sequence of Level"),
        (lambda: Levels([], np.float64(1)), ValueError, r"x: must have shape \(B, ...\)"),
        (lambda: Levels([PATH[0]] * 2, x)[2], IndexError, r"i: must be in \[-2, 2\), got 2"),
        (
            lambda: MIXTURE.denoise(np.zeros((3, 1)), Levels([PATH[0]] * 2, x)),
            ValueError,
            "level: must hold one level for each state of x",
        ),
        (
            lambda: Denoiser(lambda x, t: x, prediction="sample")(
                np.zeros((3, 1)), Levels([PATH[0]] * 2, x)
            ),
            ValueError,
            "level: must hold 3 levels, one for each state",
        ),
    ]:
        with pytest.raises(error, match=f"^{message}"):
            make()


def test_thresholds_and_half_precision():
    made = plan("ddim", PATH)
    clipped = DynamicThreshold(denoiser, max_value=2.0)
    x = start(2, 3, 4)
    found = paradigms(clipped, x, made, tol=0)
    torch.testing.assert_close(found.x, sample(clipped, x, made))
    asked = set()

    def half(x, level):
        asked.add((x.dtype, level.alpha.dtype if isinstance(level, Levels) else None))
        return denoiser(x, level)

    found = paradigms(half, x.bfloat16(), made)
    assert asked == {(torch.bfloat16, torch.float32)}
    assert found.x.dtype is torch.bfloat16


def test_odd_batches():
    made = plan("ddpm", PATH)
    for shape in [(0, 3), (2, 0), (0,)]:
        found = paradigms(lambda *_: 1 / 0, torch.empty(shape), made, rng=0)
        assert found.x.shape == shape
        assert found.n_iterations.tolist() == [0] * shape[0]
    x = start(4)
    found = paradigms(denoiser, x, made, tol=0, rng=0)
    torch.testing.assert_close(found.x, sample(denoiser, x, made, rng=0))
    flipped = start(3, 2).T
    torch.testing.assert_close(
        paradigms(denoiser, flipped, made, tol=0, rng=0).x, sample(denoiser, flipped, made, rng=0)
    )


def test_not_a_number_ends():
    made = plan("ddim", PATH)
    found = paradigms(lambda x, level: x * torch.nan, start(2, 3), made)
    assert found.x.isnan().all()
    assert (found.n_iterations == 12).all()


def test_progress_and_interrupts():
    made = plan("ddim", PATH)
    x = start(2, 3)
    reports = []
    found = paradigms(denoiser, x, made, window=4, progress=lambda *r: reports.append(r))
    assert len(reports) == found.n_iterations.max()
    assert reports[-1] == (24, 24)
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    calls = []

    def stopped(x, level):
        calls.append(level)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return denoiser(x, level)

    with pytest.raises(Interrupted) as caught:
        paradigms(stopped, x, made, window=1)
    _, states = sample(denoiser, x, made, return_trajectory=True)
    assert torch.equal(caught.value.partial.x, states[3])
    assert caught.value.partial.n_iterations.tolist() == [3, 3]
    calls.clear()
    kept = paradigms(stopped, x, made, window=1, on_interrupt="return")
    assert torch.equal(kept.x, states[3])


REFUSED = [
    ({"window": 0}, ValueError, r"window: must be at least 1, got 0"),
    ({"window": 2.5}, TypeError, "window: must be an integer"),
    ({"tol": -0.1}, ValueError, r"tol: must be in \[0, inf\), got -0.1"),
    ({"tol": np.nan}, ValueError, r"tol: must be in \[0, inf\), got nan"),
    ({"x": [1.0]}, TypeError, "x: must be a tensor"),
    ({"plan": "ddim"}, TypeError, "plan: must be a Plan, got 'ddim'"),
    (
        {"plan": plan("euler_cfg_pp", PATH)},
        ValueError,
        "plan: must take one prediction in each evaluation, got euler_cfg_pp",
    ),
    ({"plan": plan("ddpm_learned", PATH)}, ValueError, "plan: must have noise of known variance"),
    ({"denoiser": 3}, TypeError, "denoiser: must be callable, got 3"),
    ({"denoiser": lambda x, level: x[:1]}, ValueError, r"denoiser: must return shape \(24, 3\)"),
    ({"rng": 3}, ValueError, "rng: must not be given with a plan of ddim that draws nothing"),
    ({"on_interrupt": "stop"}, ValueError, "on_interrupt: must be 'raise' or 'return'"),
]


@pytest.mark.parametrize(("given", "error", "message"), REFUSED)
def test_what_is_refused(given, error, message):
    call = {"denoiser": denoiser, "x": torch.ones(2, 3), "plan": plan("ddim", PATH), **given}
    with pytest.raises(error, match=f"^{message}"):
        paradigms(**call)


def test_levels_are_hashable():
    assert len({PATH[0], PATH[0], Level(1.0, 2.0, 3.0)}) == 2
