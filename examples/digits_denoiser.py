"""Train a denoiser of handwritten digits in seconds, on one core, and draw digits with it.

    pip install scikit-learn torch pillow
    python examples/digits_denoiser.py
    python examples/digits_denoiser.py digits.png

scikit-learn brings 1797 digits of 8 x 8 pixels. The network is preconditioned as EDM's, with and
without labels, so that samplers can be tried on something real that costs nothing.
"""

import sys
import time
from itertools import pairwise
from pathlib import Path as File

import torch
from sklearn.datasets import load_digits
from sortes.diffusion import Denoiser, Path, noise_like, plan, sample, sigmas_karras
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

#: The label of a digit that may be any.
ANY = 10
#: The standard deviation of the pixels, which are in [-1, 1].
SPREAD = 0.752
#: The noise levels of samples.
SIGMA_MIN, SIGMA_MAX = 0.02, 20.0


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images, of shape (1797, 1, 8, 8), and their labels."""
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 8 - 1, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(labels)


class Digits(nn.Module):
    """The raw network of EDM: ``network(x, t, label=None)``, t being a quarter of ln(sigma)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 4 * torch.randn(16))
        self.labels = nn.Embedding(ANY + 1, 32)
        sizes = [64 + 32 + 32, 256, 256, 256]
        hidden = [nn.Sequential(nn.Linear(n, m), nn.SiLU()) for n, m in pairwise(sizes)]
        self.layers = nn.Sequential(*hidden, nn.Linear(256, 64))

    def forward(self, x: torch.Tensor, t: torch.Tensor, label: torch.Tensor | None = None):
        """Return what the preconditioning makes data of."""
        if label is None:
            label = torch.full((len(x),), ANY, device=x.device)
        angles = t[:, None] * self.frequencies
        known = [x.flatten(1), angles.sin(), angles.cos(), self.labels(label)]
        return self.layers(torch.cat(known, 1)).view_as(x)


def train(steps: int = 4000, seed: int = 0) -> Digits:
    """Return a network, the same for the same arguments on the same machine.

    4000 steps take 20 seconds on one core; a thousand are enough for most digits.
    """
    images, labels = digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Digits()
        mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.995))
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        for _ in range(steps):
            drawn = torch.randint(len(images), (256,))
            x, label = images[drawn], labels[drawn]
            label = label.where(torch.rand(256) < 0.8, ANY)
            log_sigma = 1.4 * torch.randn(256) - 0.8
            sigma = log_sigma.exp().view(-1, 1, 1, 1)
            total = (sigma**2 + SPREAD**2).sqrt()
            noisy = x + sigma * torch.randn(x.shape)
            target = (x - (SPREAD / total) ** 2 * noisy) * total / (sigma * SPREAD)
            error = network(noisy / total, log_sigma / 4, label) - target
            optimizer.zero_grad()
            error.square().mean().backward()
            optimizer.step()
            mean.update_parameters(network)
    return mean.module.eval().requires_grad_(False)


def denoiser(
    network: Digits, label: torch.Tensor | None = None, guidance_scale: float | None = None
) -> Denoiser:
    """Return what `sample` calls: of any digits, of those of labels, or guided towards these."""
    guidance = {}
    if guidance_scale is not None:
        guidance = {"uncond": {"label": None}, "guidance_scale": guidance_scale}
    return Denoiser(network, prediction="edm", sigma_data=SPREAD, args={"label": label}, **guidance)


def levels(steps: int) -> Path:
    """Return noise levels for samples."""
    return Path.ve(sigmas_karras(steps, SIGMA_MIN, SIGMA_MAX))


def draw(network: Digits, solver: str, steps: int, label: torch.Tensor, **options: object):
    """Return an image of each label, the same noise for the same place."""
    made = plan(solver, levels(steps), **options)
    x = made.init_sigma * noise_like(torch.empty(len(label), 1, 8, 8), rng=0)
    randomness = {"rng": 1} if made.n_draws else {}
    return sample(denoiser(network, label, guidance_scale=1.5), x, made, **randomness)


def save(rows: list[torch.Tensor], file: str | File, enlarged: int = 4) -> None:
    """Write rows of images to a PNG file, dark on white."""
    from PIL import Image

    lines = [torch.cat(list(nn.functional.pad(row[:, 0], [1] * 4, value=-1.0)), 1) for row in rows]
    grey = (255 * (1 - torch.cat(lines).clamp(-1, 1)) / 2).round().to(torch.uint8)
    picture = Image.fromarray(grey.numpy())
    picture.resize([enlarged * n for n in picture.size], Image.Resampling.NEAREST).save(file)


def main() -> None:
    """Train, draw by some solvers, and compare with what many steps make of the same noise."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    network = train(1500)
    print(f"trained in {time.perf_counter() - began:.0f} s")
    label = torch.arange(20) % 10
    exact = draw(network, "heun", 100, label)
    rows = []
    for steps in (5, 10, 20):
        for solver in ("ddim", "unipc"):
            images = draw(network, solver, steps, label)
            error = (images - exact).square().mean().sqrt()
            print(f"{solver:5} {steps:3} steps: {error:.3f} from 100 steps of Heun")
            rows.append(images)
    if sys.argv[1:]:
        save([*rows, exact], sys.argv[1])


if __name__ == "__main__":
    main()
