"""Mixtures are known exactly: recorded values, NumPy and Torch, and the metrics."""

import pickle

import numpy as np
import pytest
from lawlib import assert_cdf
from scipy import integrate, stats
from sortes.diffusion import (
    GaussianMixture,
    Level,
    Path,
    mmd2_to_gmm,
    sliced_wasserstein,
    w1_to_gmm_1d,
)
from vectors import load

RECORDED = load("diffusion/mixtures.json")
PATHS = load("diffusion/paths.json")["paths"]
G1 = RECORDED["gmm"]["g1"]
G1 = GaussianMixture(G1["w"], np.ravel(G1["mu"]), G1["sd"])
G2 = GaussianMixture(**RECORDED["gmm"]["g2"])
CLEAN = Level(1.0, 0.0, 0.0)


def as_given(case):
    """The mixture of a case: the one-dimensional one has data of shape (1,)."""
    g = RECORDED["gmm"][case["gmm"]]
    mu = np.asarray(g["mu"], float)
    return GaussianMixture(g["w"], mu.reshape(len(mu), -1), g["sd"])


@pytest.mark.parametrize("case", RECORDED["denoiser"], ids=lambda c: f"{c['gmm']}-{c['a']:.2g}")
def test_recorded_denoisers(case, backend):
    mixture, level = as_given(case), Level(case["a"], case["s"], 0.0)
    x = backend.convert(case["x"])
    for key, prediction in [
        ("x0", "sample"),
        ("eps", "epsilon"),
        ("score", "score"),
        ("v", "v_prediction"),
        ("flow_velocity", "flow_prediction"),
    ]:
        found = backend.to_numpy(mixture.predict(x, level, prediction=prediction), x)
        np.testing.assert_allclose(found, case[key], rtol=1e-9, atol=1e-9, err_msg=key)
    np.testing.assert_allclose(
        backend.to_numpy(mixture.denoise(x, level), x), case["x0"], rtol=1e-9, atol=1e-12
    )
    logs = backend.to_numpy(mixture.log_prob(x, level), x)
    np.testing.assert_allclose(logs, np.ravel(case["logp"]), rtol=1e-9)
    single = mixture.denoise(backend.convert(case["x"], "float32"), level)
    assert single.dtype == backend.convert([0.0], "float32").dtype
    single = backend.to_numpy(single, x)
    np.testing.assert_allclose(single, case["x0"], rtol=2e-5, atol=2e-5)


def test_half_precision_is_computed_in_single():
    torch = pytest.importorskip("torch")
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    level = Level(0.8, 0.6, 0.0)
    for dtype in (torch.float16, torch.bfloat16):
        half = x.to(dtype)
        found = G2.denoise(half, level)
        assert found.dtype == dtype
        assert torch.equal(found, G2.denoise(half.float(), level).to(dtype))


def test_data_of_any_shape():
    means = np.arange(24.0).reshape(2, 3, 4) / 10
    images = GaussianMixture([1, 3], means, [0.5, 0.2])
    flat = GaussianMixture([1, 3], means.reshape(2, 12), [0.5, 0.2])
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 4))
    level = Level(0.8, 0.6, 0.0)
    found = images.denoise(x, level)
    np.testing.assert_array_equal(found.reshape(5, 2, 12), flat.denoise(x.reshape(5, 2, 12), level))
    assert images.log_prob(x, level).shape == (5, 2)
    assert images.sample(6, rng=0).shape == (6, 3, 4)
    numbers = GaussianMixture([1, 3], [0.0, 1.0], 0.5)
    assert numbers.denoise(np.float64(0.3), level).shape == ()
    assert numbers.denoise(np.empty((0,)), level).shape == (0,)


@pytest.mark.parametrize("case", RECORDED["exact_ode"], ids=lambda c: c["path"])
def test_recorded_transports(case, backend):
    name, _, clean = case["path"].partition("->")
    path = PATHS[name]
    start = Level(path["a"][0], path["s"][0], 0.0)
    end = CLEAN if clean else Level(path["a"][-1], path["s"][-1], 0.0)
    x = backend.convert(case["x"])
    found = backend.to_numpy(as_given(case).ode_map(x, start, end), x)
    np.testing.assert_allclose(found, case["exact"], rtol=1e-11)


def test_transports_solve_the_flow():
    """Against an integration of the probability flow, into both tails."""
    path = Path.vp([50.0, 0.01])

    def slope(t, x):  # lam runs from start to end
        level = path.at_lambda(t)
        # d(alpha) / d(lam) = alpha sigma^2, d(sigma) / d(lam) = -sigma alpha^2.
        noise = G1.predict(x, level, prediction="epsilon")
        data = G1.denoise(x, level)
        return level.alpha * level.sigma**2 * data - level.sigma * level.alpha**2 * noise

    x = np.array([-6.0, -2.0, 0.0, 0.3, 1.0, 7.0])
    solved = integrate.solve_ivp(slope, path.lam, x, rtol=1e-10, atol=1e-12, method="DOP853")
    found = G1.ode_map(x, path[0], path[1])
    np.testing.assert_allclose(found, solved.y[:, -1], rtol=1e-7)
    np.testing.assert_allclose(G1.ode_map(found, path[1], path[0]), x, rtol=1e-12, atol=1e-14)
    # Forty standard deviations outside: masses are below the least number.
    far = np.array([-60.0, 60.0])
    there = G1.ode_map(far, path[0], path[1])
    assert np.isfinite(there).all()
    np.testing.assert_allclose(G1.ode_map(there, path[1], path[0]), far, rtol=1e-12)


def test_one_normal_in_any_dimension():
    one = GaussianMixture([2.0], [[1.0, -2.0]], 0.5)
    start, end = Level(0.3, 0.9, 0.0), Level(0.9, 0.1, 0.0)
    x = np.array([[3.0, 0.0], [-1.0, 1.0]])
    found = one.ode_map(x, start, end)
    for i in range(2):
        coordinate = one.project(np.eye(2)[i])
        np.testing.assert_allclose(coordinate.ode_map(x[:, i], start, end), found[:, i], rtol=1e-12)


def test_recorded_masses():
    recorded = RECORDED["metrics"]["cdf_g1"]
    x = np.array(recorded["x"])
    np.testing.assert_allclose(G1.cdf(x), recorded["cdf"], rtol=1e-12)
    p = np.array(recorded["quantiles_p"])
    np.testing.assert_allclose(G1.quantile(p), recorded["quantiles"], rtol=1e-12)
    np.testing.assert_array_equal(G1.quantile(np.array([0.0, 1.0])), [-np.inf, np.inf])
    level = Level(0.6, 0.8, 0.0)
    v = np.sqrt(0.36 * G1.sd**2 + 0.64)
    truth = (G1.w * stats.norm.cdf(x[:, None], 0.6 * np.ravel(G1.mu), v)).sum(1)
    np.testing.assert_allclose(G1.cdf(x, level), truth, rtol=1e-12)


@pytest.mark.law
def test_samples_have_their_law():
    """200,000 draws each. Red with the weights in another order, and with spreads that add up."""
    level = Level(0.6, 0.8, 0.0)
    x = G1.sample(200_000, level, rng=3)
    assert_cdf(np.ravel(x), lambda x: G1.cdf(x, level))
    assert_cdf(np.ravel(G1.sample(200_000, rng=4)), G1.cdf)
    for towards in ([1.0, 0.0], [0.6, -0.8]):
        line = G2.project(towards)
        assert_cdf(G2.sample(200_000, rng=5) @ towards, line.cdf)


def test_samples_are_reproducible():
    x = G2.sample(10, rng=3)
    np.testing.assert_array_equal(x, G2.sample(10, rng=3, num_threads=2))
    np.testing.assert_array_equal(x[:4], G2.sample(4, rng=3))
    assert not np.isin(x, G2.sample(10, rng=3, step=1)).any()
    assert not np.isin(x, G2.sample(10, rng=4)).any()


def test_a_mixture_can_be_saved():
    again = pickle.loads(pickle.dumps(G2))
    np.testing.assert_array_equal(again.mu, G2.mu)
    np.testing.assert_allclose(again.w, G2.w, rtol=1e-15)
    np.testing.assert_array_equal(again.sd, G2.sd)


def test_recorded_metrics(backend):
    for case in RECORDED["metrics"]["mmd2_g2"]:
        x = backend.convert(case["X"])
        found = mmd2_to_gmm(x, G2, bandwidth=case["ell"])
        assert found == pytest.approx(case["mmd2"], rel=1e-9, abs=1e-15)
    case = RECORDED["metrics"]["w1_g1"]
    found = w1_to_gmm_1d(backend.convert(case["X"]), G1)
    assert found == pytest.approx(case["w1"], rel=1e-8)  # recorded to nine digits
    assert found == pytest.approx(0.4076752684937712, rel=1e-13)  # by quadrature between crossings


def test_discrepancies_do_not_depend_on_how_they_are_cut(monkeypatch):
    from sortes.diffusion import metrics

    x = G2.sample(300, rng=0)
    whole = mmd2_to_gmm(x, G2)
    monkeypatch.setattr(metrics, "_HELD", 5000)
    reported = []
    cut = mmd2_to_gmm(x, G2, progress=lambda done, total: reported.append((done, total)))
    assert cut == pytest.approx(whole, rel=1e-12)
    assert len(reported) > 9
    assert reported[-1] == (300, 300)


@pytest.mark.law
def test_discrepancies_are_unbiased():
    """Means of 2,000 estimates from 20 samples each: six standard errors. Red with n² pairs."""
    x = G2.sample(40_000, rng=1).reshape(2000, 20, 2)
    right = np.array([mmd2_to_gmm(part, G2) for part in x])
    assert abs(right.mean()) < 6 * right.std() / 2000**0.5
    assert right.std() / 2000**0.5 < 5e-4


def test_distances_on_a_line():
    x = G1.sample(500, rng=2)
    found = w1_to_gmm_1d(x, G1)
    # Against a fine quantile grid of the mixture.
    p = (np.arange(400_000) + 0.5) / 400_000
    fine = G1.quantile(p)
    truth = np.abs(fine - np.sort(np.ravel(x)).repeat(800)).mean()
    assert found == pytest.approx(truth, abs=2e-6)
    assert w1_to_gmm_1d(x, G1, num_threads=2) == found
    assert w1_to_gmm_1d([50.0], G1) == pytest.approx(50 - float(G1.w @ np.ravel(G1.mu)), rel=1e-12)
    assert w1_to_gmm_1d([-50.0], G1) == pytest.approx(50 + float(G1.w @ np.ravel(G1.mu)), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (7, 5), (1, 4), (6, 4)])
def test_sliced_distances_of_numbers_are_those_of_scipy(n, m, backend):
    generator = np.random.default_rng(n * m)
    x, y = generator.normal(size=(n, 1)), generator.normal(1, 2, size=(m, 1))
    found = sliced_wasserstein(backend.convert(x), backend.convert(y), num_projections=3, rng=0)
    truth = stats.wasserstein_distance(x.ravel(), y.ravel())
    assert found.value == pytest.approx(truth, rel=1e-12)
    assert found.stderr == pytest.approx(0, abs=1e-12)
    squared = sliced_wasserstein(x, y, num_projections=2, p=2.0, rng=0)
    grid = (np.arange(n * m) + 0.5) / (n * m)
    inverse = [np.sort(v.ravel())[(grid * len(v)).astype(int)] for v in (x, y)]
    truth = np.sqrt(((inverse[0] - inverse[1]) ** 2).mean())
    assert squared.value == pytest.approx(truth, rel=1e-12)


def test_sliced_distances_of_shifts():
    """Of a shift by u, the distance along a direction is its coordinate there."""
    x = np.random.default_rng(0).normal(size=(50, 3, 2))
    shift = np.arange(6.0).reshape(3, 2)
    found = sliced_wasserstein(x, x + shift, p=2.0, num_projections=4000, rng=1)
    truth = np.linalg.norm(shift) / 6**0.5
    assert abs(found.value - truth) < 5 * found.stderr
    assert found.stderr < 0.03 * truth
    again = sliced_wasserstein(x, x + shift, p=2.0, num_projections=4000, rng=1, step=1)
    assert again.value != found.value


def test_sliced_distances_to_a_mixture(backend):
    x = G2.sample(3000, rng=6)
    found = sliced_wasserstein(backend.convert(x), G2, num_projections=20, rng=1)
    other = sliced_wasserstein(x, G2.sample(200_000, rng=7), num_projections=20, rng=1)
    assert found.value == pytest.approx(other.value, abs=0.01)
    assert found.value < 0.06


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: GaussianMixture([0.0], [0.0], 1.0),
            ValueError,
            r"w: item 0 must be in \(0, inf\)",
        ),
        (lambda: GaussianMixture([1], [0, 1], 1.0), ValueError, r"mu: must have shape \(1, ...\)"),
        (lambda: GaussianMixture([1], [0.0], 0.0), ValueError, r"sd: must be in \(0, inf\), got 0"),
        (lambda: GaussianMixture([1], [np.inf], 1), ValueError, "mu: item 0 is not finite: inf"),
        (lambda: G2.denoise(np.ones(3), CLEAN), ValueError, r"x: must have shape \(..., 2\), got"),
        (lambda: G2.denoise(np.ones(2), (1, 0, 0)), TypeError, "level: must be a Level, got"),
        (
            lambda: G2.denoise(np.ones(2), Level(0.0, 0.0, 0.0)),
            ValueError,
            "level: alpha and sigma",
        ),
        (lambda: G2.cdf(np.ones(2)), ValueError, "x: data must be single numbers"),
        (
            lambda: G2.ode_map(np.ones(2), CLEAN, CLEAN),
            ValueError,
            "x: data must be single numbers",
        ),
        (lambda: G1.quantile(np.array([1.5])), ValueError, r"p: item 0 must be in \[0, 1\], got"),
        (lambda: G2.project([0.0, 0.0]), ValueError, "direction: must have a positive length"),
        (lambda: mmd2_to_gmm([[0.0, 0.0]], G2), ValueError, "x: must hold at least 2 samples"),
        (lambda: w1_to_gmm_1d([0.0], G2), ValueError, "gmm: must be a mixture of numbers"),
        (lambda: w1_to_gmm_1d([0.0, np.nan], G1), ValueError, "x: row 1 is not finite"),
        (
            lambda: sliced_wasserstein(np.ones((2, 2)), G2, p=2.0),
            ValueError,
            "p: must be 1 for a mixture, got 2.0",
        ),
        (
            lambda: sliced_wasserstein(np.ones((2, 2)), np.ones((2, 3))),
            ValueError,
            "y: must hold 2 numbers a row, as x, got 3",
        ),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
