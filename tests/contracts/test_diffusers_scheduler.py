"""SortesScheduler: our loop in the shape of diffusers, beside their schedulers."""

import json

import numpy as np
import pytest
import torch
from sortes.diffusion import (
    ModelStatistics,
    Path,
    from_diffusers,
    plan,
    sample,
    schedule,
    sigmas_flow,
    solver_names,
)
from sortes.diffusion.solvers import ALIASES

diffusers = pytest.importorskip("diffusers")
from sortes.integrations.diffusers import SortesScheduler  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs, of NumPy

DOUBLE = torch.float64
X = torch.tensor([[-1.3], [0.2], [0.8], [2.1]], dtype=DOUBLE)
TRAINED = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}
NAMES = [name for name in solver_names() if not name.endswith("_cfg_pp")]
FLOW = {"prediction_type": "flow_prediction", "shift": 3.0}


def network(x, t):
    """Something smooth that depends on everything."""
    return torch.tanh(1.3 * x + 0.001 * t.reshape(-1, *(1,) * (x.ndim - 1))) + 0.1 * x


def normals(n):
    """What a generator of seed 3 draws."""
    generator = torch.Generator().manual_seed(3)
    return torch.stack([torch.randn(X.shape, generator=generator, dtype=DOUBLE) for _ in range(n)])


def run(scheduler, x=X, model=network, **given):
    """What a pipeline does."""
    for t in scheduler.timesteps:
        scale = getattr(scheduler, "scale_model_input", lambda x, t: x)
        asked = model(scale(x, t), t.to(x))
        x = scheduler.step(asked, t, x, **given).prev_sample
    return x


def options_for(name, path):
    known = ALIASES.get(name, (name, {}))[0]
    if known == "deis_tab":
        return {"betas": (0.1, 19.9)}
    if known == "dpm_v3":
        inner = path.lam[np.isfinite(path.lam)]
        return {"statistics": ModelStatistics(inner, *np.ones((3, len(inner))))}
    return {}


def refuses(name, kind):
    known = ALIASES.get(name, (name, {}))[0]
    if kind == "vp":
        return known == "flow_sde"
    return known in ("dpm_fast", "dpm_v3")  # pure noise, and clean data


def path_of(scheduler, n):
    """The levels of a scheduler, made by the library itself."""
    if scheduler.config.prediction_type == "flow_prediction":
        return Path.flow(sigmas_flow(n, scheduler.config.shift), t_scale=1000)
    return scheduler._training.path(n, None, None, None)


@pytest.mark.parametrize("kind", ["vp", "flow"])
@pytest.mark.parametrize("name", NAMES)
def test_every_solver_is_our_loop(name, kind):
    """Bit for bit, in the shape of one call for each evaluation."""
    if refuses(name, kind):
        return
    ends = {"final_sigmas_type": "sigma_min"} if name == "dpm_v3" else {}
    given = FLOW if kind == "flow" else {**TRAINED, "schedule": None, **ends}
    scheduler = SortesScheduler(name, **given)
    path = path_of(scheduler, 8)
    options = options_for(name, path)
    scheduler = SortesScheduler(name, options, **given)
    scheduler.set_timesteps(8)
    made = plan(name, path, **options)
    # Times that differ by rounding would be heard.
    assert scheduler.timesteps.tolist() == pytest.approx([level.t for level in made.levels])
    asked = from_diffusers(network, scheduler, path)
    noise, generator = None, torch.Generator().manual_seed(3)
    if made.n_draws:
        drawn = [
            torch.randn(X.shape, generator=generator, dtype=DOUBLE) for _ in range(made.n_draws)
        ]
        noise, generator = torch.stack(drawn), generator.manual_seed(3)
    ours = sample(asked, X, made, noise=noise)
    end = run(scheduler, generator=generator)
    torch.testing.assert_close(end, ours, rtol=1e-6, atol=1e-7)
    assert end.isfinite().all()


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("name", ["ddim", "unipc", "heun", "dpmpp_3s"])
def test_every_prediction(name, prediction):
    scheduler = SortesScheduler(name, prediction_type=prediction, **TRAINED)
    scheduler.set_timesteps(6)
    path = path_of(scheduler, 6)
    ours = sample(from_diffusers(network, scheduler, path), X, plan(name, path))
    torch.testing.assert_close(run(scheduler), ours, rtol=1e-6, atol=1e-7)


PEERS = [
    ("DDIMScheduler", "ddim", {}, {}),
    ("DDIMScheduler", "ddim", {}, {"timestep_spacing": "trailing"}),
    ("DDIMScheduler", "ddim", {}, {"set_alpha_to_one": False, "steps_offset": 1}),
    ("DDPMScheduler", "ddpm", {}, {}),
    ("DDPMScheduler", "ddpm", {}, {"clip_sample": True, "clip_sample_range": 0.7}),
    ("DDPMScheduler", "ddpm_large", {}, {"variance_type": "fixed_large"}),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", {}, {}),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", {}, {"timestep_spacing": "trailing"}),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", {}, {"final_sigmas_type": "sigma_min"}),
    ("DPMSolverMultistepScheduler", "dpmpp_2m", {}, {"thresholding": True}),
    ("UniPCMultistepScheduler", "unipc", {"order": 2}, {}),
    ("UniPCMultistepScheduler", "unipc", {"order": 2}, {"prediction_type": "v_prediction"}),
    ("DEISMultistepScheduler", "DEISMultistepScheduler", {}, {"timestep_spacing": "leading"}),
    ("DEISMultistepScheduler", "DEISMultistepScheduler", {}, {}),
    ("FlowMatchEulerDiscreteScheduler", "flow_euler", {}, {}),
    ("FlowMatchEulerDiscreteScheduler", "flow_euler", {}, {"shift_terminal": 0.1}),
]


@pytest.mark.parametrize("n", [8, 20])  # with others, their DDIM leaves its own grid
@pytest.mark.parametrize(("cls", "name", "options", "config"), PEERS)
def test_it_takes_the_place_of_theirs(cls, name, options, config, n):
    """The same times, noise and samples, from their configuration."""
    common = {} if "Flow" in cls else {**TRAINED}
    if cls in ("DDIMScheduler", "DDPMScheduler"):
        common["clip_sample"] = False
    theirs = getattr(diffusers, cls)(**{**common, **config})
    ours = SortesScheduler.from_config(theirs.config, solver=name, solver_options=options)
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(n)
    assert ours.timesteps.tolist() == pytest.approx(theirs.timesteps.tolist(), rel=1e-6)
    x = X.float().view(4, 1, 1, 1)
    ends = []
    for scheduler in (theirs, ours):
        given = {"generator": torch.Generator().manual_seed(1)} if name[:4] == "ddpm" else {}
        ends.append(run(scheduler, x=x, **given))
    torch.testing.assert_close(ends[1], ends[0], rtol=3e-5, atol=3e-5)


def test_flows_are_shifted_once():
    """FlowMatchEuler begins to shift from levels that it has shifted already."""
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    ours = SortesScheduler.from_config(theirs.config)
    ours.set_timesteps(10)
    np.testing.assert_allclose(ours.sigmas, sigmas_flow(10, 3.0), rtol=1e-6)
    # Levels that pipelines give are shifted in both.
    given = np.linspace(1, 0.1, 10)
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(sigmas=given)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas)
    torch.testing.assert_close(ours.timesteps, theirs.timesteps)
    dynamic = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    ours = SortesScheduler.from_config(dynamic.config)
    for scheduler in (ours, dynamic):
        scheduler.set_timesteps(sigmas=given, mu=0.9)
    torch.testing.assert_close(ours.sigmas, dynamic.sigmas)


def test_any_levels_of_flows():
    """Those of a user, as they are, for a solver of several steps (diffusers #9924)."""
    levels = [0.98, 0.9, 0.75, 0.5, 0.2]
    scheduler = SortesScheduler("dpmpp_2m", prediction_type="flow_prediction")
    scheduler.set_timesteps(sigmas=levels)
    path = Path.flow([*levels, 0.0], t_scale=1000)
    np.testing.assert_allclose(scheduler.timesteps, 1000 * np.array(levels), rtol=1e-6)
    ours = sample(from_diffusers(network, scheduler, path), X, plan("dpmpp_2m", path))
    torch.testing.assert_close(run(scheduler), ours, rtol=1e-6, atol=1e-7)
    again = SortesScheduler("dpmpp_2m", prediction_type="flow_prediction")
    again.set_timesteps(timesteps=[980, 900, 750, 500, 200])
    torch.testing.assert_close(run(again), ours, rtol=1e-6, atol=1e-7)


COMFY = ["beta", "beta57", "bong_tangent", "ddim_uniform", "exponential", "karras", "kl_optimal"]
COMFY += ["linear_quadratic", "normal", "sgm_uniform", "simple"]


@pytest.mark.parametrize("name", COMFY)
def test_every_schedule(name):
    scheduler = SortesScheduler("dpmpp_2m", schedule=name, **TRAINED)
    scheduler.set_timesteps(6)
    wanted = schedule(6, name=name, alphas_cumprod=scheduler._training.alphas_cumprod)
    np.testing.assert_allclose(scheduler.sigmas, wanted, rtol=1e-6)
    assert run(scheduler).isfinite().all()
    flow = SortesScheduler("dpmpp_2m", schedule=name, **FLOW)
    flow.set_timesteps(6)
    sigmas = flow.sigmas.numpy()
    assert sigmas[0] <= 1
    assert sigmas[-1] == 0
    assert (np.diff(sigmas) < 0).all()
    assert run(flow).isfinite().all()


def test_a_network_of_edm():
    theirs = diffusers.EDMEulerScheduler()
    ours = SortesScheduler.from_config(theirs.config, solver="euler")
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(8)
    torch.testing.assert_close(ours.timesteps, theirs.timesteps, rtol=1e-5, atol=1e-6)
    assert ours.init_noise_sigma == pytest.approx(float(theirs.init_noise_sigma))
    ends = [run(scheduler, x=80 * X.float()) for scheduler in (theirs, ours)]
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-4)


def test_evaluations_and_steps():
    """As many entries as evaluations, in the shape of their Heun scheduler."""
    theirs = diffusers.HeunDiscreteScheduler(**TRAINED, timestep_spacing="trailing")
    ours = SortesScheduler.from_config(theirs.config, solver="heun")
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(5)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()
    assert ours.order == theirs.order == 2
    # Theirs scales states to the variance of the data plus that of the noise.
    x = X.float()
    gain = float(np.hypot(1, theirs.sigmas[0]))
    ends = [run(theirs, x=x * gain), run(ours, x=x)]
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-4)
    for name, order in {"unipc": 1, "dpmpp_3s": 3, "sa_solver_pece": 2, "dpm_fast": 1}.items():
        scheduler = SortesScheduler(name, **TRAINED)
        assert scheduler.order == 1
        scheduler.set_timesteps(6)
        assert scheduler.order == order, name
        assert len(scheduler) == 1000


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "unipc", "heun", "dpmpp_3s", "sa_solver"])
def test_runs_that_begin_later(name):
    """Image to image: the run is that of the levels that are left, at whatever level noise went."""
    scheduler = SortesScheduler(name, **TRAINED)
    scheduler.set_timesteps(8)
    begin = 3 * scheduler.order
    scheduler.set_begin_index(begin)
    x0, z = 0.5 * X, X.flip(0)
    whole = path_of(scheduler, 8)
    path = Path(*(part[3:] for part in (whole.alpha, whole.sigma, whole.t)), kind="vp")
    x = scheduler.add_noise(x0, z, scheduler.timesteps[begin : begin + 1])
    torch.testing.assert_close(x, path.alpha[0] * x0 + path.sigma[0] * z)
    made = plan(name, path)
    draws = {}
    if made.n_draws:
        generator = torch.Generator().manual_seed(3)
        noise = [
            torch.randn(X.shape, generator=generator, dtype=DOUBLE) for _ in range(made.n_draws)
        ]
        draws = {"noise": torch.stack(noise)}
    ours = sample(from_diffusers(network, scheduler, path), x, made, **draws)

    def rest(scheduler, x):
        generator = torch.Generator().manual_seed(3)
        for t in scheduler.timesteps[begin:]:
            x = scheduler.step(network(x, t.to(x)), t, x, generator=generator).prev_sample
        return x

    torch.testing.assert_close(rest(scheduler, x), ours, rtol=1e-6, atol=1e-7)
    # Without a word of the pipeline, the first time says where.
    scheduler.set_timesteps(8)
    torch.testing.assert_close(rest(scheduler, x), ours, rtol=1e-6, atol=1e-7)
    assert scheduler.step_index == len(scheduler.timesteps)


def test_add_noise_at_any_time():
    vp = SortesScheduler(**TRAINED)
    theirs = diffusers.DDPMScheduler(**TRAINED)
    x0, z = X.float(), X.float().flip(0)
    times = torch.tensor([0, 17, 500, 999])
    torch.testing.assert_close(
        vp.add_noise(x0, z, times), theirs.add_noise(x0, z, times), rtol=1e-5, atol=1e-6
    )
    # Between two times, the logarithm of the ratio of noise to signal is linear.
    table = vp._training.alphas_cumprod[16:18]
    ratio = np.exp(np.log(1 / table - 1).mean() / 2)
    level = Path.vp([ratio, 0.0])[0]
    between = vp.add_noise(x0, z, torch.tensor([16.5]))
    torch.testing.assert_close(between, level.alpha * x0 + level.sigma * z, rtol=1e-5, atol=1e-6)
    rescaled = SortesScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    torch.testing.assert_close(rescaled.add_noise(x0, z, torch.tensor([999])), z)
    flow = SortesScheduler(**FLOW)
    half = flow.scale_noise(x0, torch.tensor([500.0]), z)
    torch.testing.assert_close(half, 0.5 * x0 + 0.5 * z)


def test_noise_of_each_image():
    """With a generator for each, an image of a batch is the one made alone."""
    scheduler = SortesScheduler("dpmpp_2m_sde", **TRAINED)

    def made(rows):
        scheduler.set_timesteps(10)
        generators = [torch.Generator().manual_seed(i) for i in rows]
        return run(scheduler, x=X[list(rows)], generator=generators)

    together = made(range(4))
    for i in range(4):
        assert torch.equal(made([i])[0], together[i])
    # Noise of the caller's own.
    scheduler.set_timesteps(10)
    noise = run(scheduler, variance_noise=torch.zeros_like(X))
    assert not torch.equal(noise, together)


@pytest.mark.parametrize("name", ["ddim", "unipc"])
def test_half_precision_is_kept_between_steps(name):
    """The state is that of float32, as in our loop, unless the pipeline changes it."""
    half = torch.bfloat16

    def rounded(x, t):
        return network(x.float(), t.float()).to(half)

    def made(touch):
        scheduler.set_timesteps(20)
        x = X.to(half)
        for t in scheduler.timesteps:
            x = touch(scheduler.step(rounded(x, t), t, x).prev_sample)
            assert x.dtype is half
        return x

    scheduler = SortesScheduler(name, **TRAINED)
    kept, forgotten = made(lambda x: x), made(lambda x: x.clone())
    path = path_of(scheduler, 20)
    denoiser = from_diffusers(rounded, scheduler, path, dtype=half)
    ours = sample(denoiser, X.to(half).float(), plan(name, path)).to(half)
    assert torch.equal(kept, ours)
    assert not torch.equal(forgotten, ours)
    # A change is seen, in place or not.
    assert torch.equal(made(lambda x: x.mul_(0.5)), made(lambda x: 0.5 * x))


@pytest.mark.parametrize("name", ["unipc", "dpmpp_3m", "heun"])
def test_states_that_pipelines_change(name):
    """The next row takes what the pipeline made of the state, in place or not."""
    scheduler = SortesScheduler(name, **TRAINED)
    ends = []
    for touch in (lambda x: x.mul_(0.9), lambda x: 0.9 * x, lambda x: x):
        scheduler.set_timesteps(6)
        x = X.clone()
        for t in scheduler.timesteps:
            x = touch(scheduler.step(network(x, t.to(x)), t, x).prev_sample)
        ends.append(x)
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=1e-12)
    assert (ends[1] - ends[2]).abs().max() > 0.01


def test_twice_the_channels():
    scheduler = SortesScheduler("ddim", variance_type="learned_range", **TRAINED)
    plain = SortesScheduler("ddim", **TRAINED)
    for each in (scheduler, plain):
        each.set_timesteps(3)
    x = torch.randn(2, 3, 4, 4)

    def twice(x, t):
        return torch.cat([network(x, t), x], 1)

    torch.testing.assert_close(run(scheduler, x=x, model=twice), run(plain, x=x))


def test_configurations_go_round(tmp_path):
    options = {"order": 3, "solver_type": "bh1"}
    made = SortesScheduler("unipc", options, schedule="karras", **TRAINED)
    made.save_config(tmp_path)
    assert json.loads((tmp_path / "scheduler_config.json").read_text())["solver"] == "unipc"
    again = SortesScheduler.from_pretrained(tmp_path)
    said = {key: value for key, value in made.config.items() if key[0] != "_"}
    assert said.items() <= dict(again.config).items()
    same = SortesScheduler.from_config(made.config)
    other = SortesScheduler.from_config(made.config, solver="ddim", solver_options=None)
    assert other.config.solver == "ddim"
    assert other.config.beta_end == 0.012
    ends = []
    for scheduler in (made, again, same):
        scheduler.set_timesteps(5)
        ends.append(run(scheduler))
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])
    # Theirs can be made of it, too.
    assert diffusers.EulerDiscreteScheduler.from_config(made.config).config.beta_end == 0.012


def test_defaults_of_other_classes_are_kept():
    """diffusers itself replaces them: a Heun scheduler made of DDPM's changes the training."""
    ddpm = diffusers.DDPMScheduler()
    assert diffusers.HeunDiscreteScheduler.from_config(ddpm.config).config.beta_end == 0.012
    heun = diffusers.HeunDiscreteScheduler()
    ours = SortesScheduler.from_config(heun.config)
    assert (ours.config.beta_start, ours.config.beta_end) == (0.00085, 0.012)
    assert SortesScheduler.from_config(ddpm.config).config.beta_end == 0.02


def test_a_scheduler_that_was_made_of_another():
    """Its configuration holds keys of both; its class says which are its own."""
    ddim = diffusers.DDIMScheduler(set_alpha_to_one=False, clip_sample=False, **TRAINED)
    dpm = diffusers.DPMSolverMultistepScheduler.from_config(ddim.config)
    again = diffusers.DDIMScheduler.from_config(dpm.config)
    for theirs, ends, counted in [
        (ddim, "sigma_min", "euler"),
        (dpm, "zero", "dpm"),
        (again, "sigma_min", "euler"),
    ]:
        config = SortesScheduler.from_config(theirs).config
        assert (config.final_sigmas_type, config.spacing_convention) == (ends, counted)
    with pytest.raises(TypeError, match="config: must be a mapping or a scheduler, got 'ddim'"):
        SortesScheduler.from_config("ddim")
    with pytest.raises(TypeError, match="solvr: is no argument"):
        SortesScheduler.from_config(ddim, solvr="ddim")


@pytest.mark.parametrize("n", [61, 62, 103, 999, 1000])
def test_as_many_times_as_asked_for(n):
    """DDIM of diffusers 0.42 adds the time -1 for 62 numbers of steps, of which 61 is the first."""
    scheduler = SortesScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(n)
    assert len(scheduler.timesteps) == n
    assert scheduler.timesteps.min() >= 0


REFUSED = [
    ({"num_inference_steps": 5, "timesteps": [3, 1]}, "timesteps: exactly one of"),
    ({"timesteps": [3, 1], "sigmas": [3.0, 1.0]}, "sigmas: exactly one of"),
    ({}, "num_inference_steps: exactly one of .* got none"),
    ({"num_inference_steps": 1001}, r"num_inference_steps: must be in \[1, 1000\].* got 1001"),
    ({"num_inference_steps": 0}, r"num_inference_steps: must be in \[1, 1000\].* got 0"),
    ({"timesteps": [1, 3]}, "timesteps: item 1 must be below the one before, 1.0, got 3.0"),
    ({"timesteps": [1000, 3]}, r"timesteps: .* got 1000"),
    ({"sigmas": [1.0, 1.0]}, "sigmas: item 1 must be below the one before, 1.0, got 1.0"),
    ({"sigmas": [0.0]}, "sigmas: must begin above 0"),
    ({"sigmas": []}, "sigmas: must hold at least one level"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_is_refused(given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        SortesScheduler(**TRAINED).set_timesteps(**given)


def test_what_else_is_refused():
    scheduler = SortesScheduler("heun", **TRAINED)
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="num_inference_steps: is not known"):
        scheduler.step(x, 3, x)
    scheduler.set_timesteps(4)
    with pytest.raises(ValueError, match="timestep: must be one of timesteps with which a"):
        scheduler.step(x, 3, x)
    scheduler.set_begin_index(0)
    with pytest.raises(ValueError, match=r"timestep: must be 999\.0, entry 0 of timesteps, got 3"):
        scheduler.step(x, 3, x)
    with pytest.raises(ValueError, match="begin_index: must begin a step, got 1"):
        scheduler.set_begin_index(1)
    with pytest.raises(ValueError, match=r"model_output: must have shape \(2, 3\), got \(2, 4\)"):
        scheduler.step(torch.ones(2, 4), 999, x)
    scheduler.step(x, 999, x)
    with pytest.raises(ValueError, match=r"timestep: must be 749\.0, entry 1"):
        scheduler.step(x, 999, x)
    with pytest.raises(ValueError, match="solver: must not be CFG"):
        SortesScheduler("euler_cfg_pp").set_timesteps(4)
    with pytest.raises(ValueError, match="solver_options: s_churn must leave the first step"):
        SortesScheduler("euler", {"s_churn": 2.0}).set_timesteps(4)
    with pytest.raises(ValueError, match="prediction_type: must not be 'epsilon'"):
        SortesScheduler(rescale_betas_zero_snr=True).set_timesteps(4)
    with pytest.raises(ValueError, match="config: invert_sigmas has no counterpart"):
        SortesScheduler.from_config({"invert_sigmas": True})
    with pytest.raises(ValueError, match=r"solver: must be .*'nope'"):
        SortesScheduler("nope")
    with pytest.raises(ValueError, match="mu: must be given with use_dynamic_shifting"):
        SortesScheduler(use_dynamic_shifting=True, **FLOW).set_timesteps(4)
    noisy = SortesScheduler("ddpm")
    noisy.set_timesteps(4)
    with pytest.raises(ValueError, match="generator: must hold one for each of 2 images, got 3"):
        noisy.step(x, noisy.timesteps[0], x, generator=[torch.Generator() for _ in range(3)])


def test_a_run_after_another():
    """Once a run has ended, the next step begins one anew."""
    scheduler = SortesScheduler("dpmpp_2m", **TRAINED)
    scheduler.set_timesteps(5)
    assert torch.equal(run(scheduler), run(scheduler))
    churned = SortesScheduler("euler", {"s_churn": 2.0, "s_tmax": 5.0}, **TRAINED)
    churned.set_timesteps(5)
    assert run(churned, generator=torch.Generator().manual_seed(0)).isfinite().all()
    assert churned.timesteps.dtype is torch.float32


@pytest.mark.parametrize("name", ["unipc", "heun", "dpmpp_2m_sde"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_waits(name, dtype, monkeypatch):
    """No value is read from a tensor in a run that the pipeline has begun by its index."""
    scheduler = SortesScheduler(name, **TRAINED)
    scheduler.set_timesteps(6)
    scheduler.set_begin_index(0)
    times = scheduler.timesteps.tolist()
    x, out = X.to(dtype), torch.ones_like(X, dtype=dtype)
    asked = []
    for method in ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(
            torch.Tensor, method, lambda self, *_, method=method: asked.append(method)
        )
    for t in times:
        x = scheduler.step(out, t, scheduler.scale_model_input(x, t)).prev_sample
    assert not asked


def test_what_cannot_begin_later():
    """A solver that chooses its own levels, or whose first steps have more evaluations."""
    for name, options in [("dpm_fast", {}), ("dpmpp_2m", {"warmup": "singlestep"})]:
        scheduler = SortesScheduler(name, options, **TRAINED)
        scheduler.set_timesteps(6)
        begin = scheduler._run.starts[1]
        scheduler.set_begin_index(begin)
        with pytest.raises(ValueError, match=r"begin_index: must be 0 for"):
            scheduler.step(X, scheduler.timesteps[begin], X)
    corrected = SortesScheduler("unipc", {"disable_corrector": [1, 3]}, **TRAINED)
    corrected.set_timesteps(6)
    corrected.set_begin_index(3)
    x = X
    for t in corrected.timesteps[3:]:
        x = corrected.step(network(x, t.to(x)), t, x).prev_sample
    path = path_of(corrected, 6)
    rest = Path(*(part[3:] for part in (path.alpha, path.sigma, path.t)), kind="vp")
    made = plan("unipc", rest, disable_corrector=[0])
    ours = sample(from_diffusers(network, corrected, rest), X, made)
    torch.testing.assert_close(x, ours, rtol=1e-6, atol=1e-7)


def test_a_step_that_fails_ends_the_run():
    scheduler = SortesScheduler("ddpm", **TRAINED)
    scheduler.set_timesteps(3)
    generator = torch.Generator()
    first, second = scheduler.timesteps[:2]
    x = scheduler.step(X, first, X, generator=generator).prev_sample
    with pytest.raises(ValueError, match="sample: must be as in the step before"):
        scheduler.step(X[:2], second, X[:2])
    with pytest.raises(TypeError, match="generator: must be a Generator or a list of them, got 3"):
        scheduler.step(X, second, x, generator=3)
    assert scheduler.step(X, second, x, generator=generator).prev_sample.isfinite().all()
    statistics = {"lam": [0.0], "l": [1.0], "s": [0.0], "b": [0.0]}
    kept = SortesScheduler("dpm_v3", {"statistics": statistics}, **TRAINED)
    assert json.loads(kept.to_json_string())["solver_options"]["statistics"] == statistics
    with pytest.raises(TypeError, match="solver_options: must be a mapping, got 3"):
        SortesScheduler("ddim", 3)


def test_levels_that_are_asked_for_again():
    """They are made once, for as long as the configuration is the same."""
    scheduler = SortesScheduler("dpmpp_2m", **TRAINED)
    scheduler.set_timesteps(5)
    first, path = run(scheduler), scheduler._run.path
    scheduler.set_begin_index(2)
    scheduler.set_timesteps(5)
    assert scheduler._run.path is path
    assert scheduler.begin_index is None
    assert torch.equal(run(scheduler), first)
    for given in ({"num_inference_steps": 4}, {"sigmas": [3.0, 1.0]}, {"num_inference_steps": 5}):
        scheduler.set_timesteps(**given)
        assert scheduler._run.path is not path
        path = scheduler._run.path
    assert torch.equal(run(scheduler), first)
    # Some pipelines put another configuration in the place of that.
    changed = {**scheduler.config, "clip_sample": True, "clip_sample_range": 0.1}
    scheduler._internal_dict = diffusers.configuration_utils.FrozenDict(changed)
    scheduler.set_timesteps(5)
    assert run(scheduler).abs().max() <= 0.1
