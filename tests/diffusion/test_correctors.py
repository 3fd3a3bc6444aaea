"""Feynman-Kac correctors: exact laws of powers, products and rewards, and whose noise it is."""

import numpy as np
import pytest
import torch
from scipy import stats
from sortes import Interrupted, Stream, _core, _device, _philox
from sortes.diffusion import (
    GaussianMixture,
    ImageNoise,
    Path,
    fkc_sample,
    noise_like,
    plan,
    sample,
)
from vectors import load

VECTORS = load("diffusion/correctors.json")
DOUBLE = torch.float64
#: Independent groups of particles, how many in each, and the standard errors of a two-sided test
#: with a false alarm rate of 1e-7: the error is estimated from the groups.
GROUPS, EACH = 160, 256
Z = stats.t.isf(0.5e-7, GROUPS - 1)


def path_to(last, n, kind="ve"):
    ratio = np.geomspace(20, last, n + 1)
    return Path.flow(ratio / (1 + ratio)) if kind == "flow" else getattr(Path, kind)(ratio)


def particles(path, total, n=GROUPS * EACH, rng=1):
    x = noise_like(torch.empty(n, 1, dtype=DOUBLE), rng=rng)
    return x * path.sigma[0] / total**0.5


def normal(mean, sd):
    return GaussianMixture([1], [[mean]], sd).denoise


def estimate(found, f):
    """The weighted mean of a function, from independent groups, and its standard error."""
    w = torch.exp(found.log_weights - found.log_weights.max()).numpy().reshape(GROUPS, -1)
    values = f(found.x.numpy().reshape(GROUPS, -1))
    above, below = (w * values).sum(1), w.sum(1)
    mean = above.sum() / below.sum()
    error = (above - mean * below).std(ddof=1) * GROUPS**0.5 / below.sum()
    return mean, error


# The formula.


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["weights"]))
def test_recorded_growth_of_log_weights(case):
    """A single step to clean data, whose weight is the whole of the growth."""
    v, weights = 4.0, case["weights"]
    scores = [torch.tensor(VECTORS[name], dtype=DOUBLE) for name in ("s1", "s2")][: len(weights)]
    models = [lambda x, level, s=s: x + v * s for s in scores]
    x = torch.zeros(3, 2, dtype=DOUBLE)
    found = fkc_sample(models, weights, x, Path.ve([2.0, 0.0]), rng=0)
    drift = (sum(weights) - 1) * VECTORS["div_f"]
    growth = (drift + VECTORS["g2"] * found.log_weights / v) * VECTORS["dt"]
    np.testing.assert_allclose(growth, case["dlogw"], rtol=1e-12)
    ends = sum(w * v * s for w, s in zip(weights, scores, strict=True)) / sum(weights)
    torch.testing.assert_close(found.x, ends, rtol=1e-12, atol=1e-12)


def moments(mean, sd, power, ratio, scales=None):
    """The mean and the variance of weighted particles of a normal law, exactly, by the rule alone.

    A particle and the one that it was are normal together; a weight completes their squares. The
    reward is the particle itself, with a scale at each level.
    """
    v = ratio**2
    m, cov = np.full(2, -mean), np.full((2, 2), v[0] / power)  # of what they are above the mean
    last = len(v) - 1
    scales = np.zeros(len(v)) if scales is None else scales
    for i in range(len(v)):
        # Log weights grow in ln v by rate x^2 / 2 + drift x, and by the reward.
        rate = (power**2 - power) * v[i] / (sd**2 + v[i]) ** 2
        drift = -0.5 * scales[i] * power * v[i] / (sd**2 + v[i])
        for to, near in ((i - 1, i > 0), (i + 1, i < last)):
            if near:
                half = 0.5 * abs(np.log(v[i] / v[to]))
                # The weights of a step are those of its two ends; a particle moves in between.
                if to > i:
                    length = 2 * half
                gain = cov[:, 0] * rate * half / (1 - rate * half * cov[0, 0])
                m, cov = m + gain * m[0], cov + np.outer(gain, cov[0])
                m = m + cov[:, 0] * (drift * half + 0.5 * abs(scales[to] - scales[i]))
        if i == last:
            break
        # Predictions are this much of the particle and of the one before.
        left, keep = np.exp(-power * length), sd**2 / (sd**2 + v[i])
        step = np.array([left + keep * (1 - left), 0.0])
        if i:
            before = sd**2 / (sd**2 + v[i - 1])
            slope = (length - (1 - left) / power) / np.log(v[i - 1] / v[i])
            step += slope * np.array([keep, -before])
        twice = 2 * power - 1
        noise = v[i + 1] * np.expm1(-twice * length) / -twice
        move = np.stack([step, [1.0, 0.0]])
        m, cov = move @ m, move @ cov @ move.T + np.diag([noise, 0.0])
        spread = length if power == 1 else np.expm1((1 - power) * length) / (1 - power)
        m[0] += 0.5 * scales[i] * v[i + 1] * spread
    return mean + m[0], cov[0, 0]


@pytest.mark.law
@pytest.mark.parametrize(
    ("power", "tilt", "threshold"),
    [
        (0.6, 0.0, 0.0),
        (0.6, 0.0, 0.9),
        (1.0, 0.0, 0.0),
        (1.0, 0.5, 0.0),
        (1.0, 0.5, 0.9),
        (1.3, 0.0, 0.9),
        (1.3, 0.5, 0.9),
    ],
)
def test_the_steps_have_their_exact_law(power, tilt, threshold):
    """A normal law and five steps, all known: no error of steps is allowed.

    Two comparisons of 1e-7 each. Powers and levels are such that weights have high moments: with a
    power of 2 from a ratio of 20 on, coarse steps give weights of infinite variance.
    """
    path = Path.ve(np.geomspace(3, 0.8, 6))
    scales = tilt * np.maximum(np.arange(6) - 2, 0) / 3
    mean, variance = moments(0.5, 0.8, power, path.ratio, scales)
    found = fkc_sample(
        normal(0.5, 0.8),
        power,
        particles(path, power, 4 * GROUPS * EACH),
        path,
        groups=GROUPS,
        ess_threshold=threshold,
        rng=5,
        **({"reward": lambda x: x[:, 0], "reward_scale": scales} if tilt else {}),
    )
    if threshold:
        assert (found.ess < threshold).any(0).sum() > GROUPS / 2
    for f, wanted in ((lambda x: x, mean), (lambda x: (x - mean) ** 2, variance)):
        got, error = estimate(found, f)
        assert abs(got - wanted) < Z * error
        assert error < 0.02


def test_the_law_of_the_steps_tends_to_the_power():
    """Of second order: by recursion, without chance."""
    for power in (0.6, 1.0, 2.0, 3.0):
        errors = []
        for n in (100, 200, 400):
            ratio = path_to(0.01, n).ratio
            mean, variance = moments(0.5, 0.8, power, ratio)
            assert abs(mean - 0.5) < 1.3e-3  # of the noise at the start, which is no more
            errors.append(abs(variance - (0.8**2 + ratio[-1] ** 2) / power))
        assert errors[-1] < 1e-3
        assert min(errors[0] / errors[1], errors[1] / errors[2]) > 3.5


# Exact mixtures.


def power_of(mixture, number):
    """The whole power of a mixture on the line, which is a mixture."""
    w, mu, sd = mixture
    parts = [(1.0, None)]
    for _ in range(number):
        parts = [product_of(part, one) for part in parts for one in zip(w, mu, sd, strict=True)]
    return gathered(parts)


def product_of(part, one):
    """The product of normals with factors, as (factor, (mean, variance))."""
    factor, law = part
    w, mu, sd = one
    if law is None:
        return factor * w, (mu, sd**2)
    mean, variance = law
    total = variance + sd**2
    factor *= w * stats.norm.pdf(mean - mu, scale=total**0.5)
    return factor, ((mean * sd**2 + mu * variance) / total, variance * sd**2 / total)


def gathered(parts):
    w, laws = zip(*parts, strict=True)
    mu, variance = np.array(laws).T
    return np.array(w) / sum(w), mu, variance**0.5


ONE = ([0.3, 0.7], [-1.2, 0.9], [0.35, 0.5])
TWO = ([0.6, 0.4], [-0.8, 1.3], [0.6, 0.4])
PRODUCT = gathered(
    [
        product_of(product_of((1.0, None), a), b)
        for a in zip(*ONE, strict=True)
        for b in zip(*TWO, strict=True)
    ]
)


def mixture(law):
    w, mu, sd = law
    return GaussianMixture(w, np.array(mu)[:, None], sd)


def assert_groups(found, law, slack):
    """Compare masses and moments with a mixture; two-sided, 1e-7 each, beyond a known error."""
    w, mu, sd = (np.array(part) for part in law)
    for end in (-1.0, -0.2, 0.4, 1.0):
        mass = (w * stats.norm.cdf(end, mu, sd)).sum()
        got, error = estimate(found, lambda x, end=end: x <= end)
        assert abs(got - mass) < Z * error + slack, (end, got, mass, error)
        assert error < 0.03
    mean = (w * mu).sum()
    second = (w * (sd**2 + mu**2)).sum()
    for f, value in ((lambda x: x, mean), (lambda x: x * x, second)):
        got, error = estimate(found, f)
        assert abs(got - value) < Z * error + slack


@pytest.mark.law
@pytest.mark.parametrize(("kind", "pretend"), [("ve", False), ("vp", True), ("flow", False)])
def test_the_square_of_a_mixture(kind, pretend, monkeypatch):
    """The error of 200 steps is below 0.004; six comparisons of 1e-7 each."""
    monkeypatch.setattr(_device, "PRETEND", pretend)
    path = path_to(0.01, 200, kind)
    x = particles(path, 2.0)
    found = fkc_sample(mixture(ONE).denoise, 2.0, x, path, groups=GROUPS, rng=3)
    assert_groups(found, power_of(ONE, 2), 0.004)


@pytest.mark.law
def test_the_product_of_two_mixtures():
    """As above; without the weights it is seen to be wrong."""
    path = path_to(0.01, 200)
    x = particles(path, 2.0)
    models = [mixture(ONE).denoise, mixture(TWO).denoise]
    found = fkc_sample(models, [1.0, 1.0], x, path, groups=GROUPS, rng=3)
    assert_groups(found, PRODUCT, 0.004)
    with pytest.raises(AssertionError):
        assert_groups(found._replace(log_weights=0 * found.log_weights), PRODUCT, 0.004)


@pytest.mark.law
@pytest.mark.parametrize("target", VECTORS["gaussian_targets"], ids=lambda t: str(t["weights"]))
def test_recorded_targets(target):
    """Guidance with a negative weight among them; two comparisons of 1e-7, error of steps 0.005."""
    models = [normal(*law) for law in zip(target["mus"], target["sds"], strict=True)]
    path = path_to(0.01, 200)
    x = particles(path, sum(target["weights"]))
    found = fkc_sample(models, target["weights"], x, path, groups=GROUPS, rng=3)
    mean, sd = target["mean_sd"]
    got, error = estimate(found, lambda x: x)
    assert abs(got - mean) < Z * error + 0.005
    got, error = estimate(found, lambda x: (x - mean) ** 2)
    assert abs(got - sd**2) < Z * error + 0.005


@pytest.mark.law
def test_a_reward_tilts_a_mixture():
    """exp(b x) moves each normal by b sd^2 and weighs it; with a power of the model as well."""
    w, mu, sd = (np.array(part) for part in ONE)
    path = path_to(0.01, 200)
    for power, law in ((1.0, (w, mu, sd)), (2.0, power_of(ONE, 2))):
        w, mu, sd = law
        tilted = w * np.exp(-1.5 * mu + 0.5 * 1.5**2 * sd**2)
        wanted = tilted / tilted.sum(), mu - 1.5 * sd**2, sd
        found = fkc_sample(
            mixture(ONE).denoise,
            power,
            particles(path, power),
            path,
            reward=lambda x: x[:, 0],
            reward_scale=-1.5,
            groups=GROUPS,
            rng=3,
        )
        assert_groups(found, wanted, 0.006)


@pytest.mark.law
def test_a_reward_from_the_first_level_on():
    """A scale above zero at the first level weighs the particles there."""
    path = path_to(0.01, 200)
    found = fkc_sample(
        mixture(ONE).denoise,
        1.0,
        particles(path, 1.0),
        path,
        reward=lambda x: 0.05 * x[:, 0],
        reward_scale=np.ones(201),
        groups=GROUPS,
        rng=3,
    )
    w, mu, sd = (np.array(part) for part in ONE)
    tilted = w * np.exp(0.05 * mu + 0.5 * 0.05**2 * sd**2)
    assert_groups(found, (tilted / tilted.sum(), mu + 0.05 * sd**2, sd), 0.006)


@pytest.fixture(params=[False, True], ids=["host", "device"])
def backend_of_sums(request, monkeypatch):
    """The noise of the host, and that of devices."""
    monkeypatch.setattr(_device, "PRETEND", request.param)


# Weights and resampling.


def test_one_model_of_weight_one_has_no_weights():
    path = path_to(0.01, 20)
    found = fkc_sample(mixture(ONE).denoise, 1.0, particles(path, 1.0, 50), path, rng=3)
    assert float(found.log_weights.abs().max()) < 1e-12
    np.testing.assert_allclose(found.ess, 1.0, rtol=1e-12)


def test_one_model_of_weight_one_is_a_solver():
    """DPM-Solver++ of second order, with the same noise."""
    path = path_to(0.05, 20)
    x = particles(path, 1.0, 50)
    found = fkc_sample(mixture(ONE).denoise, 1.0, x, path, rng=3)
    noise = ImageNoise(x, rng=3)
    drawn = torch.stack([noise._drawn("corrector", i) for i in range(20)])
    made = plan("dpmpp_2m_sde_heun", path)
    torch.testing.assert_close(
        found.x, sample(mixture(ONE).denoise, x, made, noise=drawn), rtol=1e-9, atol=1e-10
    )


def test_a_copy_of_a_model_is_its_power():
    path = path_to(0.01, 20)
    model, x = mixture(ONE).denoise, particles(path, 2.0, 50)
    one = fkc_sample(model, 2.0, x, path, rng=3, ess_threshold=0)
    two = fkc_sample([model, model], [0.5, 1.5], x, path, rng=3, ess_threshold=0)
    torch.testing.assert_close(one.x, two.x, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(one.log_weights, two.log_weights, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["systematic", "stratified"])
def test_ancestors(method, backend_of_sums):
    """Particles that copy themselves: each goes on as often as its weight says, rounded."""
    n, v = 1000, 4.0
    log_weights = torch.from_numpy(np.random.default_rng(0).normal(size=n))
    marks = torch.arange(n, dtype=DOUBLE)[:, None]
    # Without a score, and with a reward that does not move them.
    found = fkc_sample(
        lambda x, level: x,
        1.0,
        marks,
        Path.ve([v**0.5, 1e-6 * v**0.5, 1e-12]),
        reward=lambda x: log_weights[(x[:, 0]).round().long().clamp(0, n - 1)] + 0 * x[:, 0],
        reward_scale=[1.0, 1.0, 1.0],
        ess_threshold=1.0,
        method=method,
        rng=4,
    )
    expected = n * log_weights.softmax(0)
    counts = np.bincount(found.x[:, 0].round().long(), minlength=n)
    assert counts.sum() == n
    most = 1 if method == "systematic" else 2
    assert (np.abs(counts - expected.numpy()) < most).all()
    assert (np.diff(found.x[:, 0].round()) >= 0).all()
    mean = float(log_weights.logsumexp(0)) - np.log(n)
    np.testing.assert_allclose(found.log_weights, mean, rtol=1e-9)


def test_which_uniform_decides():
    """The layout of `docs/guarantees.md`: purpose, entity and round."""
    from sortes.diffusion.correctors import _combs

    x = np.empty((6, 1))
    noise = ImageNoise(torch.from_numpy(x), rows=[9, 1, 2, 7, 4, 5], rng=Stream(7))
    for method, many in (("systematic", 1), ("stratified", 3)):
        places = _combs(noise, 2, method)(3).numpy()
        u = (
            _philox.sequences((7, 0), np.array([9, 7]), 3, _core.PURPOSES["survivor"], many)
            * _philox.ULP
        )
        np.testing.assert_array_equal(places, (np.arange(3) + u) / 3)
        first = _philox.draws((7, 0), np.array([9, 7]), 3, _core.PURPOSES["survivor"])
        np.testing.assert_array_equal(u[:, 0], first * _philox.ULP)


def test_groups_know_nothing_of_each_other(backend_of_sums):
    """A group alone is the group among others, by the names of its particles."""
    path = path_to(0.01, 30)
    x = particles(path, 2.0, 60)
    model = lambda x, level: x * 0.2 + torch.tanh(x)  # noqa: E731
    together = fkc_sample(model, 2.0, x, path, groups=3, rng=3, ess_threshold=0.8)
    assert (together.ess < 0.8).any()
    for g in range(3):
        rows = list(range(20 * g, 20 * g + 20))
        alone = fkc_sample(model, 2.0, x[rows], path, rows=rows, rng=3, ess_threshold=0.8)
        torch.testing.assert_close(alone.x, together.x[rows], rtol=1e-12, atol=0)
        torch.testing.assert_close(
            alone.log_weights, together.log_weights[rows], rtol=1e-10, atol=1e-12
        )


def test_resampling_in_an_interval():
    path = path_to(0.01, 30)
    x = particles(path, 3.0, 200)
    whole = fkc_sample(mixture(ONE).denoise, 3.0, x, path, rng=3)
    never = fkc_sample(mixture(ONE).denoise, 3.0, x, path, rng=3, ess_threshold=0.0)
    outside = fkc_sample(mixture(ONE).denoise, 3.0, x, path, rng=3, interval=(1e3, 1e4))
    assert torch.equal(never.x, outside.x)
    assert torch.equal(never.log_weights, outside.log_weights)
    assert not torch.equal(never.x, whole.x)
    assert float(whole.ess[-1]) > float(never.ess[-1])


def test_nothing_waits(monkeypatch):
    monkeypatch.setattr(_device, "PRETEND", True)
    path = path_to(0.01, 10)
    x = particles(path, 2.0, 20)
    asked = []
    for name in ("item", "tolist", "cpu", "nonzero", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda self, *_, name=name: asked.append(name))
    fkc_sample([lambda x, level: 0 * x], [2.0], x, path, rng=3, reward=lambda x: x[:, 0], groups=2)
    assert not asked


def test_half_precision_and_odd_batches():
    path = path_to(0.01, 10)
    asked = set()

    def model(x, level):
        asked.add(x.dtype)
        return 0 * x

    found = fkc_sample(model, 1.0, torch.ones(4, 2, 3).bfloat16(), path, rng=0)
    assert asked == {torch.bfloat16}
    assert (found.x.dtype, found.x.shape) == (torch.bfloat16, (4, 2, 3))
    for shape in [(0, 3), (2, 0), (3,)]:
        found = fkc_sample(lambda x, level: 0 * x, 2.0, torch.ones(shape), path, rng=0)
        assert found.x.shape == shape
        assert found.log_weights.shape == shape[:1]


def test_no_weight_left_is_said():
    path = path_to(0.1, 3)
    with pytest.warns(RuntimeWarning, match=r"^denoisers: log weights are not finite"):
        fkc_sample(lambda x, level: x * torch.nan, 2.0, torch.ones(4, 1), path, rng=0)


def test_progress_and_interrupts():
    path = path_to(0.1, 6)
    x = particles(path, 2.0, 8)
    reports = []
    model = mixture(ONE).denoise
    fkc_sample(model, 2.0, x, path, rng=0, progress=lambda *r: reports.append(r))
    assert reports == [(i + 1, 6) for i in range(6)]

    def stopped(x, level):
        if level.sigma < 1:
            raise KeyboardInterrupt
        return model(x, level)

    with pytest.raises(Interrupted) as caught:
        fkc_sample(stopped, 2.0, x, path, rng=0)
    kept = fkc_sample(stopped, 2.0, x, path, rng=0, on_interrupt="return")
    assert torch.equal(kept.x, caught.value.partial.x)
    reached = int((path.sigma >= 1).sum())
    short = Path.ve(path.ratio[: reached + 1])
    other = fkc_sample(model, 2.0, x, short, rng=0)
    assert torch.equal(kept.x, other.x)


REFUSED = [
    ({"denoisers": 3}, TypeError, "denoisers: must be callable, or several, got 3"),
    ({"weights": [1.0, 1.0]}, ValueError, "weights: must hold one for each of 1 denoisers"),
    ({"weights": -1.0}, ValueError, "weights: must have a positive sum"),
    ({"weights": np.nan}, ValueError, "weights: "),
    ({"groups": 4}, ValueError, "groups: must divide the 6 particles of x, got 4"),
    ({"groups": 0}, ValueError, "groups: must be at least 1, got 0"),
    ({"ess_threshold": 1.5}, ValueError, r"ess_threshold: must be in \[0, 1\], got 1.5"),
    ({"interval": (2.0, 1.0)}, ValueError, "interval: must hold an interval, got 2.0 and 1.0"),
    ({"interval": 2.0}, TypeError, "interval: must be a tuple of two levels, got 2.0"),
    ({"method": "ssp"}, ValueError, "method: must be 'systematic' or 'stratified', got 'ssp'"),
    ({"path": Path.flow([1.0, 0.5, 0.0])}, ValueError, "path: must begin with some signal"),
    ({"path": 3}, TypeError, "path: must be a Path, got 3"),
    ({"reward_scale": 1.0}, ValueError, "reward_scale: must not be given without reward"),
    ({"reward": 3}, TypeError, "reward: must be callable, got 3"),
    ({"reward": lambda x: x}, ValueError, r"reward: must return shape \(6,\), got \(6, 2\)"),
    (
        {"reward": lambda x: x[:, 0].detach()},
        ValueError,
        "reward: must be differentiable, got a result without a gradient",
    ),
    (
        {"reward": lambda x: x[:, 0], "reward_scale": [1.0]},
        ValueError,
        r"reward_scale: must have shape \(3,\), got \(1,\)",
    ),
    ({"denoisers": lambda x, level: x[:1]}, ValueError, r"denoisers: must return shape \(6, 2\)"),
    ({"denoisers": lambda x, level: 3}, TypeError, "denoisers: must return a tensor, got 3"),
    ({"x": [1.0]}, TypeError, "x: must be a tensor"),
]


@pytest.mark.parametrize(("given", "error", "message"), REFUSED)
def test_what_is_refused(given, error, message):
    call = {
        "denoisers": lambda x, level: 0 * x,
        "weights": 1.0,
        "x": torch.ones(6, 2),
        "path": Path.ve([2.0, 1.0, 0.0]),
        "rng": 0,
        **given,
    }
    with pytest.raises(error, match=f"^{message}"):
        fkc_sample(**call)
