"""Schedules: recorded values, peers' names, and edges."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from sortes import diffusion
from sortes.diffusion import (
    Path,
    betas,
    schedule,
    shift_sigmas,
    sigmas_ays,
    sigmas_beta,
    sigmas_bong_tangent,
    sigmas_exponential,
    sigmas_flow,
    sigmas_gaussian,
    sigmas_karras,
    sigmas_linear_quadratic,
    sigmas_polyexponential,
    sigmas_vp,
    timesteps_beta,
    timesteps_spacing,
    zero_terminal_snr,
)
from sortes.diffusion._beta import beta_quantile
from vectors import load

RECORDED = load("diffusion/schedules.json")["schedules"]
ENDS = (0.03, 14.6)
TRAINED = np.cumprod(1 - betas(kind="scaled_linear"))


def close(found, recorded, rtol=1e-9):
    np.testing.assert_allclose(found, recorded, rtol=rtol, atol=1e-14)


def test_recorded_trainings():
    total = RECORDED["T"]
    for kind in ("linear", "scaled_linear"):
        first, last = RECORDED[f"{kind}_args"]
        found = betas(total, kind=kind, beta_start=first, beta_end=last)
        close(found, RECORDED[f"{kind}_betas"])
    close(np.cumprod(1 - betas(total, beta_start=0.001, beta_end=0.2)), RECORDED["linear_abar"])
    close(betas(total, kind="cosine"), RECORDED["cosine_betas"])
    scaled = RECORDED["scaled_linear_betas"]
    close(zero_terminal_snr(scaled), RECORDED["zero_snr_betas_from_scaled_linear"])
    assert np.cumprod(1 - zero_terminal_snr(betas()))[-1] == 0


def test_recorded_levels():
    close(sigmas_karras(8, *ENDS), RECORDED["karras"]["sigmas"])
    close(sigmas_karras(8, *ENDS, 3.0), RECORDED["karras_rho3"]["sigmas"])
    close(sigmas_exponential(8, *ENDS), RECORDED["exponential"]["sigmas"])
    close(sigmas_polyexponential(8, *ENDS, 1.5), RECORDED["polyexponential"]["sigmas"])
    close(sigmas_vp(8), RECORDED["vp"]["sigmas"])
    for case in RECORDED["gaussian_optimal_euler"]:
        ends = case["sigma_min"], case["sigma_max"]
        close(sigmas_gaussian(case["n"], *ends, case["c"]), case["sigmas"])
    for name, table in RECORDED["ays_tables"].items():
        if not name.endswith("_t"):
            close(sigmas_ays(model=name), table)
    for case in RECORDED["ays_interp"]:
        close(sigmas_ays(case["n_levels"] - 1, model=case["table"]), case["sigmas"])
    assert sigmas_ays(model="svd", final="zero")[-1] == 0


@pytest.mark.parametrize("case", RECORDED["spacing"], ids=lambda c: f"{c['kind']}-{c['n']}")
def test_recorded_spacings(case):
    offset = case["offset"] if case["kind"] == "leading" else 0
    found = timesteps_spacing(case["n"], kind=case["kind"], offset=offset)
    np.testing.assert_array_equal(found, case["timesteps"])


def test_recorded_beta_laws():
    close(timesteps_beta(8), RECORDED["beta_timesteps"]["t"])
    close(timesteps_beta(8, 0.5, 0.9), RECORDED["beta_timesteps_2"]["t"])
    # The recorded levels have no final zero.
    recorded = RECORDED["beta_sigmas_linear_in_sigma"]["sigmas"]
    close(sigmas_beta(8, *ENDS), [*recorded, 0])
    close(sigmas_beta(7, *ENDS, append_zero=False), recorded)


def test_recorded_shifts():
    case = RECORDED["flow_shift"]
    close(shift_sigmas(case["s"], case["shift"]), case["out"])
    case = RECORDED["flow_shift_exp"]
    close(shift_sigmas(case["s"], mu=case["mu"]), case["out"])
    s = np.linspace(0, 1, 9)
    close(shift_sigmas(s, mu=np.log(3.0)), shift_sigmas(s, 3.0))
    with np.errstate(divide="ignore"):
        truth = np.e**0.7 / (np.e**0.7 + (1 / s - 1) ** 2)
    close(shift_sigmas(s, mu=0.7, power=2.0), truth)
    found = sigmas_flow(10, 3.0)
    even = np.linspace(1, 1e-3, 10)
    close(found, np.append(3 * even / (1 + 2 * even), 0))
    close(sigmas_flow(10, mu=np.log(3.0)), found)


@pytest.mark.parametrize("a", [0.05, 0.5, 0.6, 1.0, 2.5, 40.0])
@pytest.mark.parametrize("b", [0.1, 0.7, 1.0, 3.0, 200.0])
def test_beta_quantiles_are_those_of_scipy(a, b):
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(beta_quantile(p, a, b), stats.beta.ppf(p, a, b), rtol=1e-11)
    # Far out, by the masses: SciPy's own roots are not always there.
    below, above = beta_quantile(np.array([1e-12, 1e-6]), a, b), np.array([1 - 1e-6, 1 - 1e-9])
    if below[0] > 1e-290:
        np.testing.assert_allclose(stats.beta.cdf(below, a, b), [1e-12, 1e-6], rtol=1e-10)
    found = beta_quantile(above, a, b)
    if found[-1] < 1 - 1e-6:
        np.testing.assert_allclose(stats.beta.sf(found, a, b), 1 - above, rtol=1e-10)


@pytest.mark.parametrize("kind", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("convention", ["euler", "dpm"])
def test_every_number_of_times(kind, convention):
    """61 and 103 are counts for which diffusers appends the time -1."""
    for n in [*range(1, 130), 333, 500, 998, 999]:
        times = timesteps_spacing(n, kind=kind, convention=convention)
        assert times.shape == (n,)
        assert times[-1] >= 0
        assert times[0] <= 999
        assert (np.diff(times) < 0).all()
        if kind != "leading":
            assert times[0] == 999
        Path.at_timesteps(TRAINED, times)
    assert len(timesteps_spacing(1000, kind=kind)) == 1000
    np.testing.assert_array_equal(
        timesteps_spacing(10, convention="dpm"), np.arange(11)[:0:-1] * (1000 // 11)
    )


LEVELS = {
    "karras": lambda n, **kw: sigmas_karras(n, *ENDS, **kw),
    "exponential": lambda n, **kw: sigmas_exponential(n, *ENDS, **kw),
    "polyexponential": lambda n, **kw: sigmas_polyexponential(n, *ENDS, 2.0, **kw),
    "vp": sigmas_vp,
    "gaussian": lambda n, **kw: sigmas_gaussian(n, *ENDS, 0.5, **kw),
    "beta": lambda n, **kw: sigmas_beta(n, *ENDS, **kw),
}
TO_ZERO = {
    "ays": lambda n: sigmas_ays(n, model="sdxl", final="zero"),
    "flow": lambda n: sigmas_flow(n, 3.0),
    "linear_quadratic": sigmas_linear_quadratic,
    "bong_tangent": sigmas_bong_tangent,
}


@pytest.mark.parametrize("n", [1, 2, 3, 10, 50])
def test_n_steps_have_n_plus_one_levels_that_fall(n):
    for make in LEVELS.values():
        with_zero, without = make(n, append_zero=True), make(n, append_zero=False)
        for found in (with_zero, without):
            assert found.shape == (n + 1,)
            assert found.dtype == np.float64
            assert (np.diff(found) < 0).all()
        assert with_zero[-1] == 0
        assert without[-1] > 0
        assert with_zero[0] == without[0]
    for make in TO_ZERO.values():
        found = make(n)
        assert found.shape == (n + 1,)
        assert found[-1] == 0
        assert (np.diff(found) < 0).all()


def test_gaussian_levels_are_best_for_normal_data():
    """The divergence of what Euler's method returns, against changed levels."""

    def divergence(sigmas, c):
        gain = 1.0
        for s, t in pairwise(sigmas):
            gain *= (c * c + s * t) / (c * c + s * s)
        v = (c**2 + sigmas[0] ** 2) * gain**2 / (c**2 + sigmas[-1] ** 2)
        return 0.5 * (v - 1 - np.log(v))

    for n, c, best in [(4, 0.5, 0.0801), (6, 1.0, 0.0365)]:
        sigmas = sigmas_gaussian(n, 0.002, 80.0, c)
        least = divergence(sigmas, c)
        assert least == pytest.approx(best, abs=5e-5)
        assert divergence(sigmas_karras(n, 0.002, 80.0, append_zero=False), c) > 3 * least
        for i in range(1, n):
            for factor in (0.98, 1.02):
                changed = sigmas.copy()
                changed[i] *= factor
                assert divergence(changed, c) > least


def comfy(name, n):
    """What ComfyUI's functions compute, in float64."""
    table = np.sqrt((1 - TRAINED) / TRAINED)
    total = len(table)
    if name in ("normal", "sgm_uniform"):
        t = np.linspace(total - 1, 0, n + (name == "sgm_uniform"))[:n]
        low = np.floor(t).astype(int)
        high = np.ceil(t).astype(int)
        w = t - low
        return [*np.exp((1 - w) * np.log(table[low]) + w * np.log(table[high])), 0.0]
    if name == "simple":
        return [*(table[-(1 + int(x * (total / n)))] for x in range(n)), 0.0]
    if name == "ddim_uniform":
        step = max(total // n, 1)
        return [*[table[x] for x in range(1, total, step)][::-1], 0.0]
    a, b = (0.5, 0.7) if name == "beta57" else (0.6, 0.6)
    t = np.rint(stats.beta.ppf(1 - np.linspace(0, 1, n, endpoint=False), a, b) * (total - 1))
    kept = [t[0]] + [now for before, now in pairwise(t) if now != before]
    return [*(table[int(each)] for each in kept), 0.0]


@pytest.mark.parametrize("n", [1, 2, 7, 20, 30, 100])
@pytest.mark.parametrize(
    "name", ["normal", "sgm_uniform", "simple", "ddim_uniform", "beta", "beta57"]
)
def test_names_of_comfy(name, n):
    found = schedule(n, name=name, alphas_cumprod=TRAINED)
    close(found, comfy(name, n))
    Path.vp(found, alphas_cumprod=TRAINED)


def test_names_of_comfy_that_need_the_ends_alone():
    low, high = np.sqrt((1 - TRAINED[[0, -1]]) / TRAINED[[0, -1]])
    ends = {"sigma_min": low, "sigma_max": high}
    for name, truth in {
        "karras": sigmas_karras(9, low, high),
        "exponential": sigmas_exponential(9, low, high),
    }.items():
        close(schedule(9, name=name, alphas_cumprod=TRAINED), truth)
        close(schedule(9, name=name, **ends), truth)
        assert schedule(9, name=name, alphas_cumprod=TRAINED, sigma_max=5.0)[0] == pytest.approx(5)
    # As ComfyUI writes it.
    u = np.linspace(0, 1, 9)
    truth = [*np.tan(u * np.arctan(low) + (1 - u) * np.arctan(high)), 0]
    close(schedule(9, name="kl_optimal", alphas_cumprod=TRAINED), truth)
    for name in ("linear_quadratic", "bong_tangent"):
        truth = high * getattr(diffusion, f"sigmas_{name}")(9)
        close(schedule(9, name=name, alphas_cumprod=TRAINED), truth)


@pytest.mark.parametrize(("n", "k"), [(2, 1), (8, 4), (25, 12), (64, 5)])
def test_the_parabola_of_mochi(n, k):
    """Its released form has three coefficients."""
    c = 0.025
    line = [i * c / k for i in range(k)]
    gap, rest = k - c * n, n - k
    a = gap / (k * rest**2)
    b = c / k - 2 * gap / rest**2
    beyond = [a * i**2 + b * i + a * k**2 for i in range(k, n)]
    close(sigmas_linear_quadratic(n, linear_steps=k), 1 - np.array([*line, *beyond, 1.0]))


@pytest.mark.parametrize("n", [2, 5, 20, 41])
def test_the_arcs_of_res4lyf(n):
    points = n + 2
    pivot = int(points * 0.6)
    slope = 0.2 / (points / 40)

    def arc(count, centre, start, end):
        f = [((2 / np.pi) * np.arctan(-slope * (x - centre)) + 1) / 2 for x in range(count)]
        return [(y - f[-1]) / (f[0] - f[-1]) * (start - end) + end for y in f]

    close(sigmas_bong_tangent(n), arc(pivot, pivot, 1, 0.5)[:-1] + arc(points - pivot, 0, 0.5, 0))
    close(sigmas_bong_tangent(n, 14.6), 14.6 * sigmas_bong_tangent(n))


def test_any_levels_make_a_flow_path():
    """Those of other models too: ratios of noise to signal become factors of noise."""
    for make in LEVELS.values():
        ratio = make(9, append_zero=True)
        path = Path.flow(ratio / (1 + ratio), t_scale=1000)
        np.testing.assert_allclose(path.ratio, ratio, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sigmas_karras(0, 0.1, 1.0), "n: must be in \\[1, 2\\*\\*40\\), got 0"),
        (lambda: sigmas_karras(3, 1.0, 1.0), "sigma_min: must be below sigma_max, 1.0, got 1.0"),
        (lambda: sigmas_vp(3, eps_s=1.0), r"eps_s: must be in \(0, 1\), got 1.0"),
        (lambda: timesteps_spacing(1001), "n: must be at most 1000, got 1001"),
        (lambda: timesteps_spacing(1000, convention="dpm"), "n: must be at most 999, got 1000"),
        (
            lambda: timesteps_spacing(1000, offset=1),
            "offset: must be at most 0 for 1000 of 1000, got 1",
        ),
        (
            lambda: timesteps_spacing(10, kind="trailing", offset=1),
            'offset: must not be given with kind="trailing"',
        ),
        (lambda: betas(kind="cosine", beta_end=0.1), 'beta_end: must not be given with kind="cos'),
        (lambda: zero_terminal_snr([0.5]), "betas: must hold at least two variances, got 1"),
        (lambda: sigmas_flow(3, 2.0, mu=0.5), "mu: must not be given with shift"),
        (lambda: shift_sigmas([0.5], power=2.0), "power: must not be given without mu"),
        (lambda: shift_sigmas([1.5]), r"sigmas: item 0 must be in \[0, 1\], got 1.5"),
        (
            lambda: sigmas_linear_quadratic(4, linear_steps=4),
            "linear_steps: must be below 4, the number of steps, got 4",
        ),
        (
            lambda: sigmas_linear_quadratic(20, threshold=0.99),
            "threshold: is too large for 10 linear steps of 20, got 0.99",
        ),
        (lambda: sigmas_bong_tangent(2, pivot=0.1), "pivot: must leave a step on each side"),
        (lambda: schedule(3, name="normal"), 'alphas_cumprod: must be given with name="normal"'),
        (lambda: schedule(3, name="karras"), "sigma_min: must be given without alphas_cumprod"),
        (
            lambda: schedule(3, name="simple", alphas_cumprod=TRAINED, sigma_max=3.0),
            'sigma_max: must not be given with name="simple"',
        ),
        (lambda: schedule(3, name="carras"), "name: must be 'beta', 'beta57'"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
