"""RS2: what epochs hold, how they begin again, and the permutations below them."""

import json
import pickle
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lawlib import assert_law
from sortes import _core
from sortes.select import RS2Sampler
from vectors import load

WINDOWS = load("select/weighted.json")["rs2_windows"]


def permutation(n, key=0, number=0):
    return _core.select.rs2.permutation(n, _core.Stream(key), number, 0, n)


@pytest.mark.parametrize("case", WINDOWS, ids=lambda c: f"{c['keep']} of {c['n']}")
def test_windows_of_the_line(case):
    n, keep, epochs = case["n"], case["keep"], case["epochs"]
    sampler = RS2Sampler(n, keep, wrap="raw", rng=_core.Stream(9))
    last = case["windows"][-1][1]
    line = np.concatenate([permutation(n, 9, p) for p in range(-(-last // n))])
    for epoch, (start, stop) in zip(range(epochs), case["windows"], strict=True):
        np.testing.assert_array_equal(sampler.indices(epoch), line[start:stop])


@given(st.integers(1, 60), st.data())
def test_items_are_used_equally(n, data):
    keep = data.draw(st.integers(1, n))
    sampler = RS2Sampler(n, keep, rng=data.draw(st.integers(0, 3)))
    counts = np.zeros(n, int)
    for epoch in range(1, 3 * n // keep + 4):
        items = list(sampler)
        assert len(items) == len(set(items)) == len(sampler) == keep
        np.add.at(counts, items, 1)
        assert np.ptp(counts) <= (epoch * keep % n != 0)


@given(st.integers(1, 60), st.data())
def test_short_epochs_end_with_the_permutation(n, data):
    keep = data.draw(st.integers(1, n))
    sampler = RS2Sampler(n, keep, wrap="drop", rng=0)
    for _ in range(2):
        items = []
        while len(items) < n:
            announced = len(sampler)
            epoch = list(sampler)
            assert 1 <= len(epoch) <= keep
            assert len(epoch) == announced
            items += epoch
        assert sorted(items) == list(range(n))


@pytest.mark.parametrize(("n", "keep"), [(10_000, 3_001), (10_000, 7_001), (5000, 2500)])
def test_longer_lines(n, keep):
    sampler = RS2Sampler(n, keep, rng=1)
    counts = np.zeros(n, int)
    for epoch in range(12):
        np.add.at(counts, sampler.indices(epoch), 1)
        assert np.ptp(counts) <= 1
        assert counts.sum() == keep * (epoch + 1)


def test_what_has_been_seen_waits_for_the_next_epoch():
    n, keep = 10, 4
    sampler = RS2Sampler(n, keep, rng=_core.Stream(3))
    first, second = permutation(n, 3, 0), permutation(n, 3, 1)
    seen = first[8:]
    ahead = [i for i in second if i not in seen][:2]
    np.testing.assert_array_equal(sampler.indices(2), [*seen, *ahead])
    waiting = [i for i in second[: list(second).index(ahead[-1])] if i in seen]
    later = [i for i in second if i not in ahead and i not in waiting]
    np.testing.assert_array_equal(sampler.indices(3), [*waiting, *later][:4])


def test_fresh_subsets():
    sampler = RS2Sampler(1000, 0.2, replacement=True, rng=0)
    assert sampler.keep == 200
    used, epochs = set(), 10
    for _ in range(epochs):
        items = list(sampler)
        assert len(set(items)) == 200
        used |= set(items)
    expected = 1000 * (1 - 0.8**epochs)
    assert abs(len(used) - expected) < 5 * np.sqrt(1000 * 0.8**epochs)


@pytest.mark.law
@pytest.mark.parametrize(("n", "draws"), [(4, 100_000), (5, 100_000)])
def test_all_orders_are_equally_likely(n, draws):
    """The joint law of all n! orders, half of the draws over keys and half over numbers.

    Seen red: a shuffle that draws each place from all of them.
    """
    names = {order: i for i, order in enumerate(permutations(range(n)))}
    for orders in (
        (permutation(n, key, 0) for key in range(draws // 2)),
        (permutation(n, 5, number) for number in range(draws // 2)),
    ):
        counts = np.bincount([names[tuple(o.tolist())] for o in orders], minlength=len(names))
        assert_law(counts, np.full(len(names), 1 / len(names)))


@pytest.mark.law
@pytest.mark.parametrize("n", [4097, 5000, 8191, 8192, 100_000])
def test_networks_look_random(n):
    """Over 40,000 keys: the first item in 40 cells, pairs of places in 8 x 8 cells, and which of
    two neighbouring items comes first (the last from 400 whole permutations).

    Seen red: two rounds in place of eight.
    """
    keys = range(40_000)
    first = _core.select.rs2.permutation
    head = np.array([first(n, _core.Stream(key), 0, 0, 3) for key in keys])
    cells = head[:, 0] * 40 // n
    sizes = np.bincount(np.arange(n) * 40 // n, minlength=40)
    assert_law(np.bincount(cells, minlength=40), sizes / n)
    sizes = np.bincount(np.arange(n) * 8 // n, minlength=8)
    inside = np.outer(sizes, sizes) - np.diag(sizes)  # two places never hold one item
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        pairs = head[:, a] * 8 // n * 8 + head[:, b] * 8 // n
        assert_law(np.bincount(pairs, minlength=64), inside.ravel() / inside.sum())
    ahead = 0
    for number in range(400):
        place = np.empty(n, np.int64)
        place[permutation(n, 77, number)] = np.arange(n)
        even = n // 2 * 2
        ahead += int((place[0:even:2] < place[1:even:2]).sum())
    total = 400 * (n // 2)
    assert abs(ahead - total / 2) < 4.892 * np.sqrt(total / 4)


@pytest.mark.law
@pytest.mark.parametrize("keep", [2, 3, 4])
def test_subsets_are_equally_likely(keep):
    """Epoch 3 of subsets of 5, over 20,000 keys: all subsets, all first items."""
    n = 5
    got = np.array(
        [
            np.sort(_core.select.rs2.rs2_epoch(n, keep, "distinct", _core.Stream(key), 3, None))
            for key in range(20_000)
        ]
    )
    _, counts = np.unique(got, axis=0, return_counts=True)
    assert_law(counts, np.full(counts.size, 1 / counts.size))
    assert counts.size == {2: 10, 3: 10, 4: 5}[keep]


@pytest.mark.parametrize(
    ("replacement", "wrap"),
    [(False, "distinct"), (False, "drop"), (False, "raw"), (True, "distinct")],
)
def test_resuming_is_going_on(wrap, replacement):
    def fresh():
        return RS2Sampler(50, 12, replacement=replacement, wrap=wrap, rng=8)

    straight = fresh()
    line = [item for _ in range(9) for item in straight]
    for stop in (0, 1, 11, 12, 13, 40, 97):
        sampler, head = fresh(), []
        while len(head) < stop:
            for item in sampler:
                head.append(item)
                if len(head) == stop:
                    break
        state = json.loads(json.dumps(sampler.state_dict()))
        resumed = RS2Sampler(50, 12, replacement=replacement, wrap=wrap, rng=99)
        resumed.load_state_dict(state)
        tail = []
        while resumed.epoch < 9:
            tail += list(resumed)
        assert head + tail == line, stop
        again = pickle.loads(pickle.dumps(sampler))
        assert again.state_dict() == sampler.state_dict()


def test_an_abandoned_epoch_begins_again():
    sampler = RS2Sampler(20, 5, rng=0)
    whole = sampler.indices().tolist()
    next(iter(sampler))
    assert list(sampler) == whole
    assert sampler.epoch == 1
    sampler.set_epoch(0)
    assert list(sampler) == whole
    # A trainer that announces the epoch in which it resumes does not lose the position.
    sampler.load_state_dict(sampler.state_dict() | {"epoch": 4, "position": 3})
    sampler.set_epoch(4)
    assert list(sampler) == sampler.indices(4).tolist()[3:]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [1, 2, 3, 7, 12])
def test_ranks_share_an_epoch(world_size, drop_last):
    ranks = [
        RS2Sampler(40, 10, rng=2, rank=rank, world_size=world_size, drop_last=drop_last)
        for rank in range(world_size)
    ]
    for epoch in range(3):
        everything = ranks[0].indices(epoch).tolist()
        shares = [list(sampler) for sampler in ranks]
        assert {len(share) for share in shares} == {len(sampler) for sampler in ranks}
        merged = [item for turn in zip(*shares, strict=True) for item in turn]
        if drop_last:
            assert merged == everything[: 10 // world_size * world_size]
        else:
            assert merged[:10] == everything
            assert merged[10:] == everything[: len(merged) - 10]


def test_an_iterator_that_is_never_read_leaves_the_position():
    """Loaders make one to look at, or make two, when they resume."""
    whole = list(RS2Sampler(40, 24, rng=3))
    first, second = RS2Sampler(40, 24, rng=3), RS2Sampler(40, 24, rng=3)
    items = iter(first)
    head = [next(items) for _ in range(10)]
    second.load_state_dict(first.state_dict())
    iter(second)
    unread = iter(second)
    assert second.state_dict() == first.state_dict()
    assert head + list(second) == whole
    assert second.epoch == 1
    # One that was read, and then broken off, begins again.
    second.load_state_dict(first.state_dict())
    next(iter(second))
    assert list(second) == whole
    del unread


def test_states_of_no_such_position_are_refused():
    for how in ({}, {"wrap": "drop"}, {"world_size": 3}, {"replacement": True}):
        sampler = RS2Sampler(10, 4, rng=0, **how)
        before = sampler.state_dict()
        for epoch in (0, 2):
            sampler.set_epoch(epoch)
            length = len(sampler)
            state = before | {"epoch": epoch}
            with pytest.raises(ValueError, match=rf"^state: position must be at most {length}, "):
                sampler.load_state_dict(state | {"position": length + 1})
            sampler.load_state_dict(state | {"position": length})
            assert list(sampler) == []
            assert sampler.epoch == epoch + 1


def test_states_of_an_older_version_are_refused():
    state = RS2Sampler(10, 4, rng=0).state_dict()
    assert state["version"] == 2
    del state["step"]
    sampler = RS2Sampler(10, 4, rng=0)
    with pytest.raises(ValueError, match=r"^state: version must be 2, got 1$"):
        sampler.load_state_dict(state | {"version": 1})
    with pytest.raises(TypeError, match=r"^state: must be a dict, got 5$"):
        sampler.load_state_dict(5)


def test_steps_are_samplers_of_their_own():
    stream = _core.Stream(7)
    for keep in (4, 7):
        for how in ({}, {"wrap": "drop"}, {"wrap": "raw"}, {"replacement": True}):
            epochs = [RS2Sampler(10, keep, rng=stream, step=s, **how).indices() for s in (0, 3)]
            assert not np.array_equal(*epochs)
            plain = RS2Sampler(10, keep, rng=stream, **how)
            advanced = RS2Sampler(10, keep, rng=stream.advance(3), **how)
            np.testing.assert_array_equal(epochs[0], plain.indices())
            np.testing.assert_array_equal(epochs[1], advanced.indices())
            resumed = RS2Sampler(10, keep, **how)
            resumed.load_state_dict(advanced.state_dict())
            np.testing.assert_array_equal(epochs[1], resumed.indices())


def test_a_state_serves_all_ranks():
    first = RS2Sampler(40, 12, rng=2, rank=0, world_size=3)
    items = iter(first)
    next(items)
    state = first.state_dict()
    third = RS2Sampler(40, 12, rng=0, rank=2, world_size=3)
    third.load_state_dict(state)
    assert list(third) == first.indices(0)[5::3].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_takes_it(torch, workers):
    data = torch.utils.data.TensorDataset(torch.arange(100))
    sampler = RS2Sampler(100, 0.3, rng=1)
    loader = torch.utils.data.DataLoader(data, batch_size=8, sampler=sampler, num_workers=workers)
    assert len(loader) == 4
    used = []
    for epoch in range(3):
        assert sampler.epoch == epoch
        items = torch.cat([batch for (batch,) in loader]).tolist()
        assert items == sampler.indices(epoch).tolist()
        used += items
    assert len(set(used)) == 90


@pytest.mark.filterwarnings("ignore")  # of its own making
def test_a_stateful_loader_resumes_it(torch):
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="needs torchdata")
    data = torch.utils.data.TensorDataset(torch.arange(100))

    def loader():
        sampler = RS2Sampler(100, 32, rng=1)
        return stateful.StatefulDataLoader(data, batch_size=8, sampler=sampler)

    straight = [batch.tolist() for (batch,) in loader()]
    first = loader()
    head = next(iter(first))[0].tolist()
    state = first.state_dict()
    second = loader()
    second.load_state_dict(state)
    assert [head, *([batch.tolist() for (batch,) in second])] == straight


def test_torch_is_not_imported():
    code = "import sys, sortes.select.rs2; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_far_epochs_and_long_lines():
    sampler = RS2Sampler(2**47 + 5, 3, rng=0)
    assert len(set(sampler.indices(10**12).tolist())) == 3
    assert len(set(RS2Sampler(10, 3, rng=0).indices(10**9).tolist())) == 3
    with pytest.raises(ValueError, match=r"^epoch: lies beyond the last permutation"):
        RS2Sampler(10, 3, rng=0).indices(2**62)


def test_what_does_not_fit_is_an_error():
    for keep, wrap in [(2**47, "raw"), (2**48 - 1, "distinct")]:
        with pytest.raises(MemoryError, match=r"^\d+ indices: needs \d+ bytes"):
            RS2Sampler(2**48 - 1, keep, wrap=wrap, rng=0).indices()


def test_refused_states_change_nothing():
    sampler = RS2Sampler(10, 5, rng=0)
    before = sampler.state_dict()
    for change in [
        {"key": -1},
        {"key": "a"},
        {"step": 2**32},
        {"step": None},
        {"position": -1},
        {"position": 6},
        {"epoch": 2**63},
        {"keep": None},
    ]:
        with pytest.raises(ValueError, match=rf"^state: {next(iter(change))}"):
            sampler.load_state_dict(before | {"key": 7, "epoch": 3} | change)
        assert sampler.state_dict() == before


def test_values_are_stable():
    assert RS2Sampler(10, 4, rng=0).indices(2).tolist() == [3, 6, 8, 4]
    assert RS2Sampler(1_000_000, 4, rng=0).indices(2).tolist() == [
        341_654,
        794_556,
        196_118,
        483_907,
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RS2Sampler(0, 1), r"^n: must be in \[1, 2\*\*48\), got 0$"),
        (lambda: RS2Sampler(2**48, 1), r"^n: must be in \[1, 2\*\*48\), got 281474976710656$"),
        (lambda: RS2Sampler(10, 0), r"^keep: must be at least 1, got 0$"),
        (lambda: RS2Sampler(10, 11), r"^keep: must be at most n = 10, got 11$"),
        (lambda: RS2Sampler(10, 5, wrap="x"), r"^wrap: must be 'distinct', 'drop' or 'raw', got"),
        (lambda: RS2Sampler(10, 5, rank=2, world_size=2), r"^rank: must be below world_size = 2"),
        (lambda: RS2Sampler(10, 5, world_size=0), r"^world_size: must be at least 1, got 0$"),
        (lambda: RS2Sampler(10, 5).set_epoch(-1), r"^epoch: must be at least 0, got -1$"),
        (
            lambda: RS2Sampler(10, 5).load_state_dict(RS2Sampler(10, 4).state_dict()),
            r"^state: keep must be 5, got 4$",
        ),
        (lambda: RS2Sampler(10, 5).load_state_dict({}), r"^state: version must be 2, got None$"),
        (
            lambda: RS2Sampler(10, 5).load_state_dict({"version": 1}),
            r"^state: version must be 2, got",
        ),
        (lambda: RS2Sampler(10, 5).load_state_dict({"version": 2}), r"^state: n must be 10, got"),
        (
            lambda: RS2Sampler(10, 5, replacement=True, wrap="raw"),
            r"^wrap: must be 'distinct' with replacement, got 'raw'$",
        ),
        (lambda: RS2Sampler(10, 5).indices(2**70), r"^epoch: must be below 2\*\*63, got"),
    ],
)
def test_bad_calls_are_explained(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"wrap": None}, r"^wrap: must be 'distinct', 'drop' or 'raw', got None$"),
        ({"replacement": 1}, r"^replacement: must be True or False, got 1$"),
        ({"drop_last": "no"}, r"^drop_last: must be True or False, got 'no'$"),
    ],
)
def test_wrong_types_are_explained(options, message):
    with pytest.raises(TypeError, match=message):
        RS2Sampler(10, 5, **options)


def test_fractions():
    assert RS2Sampler(7, 0.01, rng=0).keep == 1
    assert RS2Sampler(10, 0.35, rng=0).keep == 3
    assert RS2Sampler(10, 10.0, rng=0).keep == 10
    assert RS2Sampler(10, 1.0, rng=0).keep == 10
    assert RS2Sampler(10, 1, rng=0).keep == 1
    assert RS2Sampler(10, np.float32(0.5), rng=0).keep == 5
    for keep in (2.5, -0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=rf"^keep: must be an integer, or a fr.* got {keep}$"):
            RS2Sampler(10, keep)
