"""Weighted draws beside NumPy, Torch and a plain alias table.

A million draws with replacement from 10^4, 10^6 and 3 10^7 exponential weights, tables and sums
included; the same from tables that exist; and 10,000 distinct items of 10^7. NumPy gets weights
that sum to one already, as it demands. The floor moves the weights once.
"""

import numpy as np
import pytest
import torch
from sortes.select import AliasTable, Reservoir, choice

from benches.turns import turns

DRAWS = 1_000_000
SIZES = (10**4, 10**6, 3 * 10**7)
TORCH_LIMIT = 2**24


def weights_of(n):
    return np.random.default_rng(0).exponential(size=n)


def check_replacement(draw, w):
    """Assert that the heavy half gets its share, with its law's error."""
    heavy = w > np.median(w)
    p, draws = w[heavy].sum() / w.sum(), np.asarray(draw(0))
    assert abs(heavy[draws].mean() - p) < 5 * np.sqrt(p * (1 - p) / draws.size)


def plain_alias(w):
    """Return thresholds and aliases, by Vose's two stacks."""
    scaled = (w * (w.size / w.sum())).tolist()
    alias = list(range(w.size))
    small = [i for i, q in enumerate(scaled) if q < 1]
    large = [i for i, q in enumerate(scaled) if q >= 1]
    while small and large:
        s, big = small.pop(), large[-1]
        alias[s] = big
        scaled[big] -= 1 - scaled[s]
        if scaled[big] < 1:
            small.append(large.pop())
    return np.array(scaled), np.array(alias)


def alias_draws(table, rng):
    """Draw from a plain table as NumPy can: an index and a fraction for each draw."""
    threshold, alias = table
    i = rng.integers(0, alias.size, DRAWS)
    return np.where(rng.random(DRAWS) < threshold[i], i, alias[i])


@pytest.mark.parametrize("n", SIZES)
def test_with_replacement(benchmark, n):
    w = weights_of(n)
    p, rng, tensor = w / w.sum(), np.random.default_rng(0), torch.from_numpy(w)
    ours = {
        "sortes": lambda r: choice(w, DRAWS, rng=r, num_threads=1),
        "sortes alias": lambda r: choice(w, DRAWS, method="alias", rng=r, num_threads=1),
        "sortes blocks": lambda r: choice(w, DRAWS, method="blocks", rng=r, num_threads=1),
    }
    others = {
        "numpy": lambda _: rng.choice(n, DRAWS, p=p),
        "torch": lambda _: torch.multinomial(tensor, DRAWS, replacement=True),
    }
    if n > TORCH_LIMIT:
        others["torch"] = f"it refuses more than {TORCH_LIMIT:,} categories"
    for draw in (*ours.values(), *others.values()):
        if callable(draw):
            check_replacement(draw, w)
    turns(
        benchmark,
        "Weighted draws with replacement, all included",
        {"draws": DRAWS, "items": n},
        ours,
        others,
        floor_bytes=w.nbytes,
        seconds=1,
        least=3,
        most=50,
    )


@pytest.mark.parametrize("n", SIZES[:2])
def test_from_a_table(benchmark, n):
    w = weights_of(n)
    rng = np.random.default_rng(0)
    plain = plain_alias(w)
    narrow, wide = (AliasTable(w, precision=precision) for precision in ("narrow", "wide"))
    sums = np.cumsum(w)
    ours = {
        "sortes narrow": lambda r: narrow.sample(DRAWS, rng=r, num_threads=1),
        "sortes wide": lambda r: wide.sample(DRAWS, rng=r, num_threads=1),
    }
    others = {
        "plain alias": lambda _: alias_draws(plain, rng),
        "numpy search": lambda _: np.searchsorted(sums, rng.random(DRAWS) * sums[-1], "right"),
    }
    for draw in (*ours.values(), *others.values()):
        check_replacement(draw, w)
    turns(
        benchmark,
        "Weighted draws from a table that exists",
        {"draws": DRAWS, "items": n},
        ours,
        others,
        floor_bytes=w.nbytes,
        most=50,
    )


def test_without_replacement(benchmark):
    n, k = 10**7, 10_000
    w = weights_of(n)
    p, rng, tensor = w / w.sum(), np.random.default_rng(0), torch.from_numpy(w)

    def reservoir(r):
        sample = Reservoir(k, rng=r)
        sample.update(w, num_threads=1)
        return sample.sample()

    ours = {
        "sortes": lambda r: choice(w, k, replace=False, rng=r, num_threads=1),
        "sortes reservoir": reservoir,
    }
    others = {
        "numpy": lambda _: rng.choice(n, k, replace=False, p=p),
        "torch": lambda _: torch.multinomial(tensor, k),
    }
    means = [w[np.asarray(draw(0))].mean() for draw in (*ours.values(), *others.values())]
    np.testing.assert_allclose(means, means[0], rtol=0.1)
    turns(
        benchmark,
        "Weighted draws without replacement",
        {"draws": k, "items": n},
        ours,
        others,
        floor_bytes=w.nbytes,
        seconds=2,
        most=50,
    )
