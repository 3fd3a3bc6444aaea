"""Penalties: vectors, definitions, peers, every backend, long calls, bad input."""

import inspect
from time import monotonic

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigint import ctrl_c_after
from sortes import _core, _device
from sortes.decode import penalize, penalties, sample
from vectors import load

RULES = ("repetition_penalty", "frequency_presence", "dry")
CASES = [
    case
    for case in load("decode/truncation.json")["cases"]
    if case["group"] == "transform" and case["rule"] in RULES
]

BACKENDS = [
    "numpy",
    "torch-cpu",
    "torch-ref",
    pytest.param("torch-cuda", marks=pytest.mark.cuda),
]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch):
    """Calls `penalize` on one kind of array and returns NumPy; `ids_too` moves the ids as well."""
    if request.param == "numpy":
        return lambda logits, ids, ids_too=False, **kw: penalize(np.asarray(logits), ids, **kw)
    torch = pytest.importorskip("torch")
    if request.param == "torch-ref":
        # The path of devices, on tensors that can be looked at.
        monkeypatch.setattr(_device, "PRETEND", True)
    device = "cuda" if request.param == "torch-cuda" else "cpu"

    def call(logits, ids, ids_too=False, **kw):
        logits = torch.tensor(np.asarray(logits), device=device)
        ids = torch.tensor(np.asarray(ids), device=device) if ids_too else ids
        result = penalize(logits, ids, **kw)
        assert result.dtype == logits.dtype
        assert result.device == logits.device
        assert result.shape == logits.shape
        return result.cpu().numpy()

    return call


def last(ids, n):
    return ids[-n:] if n > 0 else ids


def brute_force_dry(ids, multiplier, base, allowed, last_n, breakers):
    """The cost of each token, by walking back from every earlier position."""
    ids = last(ids, last_n)
    longest = {}
    for at in range(1, len(ids)):
        length = 0
        while (
            length < at
            and ids[at - 1 - length] == ids[-1 - length]
            and ids[-1 - length] not in breakers
        ):
            length += 1
        if length >= allowed and ids[at] not in breakers:
            longest[ids[at]] = max(length, longest.get(ids[at], 0))
    cap = np.floor(88.72283905 / np.log(base)) if base > 1 else np.inf
    return {
        token: multiplier * base ** min(length - allowed, cap) for token, length in longest.items()
    }


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors(case, dtype, backend):
    params = dict(case["params"])
    params["dry_sequence_breakers"] = params.pop("sequence_breakers", ())
    logits = np.array(case["logits"], dtype)
    got = backend(logits, case["input_ids"], **params)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, case["expect"]["logits"], rtol=2e-7, atol=2e-7)


def test_dry_agrees_with_brute_force_on_3000_random_sequences():
    rng = np.random.default_rng(0)
    vocabulary = 6
    for _ in range(3000):
        ids = rng.integers(0, int(rng.integers(1, 6)) + 1, rng.integers(0, 60)).tolist()
        multiplier, base = rng.uniform(0.1, 2), rng.choice([1.0, 1.2, 1.75, 3.0])
        allowed, last_n = int(rng.integers(1, 5)), int(rng.choice([0, 5, 20, 40]))
        breakers = rng.choice(vocabulary, rng.integers(0, 3), replace=False).tolist()
        want = np.zeros(vocabulary)
        costs = brute_force_dry(ids, multiplier, base, allowed, last_n, breakers)
        for token, cost in costs.items():
            want[token] = -cost
        got = penalize(
            np.zeros(vocabulary),
            ids,
            dry_multiplier=multiplier,
            dry_base=base,
            dry_allowed_length=allowed,
            dry_penalty_last_n=last_n,
            dry_sequence_breakers=breakers,
        )
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_dry_caps_the_exponent(backend):
    got = backend(np.zeros(3, np.float32), [1] * 400, dry_multiplier=0.5, dry_base=2.0)
    assert got[1] == np.float32(-0.5 * 2.0**127)
    assert (got[[0, 2]] == 0).all()


def test_dry_breakers_of_several_tokens(backend):
    ids = [5, 6, 1, 2, 3, 5, 6, 1, 2]
    common = {"dry_multiplier": 1.0, "dry_base": 2.0, "dry_allowed_length": 1}
    logits = np.zeros(7, np.float32)
    assert backend(logits, ids, **common)[3] == -8
    assert backend(logits, ids, dry_sequence_breakers=[[5, 6]], **common)[3] == -2
    assert backend(logits, ids, dry_sequence_breakers=[[4, 6], 0], **common)[3] == -8


@pytest.mark.parametrize("ids_too", [False, True])
def test_all_together_row_by_row(backend, ids_too):
    """A batch with its own parameters in each row is its rows, in the stated order of steps."""
    rng = np.random.default_rng(1)
    rows, vocabulary, length = 5, 12, 30
    logits = rng.normal(0, 3, (rows, vocabulary)).astype(np.float32)
    ids = rng.integers(0, vocabulary + 2, (rows, length))
    ids[3, :4] = 11
    per_row = {
        "repetition_penalty": np.array([1.0, 1.3, 0.8, 1.1, 2.0]),
        "frequency_penalty": np.array([0.0, 0.1, -0.2, 0.3, 0.0]),
        "presence_penalty": np.array([0.5, 0.0, 0.4, 0.0, 0.0]),
        "penalty_last_n": np.array([0, 10, 3, -1, 29]),
        "dry_multiplier": np.array([0.0, 0.8, 0.5, 1.0, 0.0]),
        "dry_allowed_length": np.array([1, 1, 2, 1, 2]),
        "dry_penalty_last_n": np.array([0, 20, -1, 15, 3]),
        "no_repeat_ngram_size": np.array([0, 2, 3, 0, 1]),
        "min_new_tokens": np.array([20, 21, 0, 26, 100]),
        "prompt_lengths": np.array([10, 10, 0, 5, 30]),
    }
    shared = {
        "logit_bias": {2: 1.5, 4: -np.inf},
        "bad_words_ids": [[3], [int(ids[0, -1]), 5]],
        "eos_token_id": [0, 1],
        "pad_token_id": 11,
        "dry_sequence_breakers": [7],
    }
    got = backend(logits, ids, ids_too, **per_row, **shared)
    for r in range(rows):
        alone = {name: values[r].item() for name, values in per_row.items()}
        np.testing.assert_array_equal(got[r], penalize(logits[r], ids[r], **alone, **shared))

        history, prompt, row = ids[r].tolist(), alone["prompt_lengths"], logits[r].astype(float)
        padding = 0
        while history[padding] == 11:
            padding += 1
        history, prompt = history[padding:], max(prompt - padding, 0)
        row[2], row[4] = row[2] + 1.5, -np.inf
        for token in {t for t in last(history, alone["penalty_last_n"]) if t < vocabulary}:
            r_ = alone["repetition_penalty"]
            row[token] = row[token] * r_ if row[token] < 0 else row[token] / r_
        counted = last(history[prompt:], alone["penalty_last_n"])
        for token in {t for t in counted if t < vocabulary}:
            row[token] -= alone["frequency_penalty"] * counted.count(token)
            row[token] -= alone["presence_penalty"]
        costs = brute_force_dry(
            history,
            alone["dry_multiplier"],
            1.75,
            alone["dry_allowed_length"],
            alone["dry_penalty_last_n"],
            [7],
        )
        for token, cost in costs.items():
            if token < vocabulary:
                row[token] -= cost
        n = alone["no_repeat_ngram_size"]
        for at in range(len(history) - n + 1) if n else ():
            gram = history[at : at + n]
            if gram[:-1] == history[len(history) - n + 1 :] and gram[-1] < vocabulary:
                row[gram[-1]] = -np.inf
        row[3] = -np.inf
        if history[-1] == ids[0, -1]:
            row[5] = -np.inf
        if len(history) - prompt < alone["min_new_tokens"]:
            row[[0, 1]] = -np.inf
        np.testing.assert_allclose(got[r], row, rtol=2e-6, atol=2e-6)


@given(
    ids=st.lists(st.integers(-2, 9), max_size=25),
    prompt=st.integers(0, 25),
    window=st.integers(-1, 12),
    n=st.integers(0, 4),
)
def test_the_device_path_agrees_with_the_kernels(ids, prompt, window, n):
    torch = pytest.importorskip("torch")
    logits = np.linspace(-3, 3, 7).astype(np.float32)
    arguments = {
        "prompt_lengths": min(prompt, len(ids)),
        "repetition_penalty": 1.25,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.25,
        "penalty_last_n": window,
        "dry_multiplier": 0.75,
        "no_repeat_ngram_size": n,
    }
    want = penalize(logits, ids, **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_device, "PRETEND", True)
        got = penalize(torch.from_numpy(logits), ids, **arguments)
    np.testing.assert_array_equal(got.numpy(), want)


def test_padding_is_no_history(backend):
    logits = np.ones((3, 6), np.float32)
    ids = np.array([[5, 5, 1, 5, 2], [5, 1, 1, 0, 2], [3, 4, 1, 1, 2]])
    mask = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    arguments = {"repetition_penalty": 2.0, "frequency_penalty": 0.25, "no_repeat_ngram_size": 4}
    rows = [row[keep == 1].tolist() for row, keep in zip(ids, mask, strict=True)]
    clean = backend(logits, rows, prompt_lengths=[1, 2, 3], **arguments)
    # Only leading entries are padding: the 5 after the prompt counts, in the first row alone.
    assert clean[:, 5].tolist() == [0.25, 1.0, 1.0]
    for ids_too in (False, True):
        for padding in ({"pad_token_id": 5}, {"attention_mask": mask}):
            got = backend(logits, ids, ids_too, prompt_lengths=3, **padding, **arguments)
            np.testing.assert_array_equal(got, clean)


def test_a_prompt_is_not_generated(backend):
    logits = np.ones(4, np.float32)
    got = backend(logits, [0, 1, 1], frequency_penalty=1.0, prompt_lengths=2)
    np.testing.assert_array_equal(got, [1, 0, 1, 1])
    got = backend(logits, [0, 1, 1], repetition_penalty=2.0, prompt_lengths=2)
    np.testing.assert_array_equal(got, [0.5, 0.5, 1, 1])
    for least, banned in ((1, False), (2, True)):
        got = backend(logits, [0, 1, 1], min_new_tokens=least, eos_token_id=3, prompt_lengths=2)
        assert (got[3] == -np.inf) == banned


def test_bias_as_a_pair(backend):
    got = backend(np.zeros(4, np.float32), [], logit_bias=([3, 1], [0.5, -np.inf]))
    np.testing.assert_array_equal(got, [0, -np.inf, 0, 0.5])
    got = backend(np.zeros(4, np.float32), [], logit_bias=([3, 1, 3], [0.5, 2.0, 0.25]))
    np.testing.assert_array_equal(got, [0, 2.0, 0, 0.75])


def test_a_bias_has_the_precision_of_the_logits(backend):
    got = backend(np.array([0.3, 0.0]), [], logit_bias={0: 0.1})
    assert got.tolist() == [0.3 + 0.1, 0.0]


def test_biases_of_penalize_and_of_sample_add():
    logits = np.zeros((1, 3), np.float32)
    bias = {1: -40.0, 2: -80.0}
    biased = penalize(logits, [[]], logit_bias=bias)
    assert sample(biased, logit_bias={0: -200.0}, rng=0).tolist() == [1]


def test_one_number_for_all_rows_is_one_for_each(backend):
    """To the last bit, in double precision: on a device too."""
    logits = np.random.default_rng(4).normal(size=(3, 5))
    ids = [[0, 1, 1, 1, 2], [3, 3, 0, 0, 0], [4, 4, 4, 4, 4]]
    for name, value in (
        *[("repetition_penalty", 1.1), ("frequency_penalty", 0.1), ("presence_penalty", 0.3)],
        *[("dry_multiplier", 0.7), ("penalty_last_n", 3)],
    ):
        penalties = {"frequency_penalty": 0.1, name: value}
        got = backend(logits, ids, **penalties)
        np.testing.assert_array_equal(got, backend(logits, ids, **penalties | {name: [value] * 3}))
        np.testing.assert_array_equal(got, penalize(logits, ids, **penalties))


def test_empty_history_and_foreign_ids(backend):
    logits = np.array([[1.0, -1.0], [2.0, -np.inf]], np.float32)
    everything = {"repetition_penalty": 2.0, "frequency_penalty": 1.0, "dry_multiplier": 1.0}
    np.testing.assert_array_equal(backend(logits, [[], []], **everything), logits)
    np.testing.assert_array_equal(backend(logits, [[5, -7], [2, 2, 2]], **everything), logits)
    got = backend(logits, [[0], [1]], **everything)
    np.testing.assert_array_equal(got, [[-0.5, -1.0], [2.0, -np.inf]])


def test_no_penalty_copies():
    logits = np.ones((2, 3), np.float32)
    got = penalize(logits, [[0], [1]])
    np.testing.assert_array_equal(got, logits)
    assert not np.shares_memory(got, logits)
    assert penalize(np.ones((0, 3), np.float32), []).shape == (0, 3)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precisions_round_once(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    torch = pytest.importorskip("torch")
    dtype = np.dtype(np.float16 if name == "float16" else ml_dtypes.bfloat16)
    logits = np.array([[3.3, -1.7, 0.9]], np.float64).astype(dtype)
    got = penalize(logits, [[0, 1]], repetition_penalty=1.3)
    assert got.dtype == dtype
    wide = logits.astype(np.float64)
    want = np.where([[True, True, False]], np.where(wide < 0, wide * 1.3, wide / 1.3), wide)
    np.testing.assert_array_equal(got, want.astype(dtype))

    tensor = torch.tensor(logits.astype(np.float32)).to(getattr(torch, name))
    got = penalize(tensor, [[0, 1]], repetition_penalty=1.3)
    assert got.dtype == tensor.dtype
    np.testing.assert_array_equal(got.double().numpy(), want.astype(dtype).astype(np.float64))


def test_rows_any_distance_apart():
    wide = np.arange(24, dtype=np.float32).reshape(3, 8)
    for logits in (np.broadcast_to(wide[0], (3, 8)), wide[::-1], wide[:, :5], wide[:, ::2]):
        got = penalize(logits, [[1], [2], [3]], presence_penalty=1.0)
        np.testing.assert_array_equal(got, logits - np.eye(8)[1:4, : logits.shape[1]])


def test_threads_do_not_matter():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(16, 5000)).astype(np.float32)
    ids = rng.integers(0, 5000, (16, 200))
    one, two = (
        penalize(logits, ids, repetition_penalty=1.2, dry_multiplier=1.0, num_threads=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_names_and_neutral_values_are_those_of_the_kernel():
    neutral = _core.decode.penalties.NEUTRAL
    signature = inspect.signature(penalize).parameters
    assert {name: signature[name].default for name in neutral} == neutral
    assert penalties._DOMAINS.keys() == neutral.keys()


class TestLongCalls:
    """Half a million words to compare with the end of each of many histories."""

    LOGITS = np.broadcast_to(np.float32(0), (50_000, 4))
    IDS = np.zeros((50_000, 2), np.int64)
    WORDS = ([[1, 2, 3]] * 20_000,)

    def test_progress_counts_rows(self):
        calls = []
        penalize(self.LOGITS[:9], self.IDS[:9], progress=lambda *units: calls.append(units))
        assert calls[-1] == (9, 9)

    def test_ctrl_c_is_heard(self):
        with ctrl_c_after(0.3) as sent, pytest.raises(KeyboardInterrupt):
            penalize(self.LOGITS, self.IDS, bad_words_ids=self.WORDS[0])
        assert monotonic() - sent[0] < 0.5

    def test_a_callback_stops_it(self):
        def stop(done, total):
            assert total == len(self.IDS)
            raise LookupError("enough")

        with pytest.raises(LookupError, match=r"^enough$"):
            penalize(self.LOGITS, self.IDS, bad_words_ids=self.WORDS[0], progress=stop)


class TestOut:
    def test_fresh_in_place_and_strided(self):
        logits = np.arange(8, dtype=np.float32).reshape(2, 4)
        want = penalize(logits, [[1], [2]], repetition_penalty=2.0)
        out = np.full((2, 6), 7, np.float32)[:, 1:5]
        assert penalize(logits, [[1], [2]], repetition_penalty=2.0, out=out) is out
        np.testing.assert_array_equal(out, want)
        np.testing.assert_array_equal(out.base[:, [0, 5]], 7)
        again = logits.copy()
        assert penalize(again, [[1], [2]], repetition_penalty=2.0, out=again) is again
        np.testing.assert_array_equal(again, want)

    def test_torch_in_place(self, backend, torch):
        logits = torch.ones(4)
        assert penalize(logits, [1], repetition_penalty=2.0, out=logits) is logits
        assert logits.tolist() == [1, 0.5, 1, 1]

    def test_one_row(self):
        logits, out = np.ones(3, np.float32), np.empty(3, np.float32)
        assert penalize(logits, [1], repetition_penalty=2.0, out=out) is out
        assert out.tolist() == [1, 0.5, 1]

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            (
                np.empty((2, 3), np.float32),
                ValueError,
                r"out: must have shape \(2, 4\), got \(2, 3\)",
            ),
            (np.empty((2, 4)), TypeError, "out: dtype must be float32, got float64"),
            (np.empty((4, 2), np.float32).T, ValueError, "out: rows must be contiguous"),
            ([[0.0] * 4] * 2, TypeError, "out: must be a NumPy array, got list"),
        ],
    )
    def test_refused(self, out, error, message):
        with pytest.raises(error, match=message):
            penalize(np.ones((2, 4), np.float32), [[1], [2]], out=out)

    @pytest.mark.parametrize("pretend", [False, True])
    def test_rows_that_share_memory(self, torch, monkeypatch, pretend):
        monkeypatch.setattr(_device, "PRETEND", pretend)
        logits = torch.ones(3, 4)
        for shared in (torch.zeros(1, 4).expand(3, 4), torch.zeros(8).as_strided((3, 4), (2, 1))):
            with pytest.raises(ValueError, match=r"^out: .* must not overlap"):
                penalize(logits, [[1], [2], [3]], presence_penalty=1.0, out=shared)

    def test_refused_on_a_device(self, torch, monkeypatch):
        monkeypatch.setattr(_device, "PRETEND", True)
        for out, error, message in [
            (np.empty((2, 4), np.float32), TypeError, "out: must be a tensor on cpu, got array"),
            (torch.empty(2, 4).double(), TypeError, "out: dtype must be torch.float32, got torch"),
            (torch.empty(2, 5), ValueError, r"out: must have shape \(2, 4\), got \(2, 5\)"),
        ]:
            with pytest.raises(error, match=f"^{message}"):
                penalize(torch.ones(2, 4), [[1], [2]], out=out)
        out = torch.zeros(4, 2).T
        penalize(torch.ones(2, 4), [[1], [2]], presence_penalty=1.0, out=out)
        assert out.tolist() == [[1, 0, 1, 1], [1, 1, 0, 1]]

    def test_overlap_and_read_only(self):
        memory = np.zeros(12, np.float32)
        logits, out = memory[:8].reshape(2, 4), memory[4:].reshape(2, 4)
        with pytest.raises(ValueError, match="out: overlaps logits"):
            penalize(logits, [[1], [2]], out=out)
        frozen = np.zeros(4, np.float32)
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="out: is read-only"):
            penalize(np.ones(4, np.float32), [1], out=frozen)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"repetition_penalty": 0.0},
            ValueError,
            r"repetition_penalty: must be in \(0, inf\), got 0.0",
        ),
        (
            {"repetition_penalty": np.inf},
            ValueError,
            r"repetition_penalty: must be in \(0, inf\), got inf",
        ),
        (
            {"repetition_penalty": [1.0, -2.0]},
            ValueError,
            r"repetition_penalty: item 1 must be in \(0, inf\), got -2.0",
        ),
        (
            {"repetition_penalty": [1.0, 1.0, 1.0]},
            ValueError,
            r"repetition_penalty: must be a number or have shape \(2,\), got \(3,\)",
        ),
        ({"repetition_penalty": "x"}, TypeError, "repetition_penalty: must be a number, got 'x'"),
        (
            {"frequency_penalty": np.nan},
            ValueError,
            r"frequency_penalty: must be in .*, got nan",
        ),
        (
            {"presence_penalty": -np.inf},
            ValueError,
            r"presence_penalty: must be in .*, got -inf",
        ),
        ({"penalty_last_n": -2}, ValueError, "penalty_last_n: must be at least -1, got -2"),
        ({"penalty_last_n": 1.5}, TypeError, "penalty_last_n: must be an integer, got 1.5"),
        ({"dry_multiplier": -1}, ValueError, r"dry_multiplier: must be in \[0, inf\), got -1"),
        ({"dry_base": 0.5}, ValueError, r"dry_base: must be in \[1, inf\), got 0.5"),
        ({"dry_allowed_length": 0}, ValueError, "dry_allowed_length: must be at least 1, got 0"),
        ({"dry_penalty_last_n": -9}, ValueError, "dry_penalty_last_n: must be at least -1"),
        ({"dry_sequence_breakers": ["\n"]}, TypeError, "dry_sequence_breakers: must hold integers"),
        ({"no_repeat_ngram_size": -1}, ValueError, "no_repeat_ngram_size: must be at least 0"),
        ({"min_new_tokens": -1}, ValueError, "min_new_tokens: must be at least 0, got -1"),
        ({"min_new_tokens": 3}, ValueError, "eos_token_id: must be given with min_new_tokens"),
        ({"eos_token_id": 4}, ValueError, r"eos_token_id: token id 4 is outside \[0, 4\)"),
        ({"eos_token_id": 1.0}, TypeError, "eos_token_id: must hold integers, got float64"),
        ({"bad_words_ids": [[1, 4]]}, ValueError, r"bad_words_ids: token id 4 is outside \[0, 4\)"),
        ({"bad_words_ids": [[-1]]}, ValueError, r"bad_words_ids: token id -1 is outside \[0, 4\)"),
        ({"logit_bias": {9: 1.0}}, ValueError, r"logit_bias: token id 9 is outside \[0, 4\)"),
        (
            {"logit_bias": {1: np.inf}},
            ValueError,
            "logit_bias: item 0 is NaN, or not below infinity",
        ),
        (
            {"logit_bias": {1: np.nan}},
            ValueError,
            "logit_bias: item 0 is NaN, or not below infinity",
        ),
        ({"prompt_lengths": 3}, ValueError, r"prompt_lengths: item 0 must be in \[0, 2\], got 3"),
        ({"prompt_lengths": [0, -1]}, ValueError, r"prompt_lengths: item 1 .* got -1"),
        (
            {"prompt_lengths": [0] * 3},
            ValueError,
            r"prompt_lengths: must have shape \(2,\), got",
        ),
        ({"prompt_lengths": 1.0}, TypeError, "prompt_lengths: must be an integer, got 1.0"),
        ({"input_ids": [[1, 2]]}, ValueError, "input_ids: must hold 2 rows, got 1"),
        ({"input_ids": np.array([1, 2])}, ValueError, r"input_ids: must have shape \(2, T\), got"),
        ({"input_ids": [[1.5], [1]]}, TypeError, "input_ids: must hold integers, got float64"),
        ({"attention_mask": [[1], [1, 1]]}, ValueError, "attention_mask: its rows must be as long"),
        ({"bad_words_ids": 5}, TypeError, "bad_words_ids: must hold sequences of ids, got 5"),
        ({"dry_sequence_breakers": None}, TypeError, "dry_sequence_breakers: must hold sequences"),
        ({"pad_token_id": 0.5}, TypeError, "pad_token_id: must be an integer, got 0.5"),
        ({"logit_bias": {0: "x"}}, TypeError, "logit_bias: must hold numbers"),
        ({"logit_bias": {2**63: 1.0}}, ValueError, "logit_bias: item 0 .*9223372036854775808"),
        *(
            ({name: [bad, bad]}, ValueError, f"{name}: item 0 must be ")
            for name, domain in penalties._DOMAINS.items()
            for bad in domain.bad_values()
        ),
    ],
)
def test_bad_input(backend, arguments, error, message):
    arguments = {"input_ids": [[0, 1], [2, 3]], "frequency_penalty": 0.5, **arguments}
    ids = arguments.pop("input_ids")
    with pytest.raises(error, match=f"^{message}"):
        backend(np.ones((2, 4), np.float32), ids, **arguments)


class TestTransformers:
    """The live classes, on random input."""

    @pytest.fixture
    def process(self, torch):
        return pytest.importorskip("transformers.generation.logits_process")

    @pytest.fixture(params=range(20))
    def batch(self, request, torch):
        generator = torch.Generator().manual_seed(request.param)
        vocabulary = [5, 40, 1000][request.param % 3]
        length = [3, 30, 300][request.param // 3 % 3]
        ids = torch.randint(0, vocabulary, (4, length), generator=generator)
        return 3 * torch.randn(4, vocabulary, generator=generator), ids

    def check(self, torch, got, want):
        torch.testing.assert_close(got, want, rtol=3e-7, atol=0)

    @pytest.mark.parametrize("r", [0.7, 1.1, 2.0])
    def test_repetition(self, torch, process, batch, r):
        logits, ids = batch
        want = process.RepetitionPenaltyLogitsProcessor(r)(ids, logits)
        self.check(torch, penalize(logits, ids, repetition_penalty=r), want)

    @pytest.mark.parametrize("n", [1, 2, 3, 4])
    def test_no_repeat_ngram(self, torch, process, batch, n):
        logits, ids = batch
        want = process.NoRepeatNGramLogitsProcessor(n)(ids, logits)
        self.check(torch, penalize(logits, ids, no_repeat_ngram_size=n), want)

    def test_bad_words(self, torch, process, batch):
        logits, ids = batch
        tails = [row[-k:].tolist() for row, k in zip(ids, (1, 2, 3, 1), strict=True)]
        words = [[0], [1, 2], *([*tail, i] for i, tail in enumerate(tails)), [3] * 400]
        want = process.NoBadWordsLogitsProcessor(words)(ids, logits)
        self.check(torch, penalize(logits, ids, bad_words_ids=words), want)

    def test_sequence_bias_of_one_token(self, torch, process, batch):
        logits, ids = batch
        bias = {0: 1.5, 3: -2.25, 4: float("-inf")}
        as_sequences = {(token,): value for token, value in bias.items()}
        want = process.SequenceBiasLogitsProcessor(as_sequences)(ids, logits)
        self.check(torch, penalize(logits, ids, logit_bias=bias), want)

    @pytest.mark.parametrize("least", [1, 2, 3])
    def test_min_new_tokens(self, torch, process, batch, least):
        logits, ids = batch
        prompt = ids.shape[1] - 2
        want = process.MinNewTokensLengthLogitsProcessor(prompt, least, [0, 2])(ids, logits)
        got = penalize(
            logits, ids, prompt_lengths=prompt, min_new_tokens=least, eos_token_id=[0, 2]
        )
        self.check(torch, got, want)


@pytest.mark.cuda
def test_counts_and_presence_do_not_wait_for_the_device(torch):
    logits = torch.randn(4, 1000, device="cuda")
    ids = torch.randint(0, 1000, (4, 50), device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        penalize(
            logits,
            ids,
            repetition_penalty=[1.1, 1.2, 1.3, 1.4],
            frequency_penalty=0.1,
            presence_penalty=0.2,
            penalty_last_n=20,
            logit_bias={1: 2.0},
            bad_words_ids=[[5]],
            min_new_tokens=3,
            eos_token_id=0,
            pad_token_id=0,
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
