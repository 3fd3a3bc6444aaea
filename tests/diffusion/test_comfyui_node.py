"""The nodes for ComfyUI, with stand-ins for the three names that they import from it."""

import sys
import types
from pathlib import Path as File
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sortes.diffusion import (
    GaussianMixture,
    Guided,
    Level,
    Path,
    betas,
    plan,
    sample,
    schedule,
    sigmas_ays,
)

ALL = GaussianMixture([0.3, 0.7], [[-1.2], [0.9]], [0.35, 0.5])
SOME = GaussianMixture([1.0], [[0.9]], [0.4])
TRAINED = np.cumprod(1 - betas(kind="scaled_linear"))
NOISE = torch.tensor([[-1.3], [0.2], [0.8]], dtype=torch.float64)


class Const:
    """What models of flows are told by."""


class Sampler:
    """How ComfyUI calls the function of a sampler, as far as it concerns that."""

    def __init__(self, sampler_function, extra_options):
        self.sampler_function, self.extra_options = sampler_function, extra_options

    def sample(self, model, sigmas, noise, **args):
        is_flow = isinstance(model.inner_model.inner_model.model_sampling, Const)
        x = noise * sigmas[0]
        if not is_flow:
            assert float(sigmas[0]) > 1
        return self.sampler_function(model, x, sigmas, extra_args=args, **self.extra_options)


class Model:
    """A guided model of ComfyUI: states x0 + sigma z, or of flows, and functions that listen."""

    def __init__(self, is_flow, scale=0.6):
        sampling = Const() if is_flow else SimpleNamespace()
        inner = SimpleNamespace(model_sampling=sampling)
        self.inner_model = SimpleNamespace(inner_model=inner)
        self.is_flow, self.scale = is_flow, scale

    def both(self, x, level):
        u = ALL.denoise(x, level)
        return Guided(u + self.scale * (SOME.denoise(x, level) - u), u)

    def __call__(self, x, sigma, model_options=None, seed=None):
        assert sigma.shape == (len(x),)
        s = float(sigma[0])
        data, u = self.both(x, Level(1 - s if self.is_flow else 1.0, s, 0.0))
        for listen in (model_options or {}).get("sampler_post_cfg_function", []):
            data = listen({"denoised": data, "uncond_denoised": u})
        return data


def tell(options, listen, disable_cfg1_optimization=False):
    heard = [*options.get("sampler_post_cfg_function", []), listen]
    assert disable_cfg1_optimization
    return {**options, "sampler_post_cfg_function": heard}


@pytest.fixture
def node(monkeypatch):
    for name, members in {
        "comfy": {},
        "comfy.samplers": {"KSAMPLER": Sampler},
        "comfy.model_sampling": {"CONST": Const},
        "comfy.model_patcher": {"set_model_options_post_cfg_function": tell},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.syspath_prepend(File(__file__).parents[2] / "examples")
    import comfyui_node

    return comfyui_node


class Both:
    """The same model as a denoiser of ours."""

    def __init__(self, model):
        self.model = model

    def __call__(self, x, level):
        return self.model.both(x, level).data

    def guided(self, x, level):
        return self.model.both(x, level)


@pytest.mark.parametrize("kind", ["noise", "flow"])
@pytest.mark.parametrize("solver", ["unipc", "heun", "euler_cfg_pp", "dpmpp_2m_cfg_pp", "er_sde"])
def test_samplers_are_our_loop(node, solver, kind):
    is_flow = kind == "flow"
    sigmas = np.array([0.95, 0.7, 0.3, 0.0]) if is_flow else np.array([9.0, 2.0, 0.5, 0.0])
    (made,) = node.SortesSampler().make(solver, "{}")
    model = Model(is_flow)
    args = {"model_options": {}, "seed": 7}
    got = made.sample(model, torch.tensor(sigmas), NOISE, **args)
    rows = plan(solver, (Path.flow if is_flow else Path.ve)(sigmas))
    randomness = {"rng": 7} if rows.n_draws else {}
    ours = sample(Both(model), NOISE * sigmas[0], rows, **randomness)
    torch.testing.assert_close(got, ours, rtol=1e-12, atol=1e-12)
    assert args["model_options"] == {}


def test_noise_is_that_of_the_seed_and_the_image(node):
    sigmas = torch.tensor([9.0, 2.0, 0.5, 0.0])
    (made,) = node.SortesSampler().make("dpmpp_2m_sde", '{"eta": 0.5}')
    batch = made.sample(Model(False), sigmas, NOISE, seed=3)
    alone = made.sample(Model(False), sigmas, NOISE[:1], seed=3)
    torch.testing.assert_close(alone[0], batch[0], rtol=1e-12, atol=1e-12)
    other = made.sample(Model(False), sigmas, NOISE, seed=4)
    assert not torch.equal(other, batch)
    assert torch.equal(made.sample(Model(False), sigmas[:1], NOISE), NOISE * 9)


def test_every_solver_is_offered(node):
    names, _ = node.SortesSampler.INPUT_TYPES()["required"]["solver"]
    assert len(names) > 50
    sigmas = torch.tensor([9.0, 2.0, 0.5, 0.0])
    for name in names:
        options = '{"betas": [0.1, 19.9]}' if name == "deis_tab" else ""
        (made,) = node.SortesSampler().make(name, options)
        end = made.sample(Model(False), sigmas, NOISE, model_options={}, seed=1)
        assert bool(end.isfinite().all()), name
    assert "dpm_adaptive" in names
    with pytest.raises(ValueError, match="order: must not be given for ddim"):
        node.SortesSampler().make("ddim", '{"order": 2}')
    with pytest.raises(ValueError, match="options: must be a JSON object"):
        node.SortesSampler().make("ddim", "[2]")


def test_a_model_without_guidance_is_refused(node):
    (made,) = node.SortesSampler().make("euler_cfg_pp", "{}")

    class Deaf(Model):
        def __call__(self, x, sigma, **_):
            return super().__call__(x, sigma)

    with pytest.raises(ValueError, match="cfg_pp: needs a model that is asked without prompt"):
        made.sample(Deaf(False), torch.tensor([9.0, 2.0]), NOISE)


def test_sigmas(node):
    table = torch.tensor(np.sqrt(1 / TRAINED - 1))
    sampling = SimpleNamespace(sigmas=table, sigma_min=table[0], sigma_max=table[-1])
    model = SimpleNamespace(get_model_object={"model_sampling": sampling}.__getitem__)
    for name in node.SCHEDULES:
        (sigmas,) = node.SortesSigmas().make(model, name, 6, 1.0)
        assert sigmas.dtype is torch.float32
        assert float(sigmas[-1]) == 0
        if name.startswith("ays"):
            wanted = sigmas_ays(6, model=node.TABLES[name], final="zero")
        elif name == "gaussian":
            assert len(sigmas) == 7
            continue
        else:
            wanted = schedule(6, name=name, alphas_cumprod=TRAINED)
        np.testing.assert_allclose(sigmas, wanted, rtol=1e-6)
    (part,) = node.SortesSigmas().make(model, "karras", 5, 0.5)
    (whole,) = node.SortesSigmas().make(model, "karras", 10, 1.0)
    assert torch.equal(part, whole[-6:])
    assert not len(node.SortesSigmas().make(model, "karras", 5, 0.0)[0])
