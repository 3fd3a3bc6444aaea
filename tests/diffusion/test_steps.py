"""Sums of states on the host: their bits, whatever the batch, and addresses that are refused."""

import numpy as np
import pytest
import torch
from sortes import _core
from sortes.diffusion import Path, plan, sample
from sortes.diffusion._steps import Sum, _Row, program_of, sums_for

PATH = Path.vp(np.append(np.geomspace(14.6, 0.03, 8), 0.0))


def denoiser(x, level):
    """Element by element, in operations that have one result."""
    return x / (1 + level.sigma * x * x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 31, 32, 33, 1000, 50_000])
@pytest.mark.parametrize("name", ["ddim", "dpmpp_3m_sde", "unipc", "sa_solver", "lms", "heun"])
def test_an_image_of_any_size_is_the_one_made_alone_to_the_bit(name, width, dtype):
    """Blocks of the kernel begin elsewhere in a batch, and one of large images has more threads."""
    made = plan(name, PATH)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, width))).to(dtype)
    given = {"rng": 7} if made.n_draws else {}
    together = sample(denoiser, x, made, **given)
    for i in range(3):
        rows = {"rows": [i]} if given else {}
        assert torch.equal(sample(denoiser, x[i : i + 1], made, **given, **rows)[0], together[i])


def test_sums_are_those_of_the_rows():
    """In float64 against NumPy; what counts for nothing may be anything."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((5, 2, 700)))
    sums = sums_for(x[0], torch)
    y, d, *others = (sums.view(part) for part in x)
    factors = [0.3, -1.2, 0.7, 2.0, -0.1]
    slot = torch.empty_like(x[0])
    kept = (2.0, -3.0, slot.numpy())
    found = sums.add(Sum(factors, (1, 2), (0,), 0.5), y, d, others[:2], others[2:], kept)
    np.testing.assert_allclose(found, 0.5 + np.tensordot(factors, x, 1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slot, 2 * y - 3 * d, rtol=1e-12, atol=1e-12)
    bad = np.full_like(y, np.nan)
    found = sums.add(Sum([0.0, 2.0], (), (), 0.0), bad, d, [], [], (0.0, 1.0, slot.numpy()))
    np.testing.assert_array_equal(found, 2 * d)
    np.testing.assert_array_equal(slot, d)


def test_addresses_that_cannot_be_are_refused():
    program = program_of(plan("dpmpp_2m", PATH)).native
    x = torch.zeros(3, 8)
    slots = torch.zeros(4, 8)
    out, y, d = (part.data_ptr() for part in x)
    held = slots.data_ptr()
    program.advance(0, 8, False, (out, y, d, held), [], (1, None))
    for k, addresses, noises in [
        (99, (out, y, d, held), []),
        (0, (0, y, d, held), []),
        (0, (out, y + 1, d, held), []),
        (0, (out, y, d, 0), []),
        (0, (out, y, d, held), [y]),
    ]:
        with pytest.raises(TypeError, match="expected addresses for a row"):
            program.advance(k, 8, False, addresses, noises, (1, None))


def test_rows_that_cannot_be_are_refused():
    for row, held in [
        (_Row([1.0], (), 0.0, None), 1),
        (_Row([1.0, 1.0, 1.0], (1,), 0.0, None), 2),  # there is none before the first
        (_Row([1.0, 1.0], (), 0.0, None), 0),
    ]:
        with pytest.raises(TypeError, match="expected rows of a plan"):
            _core.diffusion.steps.Program([row], held)


def test_what_does_not_lie_one_after_the_other():
    """Predictions and noises of any layout and dtype. Red where they are taken as they are."""
    made = plan("dpmpp_3m_sde", PATH)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 6))).float()
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((made.n_draws, 4, 6))).float()
    wanted = sample(denoiser, x, made, noise=noise)

    def turned(x, level):
        return denoiser(x, level).T.contiguous().T

    def learning(x, level):
        with torch.enable_grad():
            return denoiser(x, level) * torch.ones(1, requires_grad=True)

    for model in (turned, learning):
        assert torch.equal(sample(model, x, made, noise=noise), wanted)
    strided = noise.permute(0, 2, 1).contiguous().permute(0, 2, 1)
    for given in (noise.double(), strided):
        assert torch.equal(sample(denoiser, x, made, noise=given), wanted)
    one = torch.ones(1).expand(made.n_draws, 4, 6)
    whole = torch.ones(made.n_draws, 4, 6)
    assert torch.equal(sample(denoiser, x, made, noise=one), sample(denoiser, x, made, noise=whole))
    flat = sample(lambda x, level: torch.ones(1).expand(x.shape), x, made, noise=noise)
    assert torch.equal(flat, sample(lambda x, level: torch.ones_like(x), x, made, noise=noise))


def test_views_of_negatives_are_read_as_what_they_are():
    """Their memory holds the numbers without the sign. Red where it is read as it is."""
    made = plan("dpmpp_3m_sde", PATH)
    x, d = torch.linspace(-2, 2, 12).reshape(2, 2, 3)
    noise = torch.linspace(-1, 1, made.n_draws * 6).reshape(-1, 2, 3)
    wanted = sample(lambda *_: -d, -x, made, noise=-noise)
    turned, opposite, others = (torch._neg_view(of) for of in (x, d, noise))
    assert turned.is_neg()
    assert turned.is_contiguous()
    assert torch.equal(sample(lambda *_: opposite, turned, made, noise=others), wanted)


def test_a_sparse_prediction_is_refused():
    message = "denoiser: must return a dense tensor, got torch.sparse_coo"
    with pytest.raises(TypeError, match=message):
        sample(lambda x, level: x.to_sparse(), torch.ones(2, 3), plan("ddim", PATH))
