"""Learned variances: what a network says of the noise of a step of DDPM."""

import pickle

import numpy as np
import pytest
import torch
from sortes.diffusion import Denoiser, Path, from_diffusers, paradigms, plan, sample
from vectors import load

RECORD = load("diffusion/learned.json")
DOUBLE = torch.float64
RATIOS = np.array([np.inf, 20.0, 3.0, 1.0, 0.3, 0.0])


def path_of(kind, ratio=RATIOS):
    if kind == "flow":
        with np.errstate(invalid="ignore"):
            return Path.flow(np.where(np.isinf(ratio), 1.0, ratio / (1 + ratio)))
    return getattr(Path, kind)(ratio[kind == "ve" :])


def network(variance, data=0.7):
    """A network that knows the data, and says something of the variance."""

    def model(x, t, shift=0.0):
        return torch.cat([torch.full_like(x, data) + shift, torch.zeros_like(x) + variance], 1)

    return model


def denoiser(variance, **kwargs):
    return Denoiser(network(variance), prediction="sample", learned_variance=True, **kwargs)


def test_recorded_variances():
    """Red with the share turned round, and with standard deviations for variances."""
    path = Path.vp([np.sqrt(1 / RECORD[part] - 1) for part in ("abar_t", "abar_prev")])
    out = torch.tensor(RECORD["out"], dtype=DOUBLE)[None]
    x, noise = torch.zeros(1, 5, dtype=DOUBLE), torch.ones(1, 1, 5, dtype=DOUBLE)
    made = plan("ddpm_learned", path)
    ask = denoiser(out)
    end = sample(ask, x, made, noise=noise) - sample(ask, x, made, noise=0 * noise)
    np.testing.assert_allclose(2 * end.log()[0], RECORD["log_var"], rtol=1e-12)
    direct = plan("ddpm_learned", path, variance_type="learned")
    ask = denoiser(torch.tensor(RECORD["log_var"], dtype=DOUBLE)[None])
    end = sample(ask, x, direct, noise=noise) - sample(ask, x, direct, noise=0 * noise)
    np.testing.assert_allclose(2 * end.log()[0], RECORD["log_var"], rtol=1e-12)


@pytest.mark.parametrize("kind", ["vp", "ve", "flow"])
def test_the_ends_are_the_fixed_variances(kind):
    """-1 is the least, that of ``ddpm``; 1 the largest, that of ``ddpm_large`` where it is "vp"."""
    path = path_of(kind)
    x = torch.tensor([[0.4, -1.0]], dtype=DOUBLE) * path.sigma[0]
    least = sample(denoiser(-1.0), x, plan("ddpm_learned", path), rng=3)
    torch.testing.assert_close(least, sample(denoiser(0.0), x, plan("ddpm", path), rng=3))
    if kind == "vp":
        small, large, ours = (plan(name, path) for name in ("ddpm", "ddpm_large", "ddpm_learned"))
        _, scales = ours._arrays["learned"]
        for k in range(1, 5):
            ratio = large.row(k).n[0] / small.row(k).n[0]
            assert np.exp(scales[k - 1]) == pytest.approx(ratio, rel=1e-12)


@pytest.mark.parametrize("variance_type", ["learned_range", "learned"])
def test_the_kind_of_path_does_not_matter(variance_type):
    ends = []
    for kind in ("vp", "ve", "flow"):
        path = path_of(kind, np.array([20.0, 3.0, 1.0, 0.3]) if kind != "ve" else RATIOS[:-1])
        made = plan("ddpm_learned", path, variance_type=variance_type)
        x = torch.tensor([[0.4, -1.0]], dtype=DOUBLE) * path.sigma[0]
        ends.append(sample(denoiser(0.3), x, made, rng=3) / path.alpha[-1])
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ends[0], ends[2], rtol=1e-10, atol=1e-12)


@pytest.mark.law
def test_the_noise_has_the_learned_variance():
    """200,000 numbers of two elements with variances of their own; each within 5.4 errors: 1e-7."""
    path = path_of("vp", np.array([3.0, 1.0]))
    log_var = torch.tensor([-3.0, -1.0], dtype=DOUBLE)
    made = plan("ddpm_learned", path, variance_type="learned")
    x = torch.zeros(200_000, 2, dtype=DOUBLE)
    end = sample(denoiser(log_var), x, made, rng=3)
    got = end.var(0) / log_var.exp()
    assert ((got - 1).abs() < 5.4 * (2 / 200_000) ** 0.5).all()


def test_other_samplers_do_without():
    path = path_of("ve", RATIOS)
    x = torch.tensor([[0.4, -1.0]], dtype=DOUBLE) * path.sigma[0]
    plain = Denoiser(lambda x, t: torch.full_like(x, 0.7), prediction="sample")
    for name in ("ddim", "unipc"):
        made = plan(name, path)
        torch.testing.assert_close(sample(denoiser(0.3), x, made), sample(plain, x, made))


@pytest.mark.parametrize("batched", [False, True])
def test_guidance_has_the_variance_of_the_condition(batched):
    def model(x, t, label):
        return torch.cat([x * 0 + label, x * 0 + 10 * label], 1)

    label = torch.tensor([[1.0]])
    ask = Denoiser(
        model,
        path_of("ve", RATIOS),
        prediction="sample",
        learned_variance=True,
        args={"label": label},
        uncond={"label": 0 * label},
        guidance_scale=3.0,
        batched=batched,
    )
    found = ask.with_variance(torch.ones(1, 2), 1)
    assert found.data.tolist() == [[3.0, 3.0]]
    assert found.variance.tolist() == [[10.0, 10.0]]
    assert ask.guided(torch.ones(1, 2), 1).unconditional.tolist() == [[0.0, 0.0]]


def test_half_precision_trajectories_and_pickles():
    path = path_of("vp")
    made = pickle.loads(pickle.dumps(plan("ddpm_learned", path)))
    x = torch.ones(2, 3, 4, dtype=torch.bfloat16)
    end, states = sample(denoiser(0.3), x, made, rng=0, return_trajectory=True)
    assert end.dtype is torch.bfloat16
    assert len(states) == 6


def test_configurations_of_diffusers_say_so():
    config = {
        "beta_schedule": "linear",
        "num_train_timesteps": 100,
        "prediction_type": "epsilon",
        "variance_type": "learned_range",
    }

    def model(x, t):
        return (torch.cat([0 * x, 0 * x + 0.5], 1),)

    ask = from_diffusers(model, config)
    found = ask.with_variance(torch.ones(1, 3, 2, 2), 5)
    assert found.variance.shape == (1, 3, 2, 2)
    assert (found.variance == 0.5).all()


def test_what_is_refused():
    path = path_of("vp")
    made = plan("ddpm_learned", path)
    x = torch.ones(2, 3)
    plain = Denoiser(lambda x, t: x, prediction="sample")
    for call, error, message in [
        (
            lambda: sample(lambda x, level: x, x, made, rng=0),
            TypeError,
            "denoiser: must have the method with_variance for ddpm_learned",
        ),
        (
            lambda: sample(plain, x, made, rng=0),
            ValueError,
            "learned_variance: must be true for a variance",
        ),
        (
            lambda: plain.with_variance(x, path[1]),
            ValueError,
            "learned_variance: must be true for a variance",
        ),
        (
            lambda: Denoiser(lambda x, t: x, prediction="sample", learned_variance=True)(
                x, path[1]
            ),
            ValueError,
            r"model: must return shape \(2, 6\), got \(2, 3\)",
        ),
        (lambda: denoiser(0.0)(x[:, 0], path[1]), ValueError, r"x: must have shape \(B, C, ...\)"),
        (
            lambda: plan("ddpm_learned", path, variance_type="fixed_small"),
            ValueError,
            "variance_type: must be 'learned_range' or 'learned', got 'fixed_small'",
        ),
        (
            lambda: paradigms(denoiser(0.0), x, made, rng=0),
            ValueError,
            "plan: must have noise of known variance, got ddpm_learned",
        ),
        (
            lambda: Denoiser(lambda x, t: x, prediction="sample", learned_variance=1),
            TypeError,
            "learned_variance: ",
        ),
    ]:
        with pytest.raises(error, match=f"^{message}"):
            call()
