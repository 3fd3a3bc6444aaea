"""Annealed importance sampling of machines: from independent visible units to the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import random

from sortes import _core
from sortes._arrays import host
from sortes._check import Domain, count
from sortes._estimate import Estimate
from sortes._progress import Progress, job_of, reporter

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BETA = Domain("(0, 1]")


def betas_of(betas: Any) -> NDArray[np.float64]:
    """Return inverse temperatures that rise to 1."""
    if isinstance(betas, int | np.integer):
        n = count(betas, "betas", 1)
        return np.arange(1, n + 1) / n
    array = host(betas, "betas").astype(np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"betas: must have shape (n,), got {array.shape}")
    _BETA.check_items(array, "betas")
    falls = np.flatnonzero(np.diff(array) <= 0)
    if falls.size:
        at = int(falls[0]) + 1
        raise ValueError(f"betas: item {at} must be above {array[at - 1]}, got {array[at]}")
    if array[-1] != 1.0:
        raise ValueError(f"betas: must end at 1, got {array[-1]}")
    return array


def annealed(
    weights: NDArray[Any],
    visible_bias: NDArray[Any],
    hidden_bias: NDArray[Any],
    betas: NDArray[np.float64],
    chains: int,
    stream: _core.Stream,
    num_threads: int | None,
    progress: Progress,
) -> Estimate:
    """Return the logarithm of the sum of all weights of a machine's states."""
    wide = weights.astype(np.float64)
    on_visible, on_hidden = (b.astype(np.float64) for b in (visible_bias, hidden_bias))
    native, stays = _core.mcmc.spins, np.zeros(0, np.bool_)
    first, moving = stream.split(2)
    # At beta = 0 visible units are independent, and hidden ones count for a factor of 2 each.
    uniforms = random.Generator(random.Philox(key=first.key)).random((chains, len(wide)))
    units = (uniforms * (1 + np.exp(-on_visible)) < 1).astype(np.uint8)
    base = np.logaddexp(0, on_visible).sum() + len(on_hidden) * np.log(2)
    logs = np.zeros(chains)
    with (
        reporter(progress, "temperatures") as callback,
        job_of(num_threads, None, "updates") as job,
    ):
        before = 0.0
        for k, beta in enumerate(betas.tolist()):
            sums = units @ wide + on_hidden
            logs += (np.logaddexp(0, beta * sums) - np.logaddexp(0, before * sums)).sum(axis=1)
            before = beta
            if callback is not None:
                callback(k + 1, len(betas))
            if k + 1 == len(betas):
                break
            flat = (beta * weights).astype(weights.dtype).reshape(-1)
            hidden = (beta * hidden_bias).astype(weights.dtype)
            machine = native.Machine(flat, visible_bias, hidden, job)
            plan = (0, 1, 1, False)
            sampler = native.Sampler.machine(machine, stays, units, plan, moving.advance(k), job)
            sampler.run(job)
            last = sampler.take()[2].reshape(chains, -1)
            units = np.ascontiguousarray(last[:, : len(wide)])
    top = logs.max()
    ratios = np.exp(logs - top)
    mean = ratios.mean()
    spread = ratios.std(ddof=1) / np.sqrt(chains) if chains > 1 else np.nan
    return Estimate(float(base + top + np.log(mean)), float(spread / mean))
