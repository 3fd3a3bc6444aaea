"""Denoisers: every parameterisation says the same, at the right times, with guidance."""

from types import SimpleNamespace

import numpy as np
import pytest
from sortes.diffusion import (
    Denoiser,
    GaussianMixture,
    Level,
    Path,
    betas,
    data_and_noise,
    from_diffusers,
    from_k_diffusion,
    zero_terminal_snr,
)
from vectors import load

CONVERT = load("diffusion/convert.json")["convert"]
TRAINED = np.cumprod(1 - betas(kind="scaled_linear"))
MIXTURE = GaussianMixture([0.2, 0.5, 0.3], [[-1.5, 0.4], [0.3, -0.2], [1.0, 1.2]], [0.3, 0.2, 0.5])
X = np.random.default_rng(0).normal(size=(6, 2))
RATIOS = np.array([20.0, 3.0, 0.5, 0.02, 0.0])
PATHS = {
    "vp": Path.vp(RATIOS),
    "ve": Path.ve(RATIOS),
    "flow": Path.flow(RATIOS / (1 + RATIOS)),
}


def level_of_kind(kind, ratio):
    return PATHS[kind].at_lambda(-np.log(ratio))


def network(kind, prediction, asked=None):
    """A perfect network of a training, which is fed its sigma as the time."""

    def model(x, t):
        if asked is not None:
            asked.append((x, t))
        sigma = float(t[0])
        ratio = {
            "vp": lambda: sigma / (1 - sigma**2) ** 0.5,
            "ve": lambda: sigma,
            "flow": lambda: sigma / (1 - sigma) if sigma < 1 else np.inf,
        }[kind]()
        level = Level(0.0, 1.0, 0.0) if ratio == np.inf else level_of_kind(kind, ratio)
        return MIXTURE.predict(x, level, prediction=prediction)

    return model


@pytest.mark.parametrize("prediction", CONVERT["inputs"])
def test_recorded_conversions(prediction, backend):
    level = Level(CONVERT["a"], CONVERT["s"], 0.0)
    x = backend.convert(CONVERT["x"])
    output = backend.convert(CONVERT["inputs"][prediction])
    found = data_and_noise(output, x, level, prediction=prediction)
    for part, key in zip(found, ("x0", "eps"), strict=True):
        np.testing.assert_allclose(backend.to_numpy(part, x), CONVERT[key], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction", "flow_prediction"])
@pytest.mark.parametrize("trained", ["vp", "ve", "flow"])
@pytest.mark.parametrize("walked", ["vp", "ve", "flow"])
def test_a_network_of_any_training_on_any_path(prediction, trained, walked, backend):
    if prediction == "v_prediction" and trained != "vp":
        pytest.skip("v is defined for one kind")
    path = PATHS[walked]
    denoiser = Denoiser(
        network(trained, prediction), path, prediction=prediction, kind=trained, t_from="sigma"
    )
    for i, level in enumerate([*path][:-1]):
        x = backend.convert(level.alpha * X + level.sigma * X[::-1])
        found = backend.to_numpy(denoiser(x, level), x)
        truth = MIXTURE.denoise(backend.to_numpy(x, x), level)
        np.testing.assert_allclose(found, truth, rtol=1e-7, atol=1e-9)
        np.testing.assert_array_equal(backend.to_numpy(denoiser(x, i), x), found)
        # The form of k-diffusion: states of another scale, and a level for each.
        sigma = backend.convert(np.full(6, level.ratio))
        with backend.watched():
            again = denoiser(x / level.alpha, sigma)
        np.testing.assert_allclose(backend.to_numpy(again, x), found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("walked", ["vp", "ve", "flow"])
def test_raw_networks_of_edm(walked, backend):
    c = 0.7

    def raw(x, t):  # what F must be for the mixture, by its definition
        ratio = np.exp(4 * float(t[0]))
        total = (ratio**2 + c**2) ** 0.5
        data = MIXTURE.denoise(x * total, level_of_kind("ve", ratio))
        return (data - c**2 / total**2 * (x * total)) / (ratio * c / total)

    path = PATHS[walked]
    denoiser = Denoiser(raw, path, prediction="edm", sigma_data=c)
    for level in [*path][:-1]:
        x = backend.convert(level.alpha * X + level.sigma * X[::-1])
        truth = MIXTURE.denoise(backend.to_numpy(x, x), level)
        found = backend.to_numpy(denoiser(x, level), x)
        np.testing.assert_allclose(found, truth, rtol=1e-7, atol=1e-8)
        again = denoiser(x / level.alpha, backend.convert(np.array(level.ratio)))
        np.testing.assert_allclose(backend.to_numpy(again, x), truth, rtol=1e-7, atol=1e-8)


def test_pure_noise():
    """Whoever predicts data, v or flow can be asked there; noise alone says nothing."""
    level = Level(0.0, 1.0, 1.0)
    for prediction, kind in [("sample", "vp"), ("v_prediction", "vp"), ("flow_prediction", "flow")]:
        path = Path.flow([1.0, 0.5, 0.0]) if kind == "flow" else Path.vp([np.inf, 1.0, 0.0])

        def model(x, t, prediction=prediction):
            return MIXTURE.predict(x, level, prediction=prediction)

        found = Denoiser(model, path, prediction=prediction)(X, 0)
        np.testing.assert_allclose(found, np.broadcast_to(MIXTURE.w @ MIXTURE.mu, X.shape))
    for prediction in ("epsilon", "score"):
        with pytest.raises(ValueError, match=f'^prediction: "{prediction}" says nothing'):
            Denoiser(lambda x, t: x, Path.flow([1.0, 0.5, 0.0]), prediction=prediction)
        late = Denoiser(lambda x, t: x, prediction=prediction)
        with pytest.raises(ValueError, match=f'^prediction: "{prediction}" says nothing'):
            late(X, level)
        with pytest.raises(ValueError, match=f'^prediction: "{prediction}" says nothing'):
            data_and_noise(X, X, level, prediction=prediction)


def test_times(backend):
    asked = []

    def model(x, t, **args):
        asked.append(t)
        return x

    def time(denoiser, level):
        x = backend.convert(X)
        with backend.watched():
            denoiser(x, level)
        t = asked[-1]
        assert t.shape == (6,)
        return backend.to_numpy(t, x)

    level = Level(0.6, 0.8, 77.0)
    assert (time(Denoiser(model, prediction="sample"), level) == 77).all()
    sigma = Denoiser(model, prediction="sample", t_from="sigma", t_scale=1000.0)
    np.testing.assert_allclose(time(sigma, level), 800)
    flow = Denoiser(model, prediction="sample", t_from="sigma", kind="flow")
    np.testing.assert_allclose(time(flow, level), 0.8 / 1.4)
    edm = Denoiser(model, prediction="sample", t_from="edm")
    np.testing.assert_allclose(time(edm, level), np.log(0.8 / 0.6) / 4)
    # Between the times of a training: as the path has it.
    sigmas = [14.0, 3.3, 0.2, 0.0]
    path = Path.vp(sigmas, alphas_cumprod=TRAINED)
    for walked in (path, Path.ve(sigmas)):
        trained = Denoiser(model, prediction="epsilon", kind="vp", alphas_cumprod=TRAINED)
        for i in range(3):
            np.testing.assert_allclose(time(trained, walked[i]), path.t[i], rtol=1e-12)
            ratio = backend.convert(np.array([sigmas[i]]))
            np.testing.assert_allclose(time(trained, ratio), path.t[i], rtol=1e-9)
            own = Denoiser(model, path, prediction="epsilon")
            np.testing.assert_allclose(time(own, ratio), path.t[i], rtol=1e-9)
    whole = Denoiser(
        model, path, prediction="epsilon", alphas_cumprod=TRAINED, round_timesteps=True
    )
    found = time(whole, path[1])
    assert found.dtype == np.int64
    assert (found == round(path.t[1])).all()
    found = time(whole, backend.convert(np.array([3.3])))
    assert found.dtype == np.int64
    assert (found == round(path.t[1])).all()
    each = backend.convert(np.array([9.0, 9.0, 1.0, 1.0, 0.5, 0.5]))
    np.testing.assert_allclose(time(sigma, each)[::2], 1000 * np.array([9.0, 1.0, 0.5]), rtol=1e-12)


def guided(model, **kwargs):
    return Denoiser(
        model,
        PATHS["ve"],
        prediction="sample",
        args={"label": np.full((6, 1), 2.0), "mask": None},
        uncond={"label": np.full((6, 1), 0.5), "mask": None},
        **kwargs,
    )


@pytest.mark.parametrize("batched", [False, True])
def test_guidance(batched):
    asked = []

    def model(x, t, label, mask):
        asked.append(len(x))
        assert len(t) == len(label) == len(x)
        return 0 * x + label

    denoiser = guided(model, guidance_scale=3.0, guidance_interval=(0.1, 5.0), batched=batched)
    # 0.5 + 3 (2 - 0.5)
    assert (denoiser(X, PATHS["ve"][1]) == 5).all()
    assert asked == ([12] if batched else [6, 6])
    asked.clear()
    for i in (0, 3):  # outside of the interval
        assert (denoiser(X, i) == 2).all()
    assert asked == [6, 6]
    both = denoiser.guided(X, 1)
    assert (both.data == 5).all()
    assert (both.unconditional == 0.5).all()
    outside = denoiser.guided(X, 0)
    assert (outside.data == 2).all()
    assert (outside.unconditional == 0.5).all()
    each = denoiser(X, np.array([20.0, 5.0, 1.0, 0.1, 0.05, 3.0]))
    assert each[:, 0].tolist() == [2, 5, 5, 5, 2, 5]
    asked.clear()
    assert (guided(model, guidance_scale=1.0)(X, 1) == 2).all()
    assert asked == [6]


def test_guidance_is_linear_in_what_is_predicted():
    """Guided noise, guided v and guided data are the same thing."""
    level = PATHS["vp"][1]
    other = GaussianMixture([1.0], [[0.4, 0.1]], 0.6)
    truth = 2.5 * MIXTURE.denoise(X, level) - 1.5 * other.denoise(X, level)
    for prediction in ("epsilon", "sample", "v_prediction", "flow_prediction"):

        def model(x, t, law, prediction=prediction):
            return law.predict(x, level, prediction=prediction)

        denoiser = Denoiser(
            model,
            prediction=prediction,
            args={"law": MIXTURE},
            uncond={"law": other},
            guidance_scale=2.5,
        )
        np.testing.assert_allclose(denoiser(X, level), truth, rtol=1e-9)


def test_precision_and_what_networks_return():
    torch = pytest.importorskip("torch")
    x = torch.ones(3, 2)
    for wrap in (lambda o: o, lambda o: (o, 1), lambda o: SimpleNamespace(sample=o)):
        seen = []

        def model(x, t, wrap=wrap, seen=seen):
            seen.append(x.dtype)
            return wrap(0.5 * x)

        denoiser = Denoiser(model, prediction="sample", dtype=torch.bfloat16)
        found = denoiser(x, Level(1.0, 1.0, 1.0))
        assert found.dtype == torch.float32
        assert (found == 0.5).all()
        assert seen == [torch.bfloat16]


def test_nan_is_passed_on(backend):
    x = backend.convert(X)
    denoiser = Denoiser(lambda x, t: x * np.nan, prediction="epsilon")
    assert np.isnan(backend.to_numpy(denoiser(x, Level(0.6, 0.8, 0.0)), x)).all()


CONFIG = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
}


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("walked", ["vp", "ve", "flow"])
def test_networks_of_diffusers(prediction, walked):
    times = Path.at_timesteps(TRAINED, np.arange(999, -1, -1))

    def unet(x, t, return_dict=True):
        assert return_dict is False
        # Between two times, the level is interpolated in the same way.
        lam = np.interp(t[0], times.t[-2::-1], times.lam[-2::-1])
        return (MIXTURE.predict(x, times.at_lambda(lam), prediction=prediction),)

    config = {**CONFIG, "prediction_type": prediction}
    sigmas = np.array([14.0, 3.3, 0.2, 0.0])
    path = {
        "vp": Path.vp(sigmas, alphas_cumprod=TRAINED),
        "ve": Path.ve(sigmas),
        "flow": Path.flow(sigmas / (1 + sigmas)),
    }[walked]
    args = {"return_dict": False}
    for given in (config, SimpleNamespace(config=config)):
        denoiser = from_diffusers(unet, given, path, args=args)
        for i, level in enumerate([*path][:-1]):
            x = level.alpha * X + level.sigma * X[::-1]
            truth = MIXTURE.denoise(x, level)
            np.testing.assert_allclose(denoiser(x, i), truth, rtol=1e-6, atol=1e-8)
    assert list(from_diffusers(unet, config, args=args).path) == list(times)


def test_configurations_of_diffusers():
    def path_of(**config):
        return from_diffusers(lambda x, t: x, {**CONFIG, **config}).path

    np.testing.assert_allclose(
        path_of(beta_schedule="squaredcos_cap_v2").alpha[-2::-1] ** 2,
        np.cumprod(1 - betas(kind="cosine")),
        rtol=1e-12,
    )
    assert path_of(trained_betas=[0.1, 0.2]).n_steps == 2
    rescaled = path_of(rescale_betas_zero_snr=True)
    assert rescaled.alpha[0] == 0
    np.testing.assert_allclose(
        rescaled.alpha[-2::-1] ** 2,
        np.cumprod(1 - zero_terminal_snr(betas(kind="scaled_linear"))),
        rtol=1e-9,
    )
    asked = []

    def transformer(x, t):
        asked.append(t[0])
        return 0 * x

    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
    denoiser = from_diffusers(transformer, flow)
    assert denoiser.path.kind == "flow"
    np.testing.assert_array_equal(denoiser(X, 500), X)
    assert asked == [500]
    denoiser(X, Level(1.0, 3.0, 0.0))  # on another path
    assert asked[-1] == pytest.approx(750)


def test_models_of_k_diffusion(backend):
    def model(x, sigma, scale):
        assert scale == 3
        assert sigma.shape == (6,)
        return MIXTURE.denoise(x, level_of_kind("ve", float(sigma[0])))

    denoiser = from_k_diffusion(model, args={"scale": 3})
    for path in PATHS.values():
        for level in [*path][:-1]:
            x = backend.convert(level.alpha * X + level.sigma * X[::-1])
            truth = MIXTURE.denoise(backend.to_numpy(x, x), level)
            found = backend.to_numpy(denoiser(x, level), x)
            np.testing.assert_allclose(found, truth, rtol=1e-7, atol=1e-9)


def test_nothing_waits_for_a_device(monkeypatch):
    torch = pytest.importorskip("torch")
    x = torch.zeros(4, 2)
    path = Path.vp([9.0, 1.0, 0.0], alphas_cumprod=TRAINED)
    denoiser = Denoiser(
        lambda x, t, k: x * k,
        path,
        prediction="epsilon",
        alphas_cumprod=TRAINED,
        args={"k": 1.0},
        uncond={"k": 0.5},
        guidance_scale=3.0,
        guidance_interval=(0.5, 5.0),
    )
    for name in ("item", "__bool__", "nonzero", "tolist", "cpu", "__int__", "__float__"):

        def refuse(self, *args, name=name, **kwargs):
            raise AssertionError(f"{name} waits")

        monkeypatch.setattr(torch.Tensor, name, refuse)
    denoiser(x, 0)
    denoiser(x, path[1])
    denoiser(x, torch.ones(4))
    denoiser.guided(x, 1)


OK = {"prediction": "sample"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Denoiser(3, **OK), TypeError, "model: must be callable, got 3"),
        (lambda: Denoiser(len, 3, **OK), TypeError, "path: must be a Path, got 3"),
        (lambda: Denoiser(len, prediction="x0"), ValueError, "prediction: must be 'epsilon', 's"),
        (lambda: Denoiser(len, **OK, sigma_data=1.0), ValueError, "sigma_data: must not be given"),
        (lambda: Denoiser(len, **OK, t_scale=2.0), ValueError, "t_scale: must not be given with"),
        (
            lambda: Denoiser(len, prediction="edm", kind="vp"),
            ValueError,
            'kind: must not be given with prediction="edm"',
        ),
        (
            lambda: Denoiser(len, **OK, t_from="level", alphas_cumprod=TRAINED),
            ValueError,
            "t_from: must not be given with alphas_cumprod",
        ),
        (lambda: Denoiser(len, **OK, uncond={}), ValueError, "uncond: must not be given without"),
        (lambda: Denoiser(len, **OK, batched=True), ValueError, "batched: must not be given"),
        (
            lambda: Denoiser(len, **OK, guidance_scale=2.0),
            ValueError,
            "uncond: must be given with guidance_scale",
        ),
        (
            lambda: Denoiser(
                len, **OK, uncond={}, guidance_scale=2.0, guidance_interval=(2.0, 1.0)
            ),
            ValueError,
            "guidance_interval: must hold an interval, got 2.0 and 1.0",
        ),
        (lambda: Denoiser(len, **OK, args=[3]), TypeError, "args: must be a mapping of names"),
        (lambda: Denoiser(len, **OK, dtype="half"), TypeError, "dtype: must be a floating point"),
        (lambda: Denoiser(len, **OK)(X, 0), TypeError, "level: must be a Level without a path"),
        (lambda: Denoiser(len, **OK)(X, 0.5), TypeError, "level: must be a Level without a path"),
        (
            lambda: Denoiser(lambda x, t: x[:1], **OK)(X, Level(1.0, 1.0, 1.0)),
            ValueError,
            r"model: must return shape \(6, 2\), got \(1, 2\)",
        ),
        (
            lambda: Denoiser(lambda x, t: None, **OK)(X, Level(1.0, 1.0, 1.0)),
            ValueError,
            r"model: must return shape \(6, 2\), got None",
        ),
        (
            lambda: Denoiser(len, PATHS["ve"], prediction="v_prediction"),
            ValueError,
            'prediction: "v_prediction" needs a level',
        ),
        (
            lambda: Denoiser(len, **OK).guided(X, Level(1.0, 1.0, 1.0)),
            ValueError,
            "guidance_scale: must be given for guidance",
        ),
        (lambda: from_diffusers(len, 3), TypeError, "config: must be a scheduler or its conf"),
        (
            lambda: from_diffusers(len, {**CONFIG, "prediction_type": "noise"}),
            ValueError,
            "config: prediction_type must be",
        ),
        (
            lambda: from_diffusers(len, {**CONFIG, "beta_schedule": "sigmoid"}),
            ValueError,
            "config: beta_schedule is unknown, got 'sigmoid'",
        ),
        (
            lambda: from_diffusers(len, {"_class_name": "EDMEulerScheduler"}),
            ValueError,
            "config: networks of EDM are made by",
        ),
        (
            lambda: data_and_noise(X, X[:1], Level(1.0, 1.0, 1.0), prediction="sample"),
            ValueError,
            r"output: must have shape \(1, 2\), got \(6, 2\)",
        ),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
