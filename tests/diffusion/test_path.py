"""Noise levels: three kinds of the same states, and what is refused."""

import pickle

import numpy as np
import pytest
from sortes.diffusion import Level, Path
from vectors import load

TRAINED = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
SIGMAS = np.array([20.0, 3.0, 0.5, 0.05, 0.0])


def flow_of(ratio):
    return ratio / (1 + ratio)


@pytest.mark.parametrize(
    "path",
    [Path.ve(SIGMAS), Path.vp(SIGMAS), Path.flow(flow_of(SIGMAS))],
    ids=lambda path: path.kind,
)
def test_the_kinds_hold_the_same_ratios(path):
    np.testing.assert_allclose(path.ratio, SIGMAS, rtol=1e-14)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(path.lam, -np.log(SIGMAS), rtol=1e-13, atol=1e-14)
    assert path.n_steps == 4
    assert len(path) == len(list(path)) == 5
    for i, level in enumerate(path):
        assert level == path[i]
        again = path.at_lambda(path.lam[i])
        np.testing.assert_allclose(again, level, rtol=1e-13, atol=1e-14)
        assert again.lam == pytest.approx(path.lam[i], abs=1e-13)
        assert again.ratio == pytest.approx(path.ratio[i], rel=1e-13)


def test_pure_noise():
    for path in (Path.vp([np.inf, 1.0, 0.0]), Path.flow([1.0, 0.5, 0.0])):
        assert path[0][:2] == (0.0, 1.0)
        assert path[2][:2] == (1.0, 0.0)
        assert path.lam[0] == -np.inf
        assert path[0].ratio == np.inf
        assert path.at_lambda(-np.inf)[:2] == (0.0, 1.0)
        assert path.at_lambda(np.inf)[:2] == (1.0, 0.0)


def test_the_time_of_a_trained_network_is_linear_in_the_logarithm():
    """As k-diffusion's ``sigma_to_t``, which the specification writes out."""
    sigmas = np.sqrt((1 - TRAINED) / TRAINED)
    path = Path.vp(np.append(np.geomspace(sigmas[-1], sigmas[0], 9), 0), alphas_cumprod=TRAINED)
    table = np.log(sigmas)
    for level in [*path][:-1]:
        log = np.log(level.sigma / level.alpha)
        k = np.clip((table <= log).sum() - 1, 0, len(table) - 2)
        w = np.clip((table[k] - log) / (table[k] - table[k + 1]), 0, 1)
        assert level.t == pytest.approx((1 - w) * k + w * (k + 1), abs=1e-9)
    assert path.at_lambda(-20.0).t == 999
    assert path.at_lambda(np.inf).t == 0


def test_levels_between_those_of_the_path():
    timed = Path.ve([np.e**2, 1.0, 0.0], [7.0, 3.0, 1.0])
    assert timed.at_lambda(-1.0).t == pytest.approx(5.0)  # half way in the logarithm
    assert Path.ve([9.0, 1.0]).at_lambda(-np.log(3)).t == pytest.approx(3.0)
    assert Path.flow([0.9, 0.1], t_scale=1000).at_lambda(0.0).t == 500
    own = Path([1, 1], [9, 1], [2, 1], kind="ve", clock=([-1.0, 0.0], [10.0, 20.0]))
    assert own[0].t == 2
    assert own.at_lambda(-0.5).t == 15


def test_times_of_training():
    path = Path.at_timesteps(TRAINED, [999, 500, 0])
    np.testing.assert_array_equal(path.alpha, np.sqrt([*TRAINED[[999, 500, 0]], 1.0]))
    np.testing.assert_array_equal(path.t, [999, 500, 0, 0])
    first = Path.at_timesteps(TRAINED, [999, 500], final="first")
    assert first[2] == path[2]
    assert Path.at_timesteps(TRAINED, [999, 500], final="none").n_steps == 1
    zero = Path.at_timesteps([0.9, 0.5, 0.0], [2, 1])
    assert zero[0] == Level(0.0, 1.0, 2.0)
    assert zero.at_lambda(-1e9).t == 1  # below any level with signal
    assert zero.at_lambda(-np.inf).t == 2


def test_a_path_cannot_be_written_and_can_be_saved():
    path = Path.vp([5.0, 1.0, 0.0], alphas_cumprod=TRAINED)
    for array in (path.alpha, path.sigma, path.t, path.lam, path.ratio):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    given = np.array([2.0, 1.0])
    path = Path.ve(given)
    given[0] = 9
    assert path.sigma[0] == 2
    flow = Path.flow([1.0, 0.3, 0.0], t_scale=7)
    for held in (path, flow, Path.vp([2, 1], alphas_cumprod=TRAINED)):
        again = pickle.loads(pickle.dumps(held))
        assert again.kind == held.kind
        assert list(again) == list(held)
        assert again.at_lambda(0.1) == held.at_lambda(0.1)


def test_recorded_paths():
    for name, recorded in load("diffusion/paths.json")["paths"].items():
        kind = "ve" if name.startswith(("ve", "edm")) else "flow" if "flow" in name else "vp"
        path = Path(recorded["a"], recorded["s"], recorded["t"], kind=kind)
        assert path.n_steps == len(recorded["a"]) - 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Path.ve([1.0]), "sigmas: must hold at least two levels, got 1"),
        (
            lambda: Path.ve([3.0, 1.0, 1.0]),
            "sigmas: item 2 must be below the one before, 1.0, got 1.0",
        ),
        (lambda: Path.ve([3.0, -1.0]), r"sigmas: item 1 must be in \[0, inf\), got -1.0"),
        (lambda: Path.ve([np.inf, 1.0]), r"sigmas: item 0 must be in \[0, inf\), got inf"),
        (lambda: Path.flow([1.5, 1.0]), r"sigmas: item 0 must be in \[0, 1\], got 1.5"),
        (lambda: Path.vp([np.nan, 1.0]), r"sigmas: item 0 must be in \[0, inf\], got nan"),
        (
            lambda: Path([1, 1], [1, 2], kind="ve"),
            "sigma: item 1 must be less noisy than the one before: sigma / alpha is 2.0 / 1.0",
        ),
        (
            lambda: Path([0.5, 1], [0.5, 0], kind="vp"),
            r'alpha: item 0 does not fit the kind "vp": alpha\*\*2 \+ sigma\*\*2 must be 1',
        ),
        (lambda: Path.ve([2, 1], [1, np.nan]), "t: item 1 is not finite: nan"),
        (lambda: Path.ve([2, 1], [1]), r"t: must have shape \(2,\), got \(1,\)"),
        (lambda: Path([1, 1], [2, 1], kind="vq"), "kind: must be 'vp', 've' or 'flow', got 'vq'"),
        (
            lambda: Path.at_timesteps(TRAINED, [5, 5]),
            "timesteps: item 1 must be below the one before, 5, got 5",
        ),
        (
            lambda: Path.at_timesteps(TRAINED, [1000]),
            r"timesteps: item 0 must be in \[0, 1000\), got 1000",
        ),
        (
            lambda: Path.at_timesteps(TRAINED, [5, 0], final="first"),
            'final: must not be "first" after time 0',
        ),
        (
            lambda: Path.at_timesteps([0.5, 0.9], [1]),
            "alphas_cumprod: item 1 must be below the one before, 0.5, got 0.9",
        ),
        (
            lambda: Path.ve([2, 1]).at_lambda(-np.inf),
            'lam: must be above -inf on a path of kind "ve", got -inf',
        ),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        make()


def test_indices():
    path = Path.ve([2.0, 1.0])
    assert path[-1] == path[1]
    with pytest.raises(IndexError, match=r"^i: must be in \[-2, 2\), got 2"):
        path[2]


@pytest.mark.parametrize(
    "path",
    [
        Path.ve(SIGMAS),
        Path.vp(SIGMAS, alphas_cumprod=TRAINED),
        Path.flow(flow_of(SIGMAS), t_scale=1000.0),
        Path.ve(SIGMAS, [9.0, 7.0, 4.0, 2.0, 1.0]),
    ],
)
def test_some_of_the_levels(path):
    some = path.take(np.array([0, 2, 3]))
    assert [*some] == [path[0], path[2], path[3]]
    assert some.kind == path.kind
    for lam in (-1.0, 0.3, 2.5):
        assert some.at_lambda(lam) == path.at_lambda(lam)
    for indices, message in [
        ([1], "indices: must hold at least two levels, got 1"),
        ([0, 2, 2], "indices: item 2 must be above the one before, 2, got 2"),
        ([3, 1], "indices: item 1 must be above the one before, 3, got 1"),
        ([0, 5], r"indices: item 1 must be in \[0, 5\), got 5"),
    ]:
        with pytest.raises(ValueError, match=f"^{message}"):
            path.take(indices)
    with pytest.raises(TypeError, match=r"^indices: "):
        path.take([0.5, 1.0])
