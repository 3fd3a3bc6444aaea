"""Noise belongs to its image: alone and in any batch, on every device, at every precision."""

from itertools import pairwise

import numpy as np
import pytest
from lawlib import assert_cdf
from scipy import stats
from sortes import Stream, _core, _philox
from sortes.diffusion import BrownianNoise, ImageNoise, noise_like

SHAPE = (3, 5, 7)


def batch(backend, n, dtype=None):
    return backend.convert(np.zeros((n, *SHAPE)), dtype)


def drawn(backend, n, make=noise_like, dtype=None, **kwargs):
    x = batch(backend, n, dtype)
    with backend.watched():
        found = make(x, **kwargs)
    assert found.dtype == x.dtype
    return backend.to_numpy(found, x)


def added(x, number=2, **kwargs):
    return ImageNoise(x, **kwargs).draw(number)


def increments(x, **kwargs):
    return BrownianNoise(x, **kwargs)(9.0, 2.0)


MAKES = [noise_like, added, increments]


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("dtype", [None, "float32", "float16"])
def test_an_image_of_a_batch_is_the_image_alone(backend, make, dtype):
    whole = drawn(backend, 8, make, dtype, rng=7)
    for i in (0, 5):
        alone = drawn(backend, 1, make, dtype, rng=7, rows=[i])
        np.testing.assert_array_equal(alone[0], whole[i])
    turned = drawn(backend, 8, make, dtype, rng=7, rows=np.arange(8)[::-1])
    np.testing.assert_array_equal(turned, whole[::-1])
    streams = [Stream(3), Stream(5, step=2)]
    each = drawn(backend, 2, make, dtype, rng=streams, rows=[4, 6], step=1)
    for i, stream in enumerate(streams):
        alone = drawn(backend, 1, make, dtype, rng=stream, rows=[4 + 2 * i], step=1)
        np.testing.assert_array_equal(alone[0], each[i])


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("dtype", [None, "float32", "float16"])
def test_all_kinds_of_arrays_have_the_same_noise(backend, make, dtype):
    """Bit for bit, the path of devices as well: four units in the last place are promised."""
    truth = np.asarray(make(np.zeros((3, *SHAPE), dtype or float), rng=7, step=3))
    np.testing.assert_array_equal(drawn(backend, 3, make, dtype, rng=7, step=3), truth)


@pytest.mark.parametrize("make", MAKES)
def test_precision_is_rounding(backend, make):
    double = drawn(backend, 2, make, "float64", rng=7)
    single = drawn(backend, 2, make, "float32", rng=7)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    half = drawn(backend, 2, make, "float16", rng=7)
    np.testing.assert_array_equal(half, double.astype(np.float32).astype(np.float16))


def test_brain_floats():
    torch = pytest.importorskip("torch")
    for make in MAKES:
        double = make(torch.zeros(2, 9, dtype=torch.float64), rng=7)
        found = make(torch.zeros(2, 9, dtype=torch.bfloat16), rng=7)
        assert torch.equal(found, double.float().to(torch.bfloat16))


def test_the_layout():
    """The promise of `docs/guarantees.md`, from the words of the generator."""
    key = (7, 0)
    purposes = _core.PURPOSES
    x = np.zeros((2, 11))
    ids = np.array([4, 9])
    start = _philox.normals(key, ids, 0, purposes["latent"], 11)
    np.testing.assert_array_equal(noise_like(x, rng=Stream(7), rows=ids), start)
    noise = ImageNoise(x, rng=Stream(7), rows=ids)
    for number in (0, 1, 2**32 - 1):
        later = _philox.normals(key, ids, number, purposes["noise"], 11)
        np.testing.assert_array_equal(noise.draw(number), later)
    # At a step of the caller's, the key is another one.
    a, b, _, _ = _philox.block(key, (0, 3, np.zeros(1, np.int64), purposes["rounds"] << 16))
    folded = _philox.normals((int(a[0]), int(b[0])), ids, 0, purposes["latent"], 11)
    np.testing.assert_array_equal(noise_like(x, rng=Stream(7, step=3), rows=ids), folded)
    np.testing.assert_array_equal(noise_like(x, rng=Stream(7), rows=ids, step=3), folded)


def test_the_form_of_k_diffusion_counts_calls():
    noise = ImageNoise(np.zeros((2, 3)), rng=7)
    for number in range(3):
        np.testing.assert_array_equal(noise(9.0, 1.0), noise.draw(number))


@pytest.mark.law
@pytest.mark.parametrize("make", [noise_like, added, increments])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_noise_is_normal(make, dtype):
    """A million numbers of 250 images: a scale that is one per cent off is seen."""
    z = make(np.zeros((250, 4000), dtype), rng=11)
    assert_cdf(z.ravel().astype(float), stats.norm.cdf)
    # Between images, and between neighbours.
    for product in (z[:-1] * z[1:], z[:, :-1] * z[:, 1:]):
        assert abs(product.mean()) < 5 / product.size**0.5


@pytest.mark.law
def test_additions_are_independent():
    """A million pairs of each. Red where additions have the purpose of starts."""
    x = np.zeros((250, 4000))
    noise = ImageNoise(x, rng=11)
    several = [noise_like(x, rng=11), noise_like(x, rng=11, step=1), noise.draw(0), noise.draw(1)]
    brownian = BrownianNoise(x, rng=11)
    several += [brownian(10.0, 5.0), brownian(5.0, 2.0), brownian(2.0, 0.001)]
    for i, a in enumerate(several):
        assert abs((a * a).mean() - 1) < 5 * (2 / x.size) ** 0.5
        for b in several[:i]:
            assert abs((a * b).mean()) < 5 / x.size**0.5


def clock(sigma):
    """How far the clock is, in its ticks."""
    return round((13 - np.log10(sigma)) / 26 * 2**24)


def test_increments_add_up(backend):
    """However a step is split, and whatever was asked before."""
    x = batch(backend, 2)
    sigmas = [80.0, 20.0, 7.0, 1.0, 0.3, 0.01]
    noise = BrownianNoise(x, rng=7)
    parts = [noise(a, b) for a, b in pairwise(sigmas)]
    lengths = np.diff([clock(s) for s in sigmas])
    weighed = sum(np.sqrt(n) * backend.to_numpy(z, x) for n, z in zip(lengths, parts, strict=True))
    whole = BrownianNoise(x, rng=7)(80.0, 0.01)
    np.testing.assert_allclose(
        backend.to_numpy(whole, x), weighed / np.sqrt(lengths.sum()), atol=1e-12
    )
    again = BrownianNoise(x, rng=7)
    for i in (3, 0, 4):
        found = again(sigmas[i], sigmas[i + 1])
        np.testing.assert_array_equal(backend.to_numpy(found, x), backend.to_numpy(parts[i], x))


def test_the_ends_of_the_clock(backend):
    x = batch(backend, 1)
    noise = BrownianNoise(x, rng=7)
    whole = noise(1e13, 1e-13)
    halves = BrownianNoise(x, rng=7)
    first, second = (backend.to_numpy(halves(a, b), x) for a, b in [(1e13, 1.0), (1.0, 1e-13)])
    np.testing.assert_allclose(backend.to_numpy(whole, x), (first + second) / 2**0.5, atol=1e-12)


@pytest.mark.law
def test_a_step_and_its_parts_have_the_right_correlation():
    """A million pairs: the correlation is the root of the share of the time."""
    x = np.zeros((250, 4000))
    noise = BrownianNoise(x, rng=3)
    whole, part = noise(20.0, 1.0), noise(20.0, 5.0)
    share = np.log(20 / 5) / np.log(20)
    got = (whole * part).mean()
    assert abs(got - share**0.5) < 5 * (1 + share) ** 0.5 / x.size**0.5


def test_empty_batches(backend):
    for shape in [(0, 3), (2, 0), (0,)]:
        x = backend.convert(np.zeros(shape))
        for make in MAKES:
            assert tuple(make(x, rng=7).shape) == shape


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: noise_like(np.float64(1.0)),
            ValueError,
            r"x: must have shape \(B, ...\), got \(\)",
        ),
        (lambda: noise_like(np.zeros(2), rows=[1]), ValueError, r"rows: must have shape \(2,\)"),
        (lambda: noise_like(np.zeros(1), rows=[-1]), ValueError, r"rows: item 0 must be in \[0, 2"),
        (
            lambda: noise_like(np.zeros(2), rng=[Stream(1)]),
            ValueError,
            "rng: must hold one stream for each of 2 rows, got 1",
        ),
        (
            lambda: ImageNoise(np.zeros(2)).draw(-1),
            ValueError,
            r"number: must be in \[0, 2\*\*32\)",
        ),
        (
            lambda: BrownianNoise(np.zeros(2))(1.0, 1.0),
            ValueError,
            "sigma_next: must be below sigma by a factor of 1.0000036 or more, got 1.0 and 1.0",
        ),
        (
            lambda: BrownianNoise(np.zeros(2))(1.0, 0.0),
            ValueError,
            r"sigma_next: must be in \[1e-13",
        ),
        (lambda: BrownianNoise(np.zeros(2))(np.nan, 0.1), ValueError, r"sigma: must be in \[1e-13"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_nothing_waits_for_a_device(monkeypatch):
    """No operation that a device would have to answer, on the path that tensors there take."""
    torch = pytest.importorskip("torch")
    from sortes import _device

    monkeypatch.setattr(_device, "PRETEND", True)
    x = torch.zeros(2, 5)
    noise, brownian = ImageNoise(x, rng=7), BrownianNoise(x, rng=7)
    for name in ("item", "__bool__", "nonzero", "tolist", "cpu", "__int__", "__float__"):

        def refuse(self, *args, name=name, **kwargs):
            raise AssertionError(f"{name} waits")

        monkeypatch.setattr(torch.Tensor, name, refuse)
    noise.draw(3)
    noise_like(x, rng=7)
    brownian(9.0, 1.0)
    brownian(1.0, 0.5)
