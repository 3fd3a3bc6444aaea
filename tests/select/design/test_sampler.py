"""`PivotalSampler`: parts, mergers, the state, and use from several threads and processes."""

import copy
import os
import pickle
import threading
import time

import numpy as np
import pytest
from sortes import Stream
from sortes.select import BottomK, PivotalSampler, pivotal_sample
from test_fork import exit_status_of_a_fork

PI = np.random.default_rng(0).random(1000)


def same(a, b):
    return np.array_equal(a.indices, b.indices) and np.array_equal(a.weights, b.weights)


def test_update_and_merge_change_the_part_and_return_it():
    a, b = PivotalSampler(rng=0), PivotalSampler(first=400, rng=0)
    assert a.update(PI[:400]) is a
    b.update(PI[400:])
    before = b.to_bytes()
    assert a.merge(b) is a
    assert repr(a) == "<PivotalSampler of 1000 units>"
    assert b.to_bytes() == before
    assert a.update([1.0], [-7]).finish().indices[0] == -7


@pytest.mark.parametrize("cut", [0, 1, 200, 256, 257, 999, 1000])
def test_a_stream_in_chunks_is_the_whole(cut):
    part = PivotalSampler(rng=2).update(PI[:cut])
    chunked = pickle.loads(pickle.dumps(part)).update(PI[cut:]).finish()
    assert same(chunked, pivotal_sample(PI, rng=2))


def test_ids_and_weights_of_a_stream():
    pi, ids = np.array([0.25, 1.0, 0.75, 0.5, 0.5]), np.array([90, 7, 50, -3, 11])
    of = dict(zip(ids.tolist(), pi.tolist(), strict=True))
    for seed in range(20):
        a = PivotalSampler(rng=seed).update(pi[:3], ids[:3])
        b = PivotalSampler(first=3, rng=seed).update(pi[3:], ids[3:])
        sample = b.merge(a).finish()
        assert len(sample) == 3
        assert (np.diff(sample.indices) > 0).all()
        np.testing.assert_array_equal(sample.weights, [1 / of[i] for i in sample.indices.tolist()])


def test_overlapping_parts():
    a = PivotalSampler(rng=0).update([0.5] * 4)
    b = PivotalSampler(first=3, rng=0).update([0.5] * 4)
    before = a.to_bytes()
    with pytest.raises(ValueError, match=r"^other: positions \[0, 4\) and \[3, 7\) overlap"):
        a.merge(b)
    with pytest.raises(ValueError, match=r"^other: positions .* overlap"):
        a.merge(a)
    assert a.to_bytes() == before


def test_a_refused_update_changes_nothing():
    part = PivotalSampler(rng=0).update([0.5, 0.25])
    before = part.to_bytes()
    with pytest.raises(ValueError, match=r"^pi: item 40000 must be in"):
        part.update(np.append(np.full(40_000, 0.5), 2.0))

    def stop(done, total):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        part.update(np.full(20_000_000, 0.5), progress=stop)
    assert part.to_bytes() == before


def test_the_step_is_part_of_the_stream():
    def draw(**options):
        return PivotalSampler(**options).update(PI).finish().indices.tolist()

    assert draw(rng=Stream(7)) == draw(rng=Stream(7), step=0)
    assert draw(rng=Stream(7).advance(3)) == draw(rng=Stream(7), step=3)
    assert draw(rng=Stream(7), step=3) != draw(rng=Stream(7))


@pytest.mark.parametrize("way", [pickle, copy.copy, copy.deepcopy, PivotalSampler.copy])
def test_copies_go_their_own_way(way):
    part = PivotalSampler(first=5, rng=3).update(PI[:500])
    other = pickle.loads(pickle.dumps(part)) if way is pickle else way(part)
    assert type(other) is PivotalSampler
    assert other.to_bytes() == part.to_bytes()
    part.update(PI[500:])
    assert other.to_bytes() != part.to_bytes()
    assert same(other.update(PI[500:]).finish(), part.finish())


def test_bytes_are_checked():
    data = PivotalSampler(rng=0).update(PI).merge(PivotalSampler(first=2000).update([0.5]))
    data = data.to_bytes()
    assert PivotalSampler.from_bytes(memoryview(data)).to_bytes() == data
    assert PivotalSampler.from_bytes(bytearray(data)).to_bytes() == data
    for at in range(0, len(data), 7):
        broken = bytearray(data)
        broken[at] ^= 1
        for bad in (broken, data[:at], data + data[:at][:1]):
            if bytes(bad) != data:
                with pytest.raises(ValueError, match=r"^data: "):
                    PivotalSampler.from_bytes(bytes(bad))
    version = bytearray(data)
    version[7] += 1
    with pytest.raises(ValueError, match=r"^data: version 2 is unknown, expected 1"):
        PivotalSampler.from_bytes(version)


def test_bytes_of_other_objects_are_refused():
    with pytest.raises(ValueError, match=r"^data: corrupt: its kind"):
        PivotalSampler.from_bytes(BottomK(3, rng=0).to_bytes())


def test_the_bytes_do_not_change():
    """A state that was saved can be read for ever."""
    part = PivotalSampler(first=3, rng=Stream(7, 2)).update([0.5, 1.0, 0.25], [4, -5, 6])
    words = np.frombuffer(part.to_bytes(), "<u8")
    key, step, following, stretches, start, end = words[2:8].tolist()
    assert (key, step, following, stretches, start, end) == (7, 2, 6, 1, 3, 6)
    assert words[[8, 9]].view("<f8").tolist() == [1.75, 0.0]
    left, own = words[[10, 12]].view("<f8").tolist()
    assert (left, own) in ((0.75, 0.5), (0.75, 0.25))
    assert (words[13], words[14].view("<i8"), words[15].view("<f8")) == (1, -5, 1.0)
    assert words.size == 17


def test_a_progress_callback_may_look_at_the_part():
    part, seen = PivotalSampler(rng=0), []
    part.update(np.full(10_000_000, 0.5), progress=lambda *units: seen.append((units, repr(part))))
    assert seen[-1] == ((10**7, 10**7), "<PivotalSampler of 10000000 units>")


def test_parts_that_merge_into_each_other_at_once():
    """Neither waits for the other for ever; one of the mergers finds that they overlap."""
    for _ in range(50):
        a = PivotalSampler(rng=0).update(PI)
        b = PivotalSampler(first=1000, rng=0).update(PI)
        refused = []

        def merge(one, other, refused=refused):
            try:
                one.merge(other)
            except ValueError as error:
                refused.append(str(error))

        threads = [threading.Thread(target=merge, args=pair) for pair in ((a, b), (b, a))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert all("overlap" in text for text in refused)
        assert len(refused) < 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_does_not_wait_for_what_its_parent_was_doing():
    part = PivotalSampler(rng=0)
    busy = threading.Thread(target=part.update, args=(np.full(20_000_000, 0.3),))
    busy.start()
    time.sleep(0.05)

    def looks():
        try:
            return repr(part) == "<PivotalSampler of 20000000 units>"
        except RuntimeError as error:
            return "was being changed by another thread when the process forked" in str(error)

    assert exit_status_of_a_fork(looks) == 0
    busy.join()
    assert repr(part) == "<PivotalSampler of 20000000 units>"
