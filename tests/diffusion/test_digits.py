"""A real network, trained here on the digits of scikit-learn: images alone and in batches."""

from pathlib import Path as File

import numpy as np
import pytest
import torch
from sortes.diffusion import ImageNoise, noise_like, plan, sample

sklearn = pytest.importorskip("sklearn")

LABELS = torch.arange(8)


@pytest.fixture(scope="module")
def digits():
    """The example, as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(File(__file__).parents[2] / "examples")
        import digits_denoiser

        yield digits_denoiser


@pytest.fixture(scope="module")
def network(digits):
    """Its network after a thousand steps: some seconds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield digits.train(1000)
    torch.set_num_threads(threads)


def test_training_is_reproducible(digits):
    one, other, another = digits.train(3), digits.train(3), digits.train(3, seed=1)
    weights = [parameter for parameter in one.parameters()]
    assert all(map(torch.equal, weights, other.parameters()))
    assert not all(map(torch.equal, weights, another.parameters()))


SOLVERS = [
    "unipc",
    "dpmpp_2m_sde",
    "er_sde",
    "seeds_3",
    "sa_solver",
    "ddpm",
    "euler_ancestral_cfg_pp",
]


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_image_of_a_batch_is_the_one_made_alone(digits, network, solver):
    """Bit for bit in its noise, to 1e-5 in its pixels."""
    made = plan(solver, digits.levels(10))
    start = noise_like(torch.empty(8, 1, 8, 8), rng=3)
    seeded = {"rng": 7} if made.n_draws else {}
    batch = sample(digits.denoiser(network, LABELS, 0.8), made.init_sigma * start, made, **seeded)
    for i in (0, 3, 7):
        alone = noise_like(torch.empty(1, 1, 8, 8), rows=[i], rng=3)
        assert torch.equal(alone[0], start[i])
        named = {"rows": [i]} if made.n_draws else {}
        for number in range(made.n_draws):
            drawn = ImageNoise(start, rng=7).draw(number)
            assert torch.equal(ImageNoise(alone, rows=[i], rng=7).draw(number)[0], drawn[i])
        one = digits.denoiser(network, LABELS[i : i + 1], 0.8)
        image = sample(one, made.init_sigma * alone, made, **seeded, **named)
        assert float((image[0] - batch[i]).abs().max()) < 1e-5


def test_what_is_drawn_are_digits(digits, network):
    """The nearest three of the digits say which, by guidance as by CFG++."""
    from sklearn.neighbors import KNeighborsClassifier

    images, labels = digits.digits()
    known = KNeighborsClassifier(3).fit(images.flatten(1).numpy(), labels.numpy())
    wanted = torch.arange(100) % 10
    for solver, steps in (("unipc", 20), ("euler_cfg_pp", 20), ("er_sde", 30)):
        found = known.predict(digits.draw(network, solver, steps, wanted).flatten(1).numpy())
        assert np.mean(found == wanted.numpy()) > 0.9, solver


def test_higher_orders_need_fewer_steps(digits, network):
    """Distances to what a hundred steps of Heun's method make of the same noise."""
    label = torch.arange(50) % 10
    exact = digits.draw(network, "heun", 100, label)

    def error(solver, steps):
        images = digits.draw(network, solver, steps, label)
        return float((images - exact).square().mean().sqrt())

    first = [error("ddim", steps) for steps in (5, 10, 20)]
    assert first[0] / first[1] > 1.6
    assert first[1] / first[2] > 1.6
    for solver in ("dpmpp_2m", "unipc", "dpmpp_3m"):
        assert error(solver, 20) < 0.5 * first[2], solver
    assert error("unipc", 20) < 0.2 * first[2]
    assert error("unipc", 5) < 0.7 * first[0]


def test_the_picture(digits, tmp_path):
    image = pytest.importorskip("PIL.Image")
    rows = [torch.zeros(4, 1, 8, 8), torch.ones(4, 1, 8, 8)]
    digits.save(rows, tmp_path / "digits.png", enlarged=2)
    picture = image.open(tmp_path / "digits.png")
    assert picture.size == (80, 40)
    shades = np.asarray(picture)
    assert (shades[0, 0], shades[10, 10], shades[30, 10]) == (255, 128, 0)
