"""Philox, the counter layout, the distributions, and what counts as a seed."""

import pickle

import numpy as np
import pytest
import sortes
import sortes.select
import sortes.sequences
from lawlib import ALPHA, assert_cdf, assert_law
from scipy import stats
from sortes import _core, _philox
from sortes._core import _testing
from sortes._rng import Rng, as_stream, as_streams, refuse_randomness

N = 10**6


def as_key(rng):
    return as_stream(rng).key


def philox(key, counter):
    """Philox4x32-10 in plain Python, from the paper's definition."""
    k, c = list(key), list(counter)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        low = 2**32 - 1
        c = [b >> 32 ^ c[1] ^ k[0], b & low, a >> 32 ^ c[3] ^ k[1], a & low]
        k = [(k[0] + 0x9E3779B9) & low, (k[1] + 0xBB67AE85) & low]
    return c


@pytest.mark.parametrize("key", [0, 1, 0x0123456789ABCDEF, 2**64 - 1])
@pytest.mark.parametrize("row", [0, 3, 0xBEEF12345678])
def test_the_counter_layout(key, row):
    purpose, step = 4, 9
    expected = []
    for block in range(3):
        counter = (block, step, row & 0xFFFFFFFF, purpose << 16 | row >> 32)
        words = philox((key & 0xFFFFFFFF, key >> 32), counter)
        expected += [words[1] << 32 | words[0], words[3] << 32 | words[2]]
    uniforms = sortes.Stream(key, step).uniforms(6, row)
    assert uniforms.tolist() == [(bits >> 11) * 2.0**-53 for bits in expected]


# 10^6 draws see a deviation of 0.0034 in any value of the distribution function (KS), and of
# 0.8 % in the mass of a percentile bin (chi-square), at level 1e-6 with power above one half.
@pytest.mark.law
@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("uniform", stats.uniform()),
        ("open_uniform", stats.uniform()),
        ("precise_uniform", stats.uniform()),
        ("exponential", stats.expon()),
        ("normal", stats.norm()),
    ],
)
def test_laws(name, law):
    draws = _testing.draws(name, as_key(20261124), N)
    assert_cdf(draws, law.cdf)


@pytest.mark.law
def test_integers_below():
    draws = _testing.draws("below_1000", as_key(20261124), N).astype(int)
    assert_law(np.bincount(draws, minlength=1000), np.full(1000, 1e-3))


@pytest.mark.law
def test_precise_uniforms_fill_the_binades():
    draws = _testing.draws("precise_uniform", as_key(1), N)
    mantissa, exponent = np.frexp(draws)
    deep = 12  # the deepest binades are pooled: 244 draws are expected beyond the twelfth
    counts = np.bincount(np.minimum(-exponent, deep), minlength=deep + 1)
    p = 0.5 ** np.append(np.arange(1, deep + 1), deep)  # of the exponents 0, -1, ...
    assert_law(counts, p, alpha=ALPHA / 2)
    # Wherever they lie, their mantissas are uniform.
    small = mantissa[exponent < -4]
    assert_cdf(2 * small - 1, stats.uniform.cdf, alpha=ALPHA / 2)


# 100,000 pairs over 100 cells, twice.
@pytest.mark.law
@pytest.mark.parametrize("neighbour", ["row", "step", "key", "child", "draw"])
def test_neighbouring_streams_are_independent(neighbour):
    n = 200_000
    stream = sortes.Stream(as_key(5))
    if neighbour == "row":
        u = np.array([stream.uniforms(1, row)[0] for row in range(n + 1)])
    elif neighbour == "step":
        u = np.array([stream.advance(step).uniforms(1)[0] for step in range(n + 1)])
    elif neighbour == "key":
        u = np.array([sortes.Stream(key).uniforms(1)[0] for key in range(n + 1)])
    elif neighbour == "child":
        u = np.array([child.uniforms(1)[0] for child in stream.split(n + 1)])
    else:
        u = stream.uniforms(n + 1)
    # The chi-square law needs disjoint pairs: one test for each of the two ways to pair up.
    for phase in (0, 1):
        first, second = u[phase:-1:2], u[phase + 1 :: 2]
        m = min(len(first), len(second))
        cells = 10 * (10 * first[:m]).astype(int) + (10 * second[:m]).astype(int)
        assert_law(np.bincount(cells, minlength=100), np.full(100, 0.01), alpha=ALPHA / 2)


def test_stream_values():
    stream = sortes.Stream(7)
    assert (stream.key, stream.step) == (7, 0)
    assert stream.advance() == sortes.Stream(7, 1) == sortes.Stream(key=7, step=1)
    assert stream.advance(5).advance(3) == stream.advance(8)
    assert stream != sortes.Stream(8)
    assert stream != 7
    assert len({stream, sortes.Stream(7), stream.advance()}) == 2
    assert repr(stream.advance(2)) == "Stream(key=0x0000000000000007, step=2)"
    np.testing.assert_array_equal(stream.uniforms(10)[:4], stream.uniforms(4))
    assert stream.uniforms(0).shape == (0,)
    assert stream.uniforms(1, row=1) != stream.uniforms(1)
    with pytest.raises(AttributeError):
        stream.key = 3


def test_streams_pickle():
    stream = sortes.Stream(2**64 - 1, 2**32 - 1)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(stream, protocol)) == stream


def test_children_differ_from_each_other_and_between_steps():
    stream = sortes.Stream(7)
    children = stream.split(100) + stream.advance().split(100)
    assert len({child.key for child in [stream, *children]}) == 201
    assert stream.split(3) == stream.split(100)[:3]
    assert stream.split(0) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: sortes.Stream(-1), r"key: must be in \[0, 2\*\*64\), got -1"),
        (
            lambda s: sortes.Stream(2**64),
            r"key: must be in \[0, 2\*\*64\), got 18446744073709551616",
        ),
        (lambda s: sortes.Stream(0, 2**32), r"step: must be in \[0, 2\*\*32\), got 4294967296"),
        (lambda s: s.advance(-1), r"step: must be in \[0, 2\*\*32\), got -1"),
        (lambda s: s.advance(2**32 - 5).advance(5), r"step: must be in \[0, 5\), got 5"),
        (lambda s: s.uniforms(10**9999), r"n: must be in \[0, 2\*\*32\), got <class 'int'>"),
        (lambda s: s.split(-1), r"n: must be in \[0, 2\*\*32\), got -1"),
        (lambda s: s.uniforms(-1), r"n: must be in \[0, 2\*\*32\), got -1"),
        (lambda s: s.uniforms(1, 2**48), r"row: must be in \[0, 2\*\*48\), got 281474976710656"),
    ],
)
def test_stream_arguments(call, message):
    with pytest.raises(ValueError, match=r"^" + message):
        call(sortes.Stream(0))


@pytest.mark.parametrize("bad", [True, np.True_, 1.5, "1", None])
@pytest.mark.parametrize("name", ["key", "step", "n", "row"])
def test_arguments_of_a_stream_are_integers(name, bad):
    call = sortes.Stream(0).uniforms if name in ("n", "row") else sortes.Stream
    given = {"n": 1} if call != sortes.Stream else {"key": 1}
    with pytest.raises(TypeError, match=rf"^{name}: must be an integer, got {bad!r}"):
        call(**{**given, name: bad})
    call(**{**given, name: np.int64(3)})


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**100])
def test_seeds_are_hashed_as_numpy_does(seed):
    expected = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
    assert as_key(seed) == as_key(np.random.SeedSequence(seed)) == expected
    assert as_key(seed) == expected


def test_what_counts_as_a_seed():
    assert as_key(None) != as_key(None)
    assert as_key(np.int64(3)) == as_key(3)
    assert as_key([1, 2]) == as_key((1, 2)) == as_key(np.array([1, 2])) != as_key([2, 1])
    child = np.random.SeedSequence(0).spawn(1)[0]
    assert as_key(child) == as_key(child) != as_key(0)
    assert as_key(sortes.Stream(5, 3)) == 5


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_numpy_generators_advance(make):
    rng, again = make(3), make(3)
    keys = [as_key(rng) for _ in range(100)]
    assert len(set(keys)) == 100
    assert all(0 <= key < 2**64 for key in keys)
    assert max(keys) > 2**63
    assert keys == [as_key(again) for _ in range(100)]


def test_torch_generators_advance(torch):
    rng, again = (torch.Generator().manual_seed(3) for _ in range(2))
    keys = [as_key(rng) for _ in range(100)]
    assert len(set(keys)) == 100
    assert min(keys) >= 0
    assert 2**63 < max(keys) < 2**64
    assert keys == [as_key(again) for _ in range(100)]


@pytest.mark.cuda
def test_torch_generators_of_a_gpu(torch):
    rng, again = (torch.Generator("cuda").manual_seed(3) for _ in range(2))
    assert as_key(rng) == as_key(again) != as_key(rng)


def test_streams_of_rows():
    streams = sortes.Stream(1).split(3)
    assert as_streams(streams, 3) == as_streams(tuple(streams), 3) == streams
    assert as_streams(streams, 3, 2) == [stream.advance(2) for stream in streams]
    assert as_streams(5, 3) == as_stream(5)
    assert as_streams([1, 2], 3) == as_stream([1, 2])
    assert as_streams(streams[0], 0, 4) == streams[0].advance(4)


def test_steps_of_streams_add_to_the_step_of_the_call():
    stream = sortes.Stream(1, 4)
    assert as_stream(None, 3).step == as_stream(0, np.int64(3)).step == 3
    assert as_stream(stream) is stream
    assert as_stream(stream, 3) == stream.advance(3)
    assert as_streams([stream, stream.advance(0)], 2, 3) == [stream.advance(3)] * 2
    with pytest.raises(ValueError, match=r"^step: must be in \[0, 4294967292\), got 4294967292"):
        as_stream(stream, 2**32 - 4)
    assert as_streams([stream, stream.advance()], 2, 1) == [stream.advance(1), stream.advance(2)]


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (-1, ValueError, r"step: must be in \[0, 2\*\*32\), got -1"),
        (2**32, ValueError, r"step: must be in \[0, 2\*\*32\), got 4294967296"),
        (2**100, ValueError, r"step: must be in \[0, 2\*\*32\), got 1267"),
        (1.0, TypeError, r"step: must be an integer, got 1\.0"),
        (True, TypeError, "step: must be an integer, got True"),
        (None, TypeError, "step: must be an integer, got None"),
    ],
)
def test_bad_steps(step, error, message):
    generator, again = np.random.default_rng(0), np.random.default_rng(0)
    for rng in (0, None, sortes.Stream(1), generator, [sortes.Stream(1)]):
        with pytest.raises(error, match=r"^" + message):
            as_streams(rng, 1, step)
    # A refused call has drawn nothing.
    assert as_stream(generator) == as_stream(again)


def test_the_name_of_the_argument_is_the_callers():
    with pytest.raises(TypeError, match=r"^random_state: must be None, an int, .*, got 2\.5"):
        as_stream(2.5, name="random_state")
    with pytest.raises(ValueError, match=r"^generator: must be non-negative, got -1"):
        as_streams(-1, 2, name="generator")
    with pytest.raises(ValueError, match=r"^rng: must be non-negative, got -1"):
        as_stream(-1)


def test_one_stream_is_not_a_list():
    with pytest.raises(TypeError, match=r"^rng: must be one stream, got a list of 2"):
        as_stream(sortes.Stream(0).split(2))


def test_the_alias_is_public():
    assert sortes.Rng is Rng
    assert sortes.Stream in Rng.__args__


@pytest.mark.parametrize(
    ("rng", "error", "message"),
    [
        (-1, ValueError, "rng: must be non-negative, got -1"),
        ([1, -2], ValueError, "rng: must be non-negative, got -2"),
        (1.0, TypeError, "rng: must be None, an int, .*, got 1.0"),
        ("7", TypeError, "rng: must be None, an int, .*, got '7'"),
        ([1.5], TypeError, "rng: must be None, an int, .*, got \\[1.5\\]"),
        (True, TypeError, "rng: must be None, an int, .*, got True"),
        (np.ones((2, 2), int), TypeError, "rng: must be None, an int, .*, got array"),
        (object(), TypeError, "rng: must be None, an int, .*, got <object"),
    ],
)
def test_what_is_no_seed(rng, error, message):
    with pytest.raises(error, match=r"^" + message):
        as_stream(rng)


@pytest.mark.parametrize(
    ("rng", "step", "error", "message"),
    [
        (0, 0, ValueError, "rng: must not be given with x$"),
        (0, 1, ValueError, "rng: must not be given with x$"),
        (np.random.SeedSequence(0), 0, ValueError, "rng: must not be given with x$"),
        (sortes.Stream(0), 0, ValueError, "rng: must not be given with x$"),
        ([sortes.Stream(0)], 0, ValueError, "rng: must not be given with x$"),
        (None, 1, ValueError, "step: must not be given with x$"),
        (None, -1, ValueError, r"step: must be in \[0, 2\*\*32\), got -1"),
        (0, 1.5, TypeError, "step: must be an integer, got 1.5"),
        (-1, 0, ValueError, "rng: must be non-negative, got -1"),
        ("x", 0, TypeError, "rng: must be None, an int, .*, got 'x'"),
        ([sortes.Stream(0), 1], 0, TypeError, "rng: item 1 is not a sortes.Stream"),
    ],
)
def test_no_randomness_where_nothing_is_drawn(rng, step, error, message):
    refuse_randomness(None, 0, "x")
    with pytest.raises(error, match=rf"^{message}"):
        refuse_randomness(rng, step, "x")


#: Calls that draw nothing.
FIXED = {
    "systematic_sample": lambda **o: sortes.select.systematic_sample([0.5, 0.5], u=0.2, **o),
    "stochastic_acquisition": lambda **o: sortes.select.stochastic_acquisition(
        [1, 2], 1, noise=[0, 0], **o
    ),
    "gumbel_topk": lambda **o: sortes.sequences.gumbel_topk([1.0, 2.0], 1, noise=[0, 0], **o),
    "conditional_gumbel": lambda **o: sortes.sequences.conditional_gumbel(
        [1, 2], 0.0, noise=[0, 0], **o
    ),
    "SequenceSearch": lambda **o: sortes.sequences.SequenceSearch(
        lambda prefixes: np.zeros((len(prefixes), 2)), 1, 1, priority="token", **o
    ),
}


@pytest.mark.parametrize("name", FIXED)
def test_refused_randomness_is_not_used_up(name, torch):
    FIXED[name]()
    for make in (np.random.default_rng, np.random.RandomState, torch.Generator().manual_seed):
        generator = make(3)
        for step in (0, 1):
            with pytest.raises(ValueError, match=r"^rng: must not be given with .* which "):
                FIXED[name](rng=generator, step=step)
        after = as_key(generator)
        assert after == as_key(make(3))
    with pytest.raises(ValueError, match=r"^step: must not be given with .* which "):
        FIXED[name](step=1)


def test_lists_of_streams_must_fit():
    stream = sortes.Stream(0)
    with pytest.raises(ValueError, match=r"^rng: must hold one stream for each of 3 rows, got 2"):
        as_streams([stream, stream], 3)
    with pytest.raises(TypeError, match=r"^rng: item 1 is not a sortes\.Stream"):
        as_streams([stream, 4], 2)


class TestNormals:
    """Those of `_philox` are those of the native module, to the bit."""

    N = 100_001

    @pytest.mark.parametrize("key", [0, 7, 2**63 + 12345, 2**64 - 1])
    @pytest.mark.parametrize("count", [0, 1, 2, 7, N])
    def test_bits(self, key, count):
        drawn = self.normals(key, np.arange(1), 0, count)
        assert drawn.dtype == np.float64
        assert drawn.shape == (1, count)
        np.testing.assert_array_equal(drawn[0], _testing.draws("normal", key, count))

    @pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
    def test_tensors(self, torch, device):
        entities = torch.tensor([0, 3, 2**40 + 5], device=device)
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            drawn = self.normals(7, entities, 9, 5001)
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
        assert drawn.dtype == torch.float64
        assert drawn.device == entities.device
        expected = self.normals(7, entities.cpu().numpy(), 9, 5001)
        np.testing.assert_array_equal(drawn.cpu().numpy(), expected)

    def test_entities_steps_and_keys_are_those_of_the_streams(self):
        entities = np.array([0, 3, 2**40 + 5])
        drawn = self.normals(7, entities, 9, 3)
        uniforms = [sortes.Stream(7, 9).uniforms(3, int(row)) for row in entities]
        # 53-bit uniforms and the 52-bit ones that are inverted share their leading bits.
        np.testing.assert_allclose(stats.norm.cdf(drawn), uniforms, rtol=0, atol=1e-15)
        own = _philox.normals(
            (np.array([7, 1, 7]), np.array([0, 2, 0])), entities, 9, _core.PURPOSES["uniform"], 3
        )
        np.testing.assert_array_equal(own[::2], drawn[::2])
        np.testing.assert_array_equal(own[1], self.normals(2 << 32 | 1, entities, 9, 3)[1])

    def normals(self, key, entities, step, count):
        halves = key & 2**32 - 1, key >> 32
        return _philox.normals(halves, entities, step, _core.PURPOSES["uniform"], count)
