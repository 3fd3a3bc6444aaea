"""Weighted draws beside NumPy, Torch and a plain alias table; all of them take turns.

A million draws with replacement from 10^4, 10^6 and 3 10^7 exponential weights, tables and sums
included; the same from tables that exist; and 10,000 distinct items of 10^7. NumPy gets weights
that sum to one already, as it demands. Torch refuses more than 2^24 categories. ``floor`` is the
time of reading the weights once at the speed of a copy.
"""

import measure
import numpy as np
import pytest
import torch
from sortes.select.weighted import AliasTable, Reservoir, choice

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


def run(benchmark, name, turns, reads, budget, least=3):
    rounds = measure.rounds_within(turns, budget, least, 50)
    floor = measure.floor([torch.from_numpy(reads)])
    seconds = benchmark.pedantic(measure.alternate, (turns, rounds), rounds=1)
    benchmark.extra_info["weighted"] = {
        "case": name,
        "rounds": rounds,
        "floor": 1e3 * floor,
        "ms": measure.summary(seconds),
        "multiples": measure.multiples(seconds, "sortes"),
    }


@pytest.mark.benchmark(group="weighted: a million draws with replacement, all included")
@pytest.mark.parametrize("n", SIZES)
def test_with_replacement(benchmark, n):
    w = weights_of(n)
    p, rng = w / w.sum(), np.random.default_rng(0)
    turns = {
        "sortes": lambda r: choice(w, DRAWS, rng=r, num_threads=1),
        "sortes alias": lambda r: choice(w, DRAWS, method="alias", rng=r, num_threads=1),
        "sortes blocks": lambda r: choice(w, DRAWS, method="blocks", rng=r, num_threads=1),
        "numpy": lambda r: rng.choice(n, DRAWS, p=p),
    }
    if n <= TORCH_LIMIT:
        tensor = torch.from_numpy(w)
        turns["torch"] = lambda r: torch.multinomial(tensor, DRAWS, replacement=True)
    for draw in turns.values():
        check_replacement(draw, w)
    run(benchmark, f"{DRAWS} of {n}", turns, w, budget=10 if n > TORCH_LIMIT else 3)


@pytest.mark.benchmark(group="weighted: a million draws from a table that exists")
@pytest.mark.parametrize("n", SIZES[:2])
def test_from_a_table(benchmark, n):
    w = weights_of(n)
    rng = np.random.default_rng(0)
    plain, narrow, wide = plain_alias(w), AliasTable(w, "narrow"), AliasTable(w, "wide")
    turns = {
        "sortes": lambda r: narrow.sample(DRAWS, rng=r, num_threads=1),
        "sortes wide": lambda r: wide.sample(DRAWS, rng=r, num_threads=1),
        "plain alias": lambda r: alias_draws(plain, rng),
        "numpy search": lambda r: np.searchsorted(sums, rng.random(DRAWS) * sums[-1], "right"),
    }
    sums = np.cumsum(w)
    for draw in turns.values():
        check_replacement(draw, w)
    run(benchmark, f"table of {n}", turns, w, budget=3)


@pytest.mark.benchmark(group="weighted: 10,000 distinct items of ten million")
def test_without_replacement(benchmark):
    n, k = 10**7, 10_000
    w = weights_of(n)
    p, rng, tensor = w / w.sum(), np.random.default_rng(0), torch.from_numpy(w)

    def reservoir(r):
        sample = Reservoir(k, rng=r)
        sample.update(w, num_threads=1)
        return sample.sample()

    turns = {
        "sortes": lambda r: choice(w, k, replace=False, rng=r, num_threads=1),
        "sortes reservoir": reservoir,
        "numpy": lambda r: rng.choice(n, k, replace=False, p=p),
        "torch": lambda r: torch.multinomial(tensor, k),
    }
    means = [w[np.asarray(draw(0))].mean() for draw in turns.values()]
    np.testing.assert_allclose(means, means[0], rtol=0.1)
    run(benchmark, f"{k} of {n}", turns, w, budget=8)
