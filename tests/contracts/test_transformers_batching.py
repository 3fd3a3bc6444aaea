"""Our warpers in the continuous batching of Transformers, with values for single requests."""

from types import SimpleNamespace

import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
batching = pytest.importorskip("transformers.generation.continuous_batching.cb_logits_processors")
from sortes import decode  # noqa: E402
from sortes.integrations import transformers as ours  # noqa: E402

#: A warper, the argument that requests set, values that act, and values at which it is off.
WARPERS = [
    (ours.TemperatureLogitsWarper(0.7), "temperature", [0.5, 2, 0, 1e39], [1.0, 1, None]),
    (ours.TopKLogitsWarper(5), "top_k", [1, 3, 2**40], [0, -1, None, -(2**40)]),
    (ours.TopPLogitsWarper(0.9), "top_p", [0.0, 0.5, 0.8, 1e-12], [1.0, 1, None]),
    (ours.MinPLogitsWarper(0.1), "min_p", [0.05, 1], [0.0, 0, None]),
    (ours.TypicalLogitsWarper(0.5), "typical_p", [0.2, 1e-12, 1 - 1e-12], [1, 1.0, None]),
    (ours.EpsilonLogitsWarper(0.01), "epsilon_cutoff", [3e-4, 0.2, 1 - 1e-12], [0, None]),
    (ours.EtaLogitsWarper(0.01), "eta_cutoff", [3e-4, 0.2, 1 - 1e-12], [0, None]),
    (ours.TopHLogitsWarper(0.5), "top_h", [0.2, 1e-12, 1], [None]),
    (ours.TopNSigmaLogitsWarper(), "top_n_sigma", [0.5, 2.5], [0, -1.0, None]),
    (ours.TopALogitsWarper(0.2), "top_a", [0.1, 3], [0, None]),
]
EQUAL = torch.zeros((1, 10))
NAMES = [type(warper).__name__ for warper, *_ in WARPERS]


def requests(values):
    """Requests as the scheduler hands them on, each with arguments of its own."""
    states = [SimpleNamespace(logit_processor_kwargs=kwargs) for kwargs in values]
    return [SimpleNamespace(state=state, has_new_token=True) for state in states]


def listed(*warpers):
    return batching.ContinuousBatchingLogitsProcessorList(
        hf.LogitsProcessorList(warpers), per_request_processors=True
    )


def applied(processors, values, scores):
    """What a batch with these arguments makes of the scores, the storage wider than the batch."""
    for kwargs in values:
        processors.check_kwargs(kwargs)
    storage = torch.empty((processors.tensors_required, 1), dtype=torch.int32)
    processors.fill_defaults(storage)
    storage = storage.expand(-1, len(values) + 3).clone()
    processors.prepare_tensor_args(requests(values), storage)
    ids = torch.zeros(len(scores), dtype=torch.long)
    return processors(ids, scores, storage[:, : len(scores)])


def rows(n, vocabulary=200):
    return torch.randn((n, vocabulary), generator=torch.Generator().manual_seed(0)) * 3


@pytest.mark.parametrize(("warper", "name", "acting", "off"), WARPERS, ids=NAMES)
def test_each_row_at_the_value_of_its_request(warper, name, acting, off):
    values = [{}, *({name: value} for value in (*acting, *off))]
    x = rows(len(values) + 1)
    got = applied(listed(warper), values, x)
    for row, kwargs in enumerate(values):
        rules = decode.Rules(**kwargs) if kwargs else warper.rules
        want = decode.truncate(x[row], rules, scaled=True)
        torch.testing.assert_close(got[row], want, rtol=1e-7, atol=1e-30)
        assert kwargs.get(name, 2.0) not in off or torch.equal(got[row], x[row])
    assert torch.equal(got[-1:], warper(None, x[-1:]))  # a row that no request stands for


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_share_arrives_as_it_was_typed(tenths):
    got = applied(listed(ours.TopPLogitsWarper(0.5)), [{"top_p": tenths / 10}], EQUAL)
    assert got.isfinite().sum() == tenths


def test_ten_equal_tokens_under_their_own_warper():
    """Transformers compares float32 numbers, and keeps nine at 0.8; docs/faq.md says so."""
    theirs = applied(listed(hf.TopPLogitsWarper(0.5)), [{"top_p": 0.8}], EQUAL)
    assert theirs.isfinite().sum() == 9


def test_several_warpers_in_the_order_of_their_list():
    warpers = [
        ours.TemperatureLogitsWarper(0.7),
        ours.TopKLogitsWarper(50),
        ours.TopPLogitsWarper(1),
    ]
    values = [{}, {"top_k": 3}, {"temperature": 2, "top_k": 0, "top_p": 0.5}, {"temperature": 0}]
    x = rows(4)
    got = applied(listed(*warpers), values, x)
    for row, kwargs in enumerate(values):
        want = decode.truncate(x[row], scaled=True, **{"temperature": 0.7, "top_k": 50, **kwargs})
        torch.testing.assert_close(got[row], want, rtol=1e-6, atol=0)


def test_a_temperature_of_the_warper_stays():
    x = rows(1)
    processors = listed(ours.TopPLogitsWarper(0.9, -9.0, temperature=0.5))
    got = applied(processors, [{"top_p": 0.6}], x)
    want = decode.truncate(x, temperature=0.5, top_p=0.6, scaled=True, filter_value=-9.0)
    assert torch.equal(got, want)
    with pytest.raises(ValueError, match=r"Unknown .*temperature"):
        processors.check_kwargs({"temperature": 0.7})


BAD = [
    ("temperature", -1.0, ValueError, r"^temperature: must be in \[0, inf\), got -1.0"),
    ("temperature", float("nan"), ValueError, "^temperature: "),
    ("temperature", "hot", TypeError, "^temperature: "),
    ("top_k", 2.5, TypeError, "^top_k: must be an integer, got 2.5"),
    ("top_k", True, TypeError, "^top_k: "),
    ("top_p", 1.5, ValueError, r"^top_p: must be in \[0, 1\], got 1.5"),
    ("typical_p", 0.0, ValueError, "^typical_p: "),
    ("epsilon_cutoff", 1.0, ValueError, "^epsilon_cutoff: "),
    ("top_h", 2.0, ValueError, "^top_h: "),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), BAD, ids=str)
def test_a_bad_value_is_refused_before_it_joins_the_batch(name, value, error, message):
    processors = listed(*(warper for warper, *_ in WARPERS))
    with pytest.raises(error, match=message):
        processors.check_kwargs({name: value})


def test_without_the_option_and_beside_other_processors():
    warper = ours.TopKLogitsWarper(5)
    plain = batching.ContinuousBatchingLogitsProcessorList(hf.LogitsProcessorList([warper]))
    assert plain.logits_processor[0] is warper
    # What is no single rule stays as it is; what belongs to a row of a fixed batch is dropped.
    whole = ours.SortesLogitsWarper(temperature=0.7, top_p=0.9)
    by_row = ours.SortesLogitsWarper(temperature=[0.7, 1.0])
    kept = listed(whole, by_row, ours.XTCLogitsWarper(0.5), warper)
    assert kept.logits_processor[0] is whole
    assert len(kept.logits_processor) == 2
    assert kept.tensors_required == 1


def test_what_transformers_does():
    """0 and -1 as top-k leave one token, and an int is no temperature; the docs say so."""
    x = rows(3)
    theirs = listed(hf.TemperatureLogitsWarper(0.7), hf.TopKLogitsWarper(50))
    left = applied(theirs, [{"top_k": 0}, {"top_k": -1}, {"top_k": 1}], x)
    assert left.isfinite().sum(1).tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="temperature"):
        theirs.check_kwargs({"temperature": 1})


def test_an_engine():
    """Requests that differ in nothing but their values, in one batch of the engine itself."""
    model = tiny_model.build()
    asked = {
        "default": {},
        "cold": {"temperature": 0},
        "one token": {"top_k": 1},
        "any token": {"top_k": 0, "temperature": 50},
        "bad": {"top_k": 2.5},
        "unknown": {"top_p": 0.5},
    }
    prompt = [5, 6, 7, 8]
    manager = model.init_continuous_batching(
        generation_config=hf.GenerationConfig(do_sample=True, top_k=0, eos_token_id=-1),
        continuous_batching_config=hf.ContinuousBatchingConfig(num_blocks=32, max_batch_tokens=64),
    )
    manager.logit_processor = listed(ours.TemperatureLogitsWarper(0.7), ours.TopKLogitsWarper(5))
    manager.start()
    try:
        for name, kwargs in asked.items():
            manager.add_request(prompt, request_id=name, max_new_tokens=12, **kwargs)
        results = {}
        for _ in range(120):
            result = manager.get_result(timeout=1)
            if result is not None and (result.is_finished() or result.error):
                results[result.request_id] = result
            if len(results) == len(asked):
                break
    finally:
        manager.stop(block=True, timeout=10)
    greedy = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=None
    )[0, 4:].tolist()
    texts = {name: result.generated_tokens for name, result in results.items()}
    assert texts["cold"] == texts["one token"] == greedy
    assert texts["any token"] != greedy
    logits = model(torch.tensor([prompt + texts["default"]])).logits[0, 3:-1]
    kept = decode.keep_mask(logits.detach(), top_k=5)
    assert kept.gather(1, torch.tensor(texts["default"])[:, None]).all()
    assert results["bad"].error == "top_k: must be an integer, got 2.5"
    assert "Unknown" in results["unknown"].error
