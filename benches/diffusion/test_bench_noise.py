"""Normals: those of images, which depend on nothing else, and those of a generator with a state."""

import numpy as np
import pytest
import torch
from sortes.diffusion import ImageNoise

from benches.turns import turns


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 16])
def test_normals(benchmark, n, dtype):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.empty(n, 4, 64, 64, dtype=getattr(torch, dtype))
        noise = ImageNoise(x, rng=7)
        generator = np.random.default_rng(7)
        turns(
            benchmark,
            "Normals of images of 4 x 64 x 64, one thread",
            {"images": n, "dtype": dtype},
            {"sortes": noise.draw},
            {
                "torch": lambda _: torch.randn(x.shape, dtype=x.dtype),
                "numpy": lambda _: generator.standard_normal(tuple(x.shape), dtype),
            },
            goal={"torch": 2.0},
        )
    finally:
        torch.set_num_threads(threads)
