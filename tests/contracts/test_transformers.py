"""The logits processors, against those of Transformers."""

import inspect
import math
import pickle
import re
import warnings

import numpy as np
import pytest
import tiny_model
from lawlib import assert_law
from sortes import _device, decode

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes.integrations import transformers as ours  # noqa: E402

INF = math.inf
IDS = torch.zeros((1, 3), dtype=torch.long)

#: Arguments under which a rule of ours and one of Transformers must keep the same tokens.
SAME = [
    ("TemperatureLogitsWarper", {"temperature": 0.7}),
    ("TemperatureLogitsWarper", {"temperature": 3.0}),
    ("TopKLogitsWarper", {"top_k": 1}),
    ("TopKLogitsWarper", {"top_k": 40}),
    ("TopKLogitsWarper", {"top_k": 10_000}),
    ("TopKLogitsWarper", {"top_k": 2, "min_tokens_to_keep": 5}),
    ("TopPLogitsWarper", {"top_p": 0.0}),
    ("TopPLogitsWarper", {"top_p": 0.5}),
    ("TopPLogitsWarper", {"top_p": 0.95}),
    ("TopPLogitsWarper", {"top_p": 1}),
    ("TopPLogitsWarper", {"top_p": 0.01, "min_tokens_to_keep": 3}),
    ("MinPLogitsWarper", {"min_p": 0.0}),
    ("MinPLogitsWarper", {"min_p": 0.05}),
    ("MinPLogitsWarper", {"min_p": 1.0}),
    ("MinPLogitsWarper", {"min_p": 0.9, "min_tokens_to_keep": 4}),
    ("TypicalLogitsWarper", {}),
    ("TypicalLogitsWarper", {"mass": 0.2}),
    ("TypicalLogitsWarper", {"mass": 0.01, "min_tokens_to_keep": 6}),
    ("EpsilonLogitsWarper", {"epsilon": 9e-4}),
    ("EpsilonLogitsWarper", {"epsilon": 0.5, "min_tokens_to_keep": 3}),
    ("EtaLogitsWarper", {"epsilon": 2e-3}),
    ("EtaLogitsWarper", {"epsilon": 0.3, "min_tokens_to_keep": 2}),
    ("TopHLogitsWarper", {"top_h": 0.4}),
]

#: What neither accepts.
BAD = [
    ("TemperatureLogitsWarper", {"temperature": 0.0}, "temperature"),
    ("TemperatureLogitsWarper", {"temperature": -1.0}, "temperature"),
    ("TemperatureLogitsWarper", {"temperature": 1}, "temperature"),
    ("TopKLogitsWarper", {"top_k": 0}, "top_k"),
    ("TopKLogitsWarper", {"top_k": 2.0}, "top_k"),
    ("TopPLogitsWarper", {"top_p": -0.1}, "top_p"),
    ("TopPLogitsWarper", {"top_p": 1.5}, "top_p"),
    ("TopPLogitsWarper", {"top_p": 0.5, "min_tokens_to_keep": 0}, "min_tokens_to_keep"),
    ("MinPLogitsWarper", {"min_p": 1.01}, "min_p"),
    ("MinPLogitsWarper", {"min_p": 0.5, "min_tokens_to_keep": 1.5}, "min_tokens_to_keep"),
    ("TypicalLogitsWarper", {"mass": 1.0}, "mass"),
    ("TypicalLogitsWarper", {"mass": 0.0}, "mass"),
    ("EpsilonLogitsWarper", {"epsilon": 0.0}, "epsilon"),
    ("EpsilonLogitsWarper", {"epsilon": 1.0}, "epsilon"),
    ("EtaLogitsWarper", {"epsilon": 0.0}, "epsilon"),
    ("EtaLogitsWarper", {"epsilon": 1.0}, "epsilon"),
    ("EtaLogitsWarper", {"epsilon": 0.5, "min_tokens_to_keep": 0}, "min_tokens_to_keep"),
    ("TopHLogitsWarper", {"top_h": 0.0}, "top_h"),
    ("TopHLogitsWarper", {"top_h": 1.1}, "top_h"),
]

#: One of each class.
EACH = [
    ours.TemperatureLogitsWarper(0.5),
    ours.TopKLogitsWarper(5),
    ours.TopPLogitsWarper(0.9),
    ours.MinPLogitsWarper(0.1),
    ours.TypicalLogitsWarper(),
    ours.EpsilonLogitsWarper(1e-3),
    ours.EtaLogitsWarper(1e-3),
    ours.TopHLogitsWarper(0.5),
    ours.TopNSigmaLogitsWarper(),
    ours.TopALogitsWarper(0.2),
    ours.PLessLogitsWarper(),
    ours.XTCLogitsWarper(0.5, rng=0),
    ours.DRYLogitsWarper(),
    ours.FIRELogitsWarper(3, top_p=0.9),
    ours.SortesLogitsWarper(top_k=7, top_p=0.9),
    ours.SortesDrawProcessor(rng=0, top_k=7),
]


def name_of(thing):
    if isinstance(thing, dict):
        return ",".join(f"{k}={v}" for k, v in thing.items())
    return thing if isinstance(thing, str) else type(thing).__name__


def scores(rows, vocabulary, seed=0, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((rows, vocabulary), generator=generator) * spread


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 8), (7, 257), (3, 4096)])
@pytest.mark.parametrize(("name", "arguments"), SAME, ids=name_of)
def test_same_tokens_as_transformers(name, arguments, rows, vocabulary):
    x = scores(rows, vocabulary)
    given = x.clone()
    got = getattr(ours, name)(**arguments)(IDS, x)
    assert torch.equal(got, getattr(hf, name)(**arguments)(IDS, given))
    assert torch.equal(x, given)
    assert got.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("device", [False, True])
def test_top_p_of_round_probabilities(device, monkeypatch):
    """Their own test of the class: sums of 0.8, and few tokens of steep rows."""
    monkeypatch.setattr(_device, "PRETEND", device)
    p = torch.tensor([[0.3, 0.1, 0.1, 0.5], [0.15, 0.3, 0.3, 0.25]])
    left = ours.TopPLogitsWarper(0.8)(IDS, p.log()).exp()
    wanted = torch.tensor([[0.3, 0.0, 0.0, 0.5], [0.0, 0.3, 0.3, 0.25]])
    torch.testing.assert_close(left, wanted, atol=1e-3, rtol=0)

    ramp = torch.arange(-5.0, 5.0) * torch.tensor([[1.0], [100.0]])
    left = ours.TopPLogitsWarper(0.9, filter_value=0.0, min_tokens_to_keep=2)(IDS, ramp)
    assert (left != 0).sum(1).tolist() == [3, 2]


@pytest.mark.parametrize(("name", "arguments"), SAME, ids=name_of)
def test_masked_rows(name, arguments):
    x = scores(4, 300)
    x[:, ::3] = -INF
    if name == "EtaLogitsWarper":  # theirs divides no infinities: it sees the rest alone
        kept = x[:, ~torch.isinf(x[0])]
        want = torch.full_like(x, -INF)
        want[:, ~torch.isinf(x[0])] = getattr(hf, name)(**arguments)(IDS, kept)
    else:
        want = getattr(hf, name)(**arguments)(IDS, x)
    assert torch.equal(getattr(ours, name)(**arguments)(IDS, x), want)


@pytest.mark.parametrize(("name", "arguments", "argument"), BAD, ids=name_of)
def test_the_same_checks(name, arguments, argument):
    theirs = {"mass": "typical_p", "epsilon": "(epsilon|eta)_cutoff"}.get(argument, argument)
    with pytest.raises(ValueError, match=f"`{theirs}` "):
        getattr(hf, name)(**arguments)
    with pytest.raises(ValueError, match=f"^{argument}: must be .*, got "):
        getattr(ours, name)(**arguments)


@pytest.mark.parametrize("name", sorted({name for name, _ in SAME}))
def test_the_same_arguments(name):
    theirs = inspect.signature(getattr(hf, name)).parameters.values()
    mine = inspect.signature(getattr(ours, name)).parameters
    for parameter in theirs:
        assert mine[parameter.name].kind == parameter.kind
        if parameter.name != "device":
            assert mine[parameter.name].default == parameter.default
    assert list(mine)[: len(theirs)] == [p.name for p in theirs]
    extra = [p for n, p in mine.items() if n not in {q.name for q in theirs}]
    assert all(p.kind is p.KEYWORD_ONLY and p.name == "temperature" for p in extra)


def test_arguments_are_attributes():
    assert ours.TopPLogitsWarper(0.9, -1e4, 2).top_p == 0.9
    assert ours.TypicalLogitsWarper().mass == 0.9
    warper = ours.TopKLogitsWarper(5, filter_value=-9.0, min_tokens_to_keep=2)
    assert (warper.top_k, warper.filter_value, warper.min_tokens_to_keep) == (5, -9.0, 2)


def test_unknown_arguments():
    with pytest.raises(TypeError, match="top_q"):
        ours.TopPLogitsWarper(0.9, top_q=0.9)
    with pytest.raises(TypeError, match="top_p"):
        ours.TopPLogitsWarper()
    with pytest.raises(TypeError, match="top_q"):
        ours.SortesLogitsWarper(top_q=0.9)
    with pytest.raises(TypeError, match="top_k"):
        ours.SortesLogitsWarper(decode.Rules(top_k=1), top_k=1)


@pytest.mark.parametrize("fill", [-INF, -1e4])
@pytest.mark.parametrize(("name", "arguments"), SAME[2:], ids=name_of)
def test_temperature_first(name, arguments, fill):
    x = scores(3, 500)
    arguments = {**arguments, "filter_value": fill}
    theirs = hf.LogitsProcessorList(
        [hf.TemperatureLogitsWarper(1.7), getattr(hf, name)(**arguments)]
    )
    got = getattr(ours, name)(**arguments, temperature=1.7)(IDS, x)
    torch.testing.assert_close(got, theirs(IDS, x), rtol=1e-6, atol=0)


@pytest.mark.parametrize("processor", EACH, ids=name_of)
def test_the_interface(processor):
    assert isinstance(processor, hf.LogitsProcessor)
    assert list(inspect.signature(processor.__call__).parameters) == ["input_ids", "scores"]
    assert isinstance(type(processor).supports_continuous_batching, bool)
    assert type(processor).__eq__ is object.__eq__
    x = scores(1, 50)
    again = pickle.loads(pickle.dumps(processor))
    result = hf.LogitsProcessorList([processor])(IDS, x)
    assert torch.equal(result, again(IDS, x))
    assert result.shape == x.shape
    assert result.dtype == x.dtype
    assert result.isfinite().any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_stay(dtype):
    x = scores(2, 100).to(dtype)
    for processor in EACH:
        assert processor(IDS.expand(2, -1), x).dtype == dtype


def test_row_by_row_temperatures():
    x = scores(3, 40)
    got = ours.SortesLogitsWarper(temperature=[0.5, 1.0, 0.0], top_k=3)(IDS, x)
    for row, temperature in enumerate([0.5, 1.0]):
        alone = ours.SortesLogitsWarper(temperature=temperature, top_k=3)(IDS, x[row : row + 1])
        assert torch.equal(got[row : row + 1], alone)
    assert got[2].isfinite().sum() == 1
    assert got[2].max() == x[2].max()


def test_dynamic_temperature():
    x = scores(3, 200)
    got = ours.SortesLogitsWarper(dynatemp_range=0.5, top_k=20)(IDS, x)
    law = decode.distribution(x, dynatemp_range=0.5, top_k=20)
    torch.testing.assert_close(got.double().softmax(1), law, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("temperature", [1e-6, 3e-4, 1e39])
def test_extreme_temperatures_leave_a_law(temperature, dtype):
    x = torch.tensor([[22.0, 21.0, 3.0, -100.0]], dtype=dtype)
    wanted = [1.0, 0.0, 0.0, 0.0] if temperature < 1 else [0.25] * 4
    for warper in (
        ours.TemperatureLogitsWarper(temperature),
        ours.TopKLogitsWarper(4, temperature=temperature),
        ours.SortesLogitsWarper(temperature=temperature),
    ):
        law = warper(IDS, x).float().softmax(1)
        torch.testing.assert_close(law, torch.tensor([wanted]))
    removed = ours.TopKLogitsWarper(2, temperature=temperature)(IDS, x)[0, 2:]
    assert (removed == -INF).all()


SAME_AS_RULES = {
    *("temperature", "top_h", "top_k", "top_p", "min_p", "typical_p"),
    *("epsilon_cutoff", "eta_cutoff"),
}
CONFIGS = [
    {},
    {"top_k": 0},
    {"temperature": 0.6, "top_p": 0.9},
    {"temperature": 1.5, "top_k": 0, "min_p": 0.1},
    {"top_k": 20, "top_p": 0.8, "typical_p": 0.7},
    {"top_h": 0.7, "temperature": 2.0, "top_k": 0},
    {"top_k": 0, "epsilon_cutoff": 1e-3, "eta_cutoff": 2e-3},
    {
        **{"temperature": 1.3, "top_k": 200, "top_p": 0.99, "min_p": 0.001},
        **{"typical_p": 0.98, "epsilon_cutoff": 1e-4, "eta_cutoff": 1e-3},
    },
]


@pytest.fixture(scope="module")
def model():
    return tiny_model.build()


def warpers_of(model, arguments):
    """What `generate` would apply."""
    config, _ = model._prepare_generation_config(None, do_sample=True, **arguments)
    return config, model._get_logits_processor(config, 3, logits_processor=[], device="cpu")


@pytest.mark.parametrize("arguments", CONFIGS, ids=name_of)
def test_from_generation_config(model, arguments):
    config, theirs = warpers_of(model, arguments)
    x = scores(5, 800)
    want = theirs(IDS, x)
    got = ours.SortesLogitsWarper(ours.from_generation_config(config))(IDS, x)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=0)
    bare = ours.from_generation_config(hf.GenerationConfig(**arguments))
    torch.testing.assert_close(ours.SortesLogitsWarper(bare)(IDS, x), want, rtol=1e-6, atol=0)


def test_from_generation_config_with_more():
    config = hf.GenerationConfig(top_p=0.9)
    assert dict(ours.from_generation_config(config).params) == {"top_k": 50, "top_p": 0.9}
    rules = ours.from_generation_config(config, top_k=0, top_n_sigma=1.0)
    assert dict(rules.params) == {"top_p": 0.9, "top_n_sigma": 1.0}


def test_a_greedy_configuration_stays_greedy():
    x = scores(4, 100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Transformers says that the temperature does nothing
        card = {"temperature": 0.6, "top_p": 0.9, "top_k": 20}
        config = hf.GenerationConfig(**card, do_sample=False)
    rules = ours.from_generation_config(config)
    assert dict(rules.params) == {"temperature": 0.0}
    assert torch.equal(decode.sample(x, rules, rng=0), x.argmax(1))
    assert ours.from_generation_config(config, min_p=0.1).params["temperature"] == 0.0
    sampling = {"temperature": 0.6, "top_k": 20, "top_p": 0.9}
    for do_sample in (None, True):
        config = hf.GenerationConfig(**card, do_sample=do_sample)
        assert dict(ours.from_generation_config(config).params) == sampling


#: What makes `generate` change the scores by something that is no rule, and what does not.
NO_RULES = {
    **{"repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "bad_words_ids": [[5]]},
    **{"encoder_repetition_penalty": 1.2, "encoder_no_repeat_ngram_size": 2},
    **{"min_length": 4, "min_new_tokens": 5, "suppress_tokens": [7], "begin_suppress_tokens": [8]},
    **{"forced_bos_token_id": 3, "forced_eos_token_id": 4, "sequence_bias": {(9,): 4.0}},
    **{"exponential_decay_length_penalty": (3, 1.1), "guidance_scale": 1.5},
    **{"remove_invalid_values": True, "num_beams": 2},
}
NEUTRAL = {
    **{"repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_length": 0, "num_beams": 1},
    **{"guidance_scale": 1, "remove_invalid_values": False, "renormalize_logits": True},
}


def test_what_is_no_rule_is_named():
    for name, value in NO_RULES.items():
        config = hf.GenerationConfig(**{name: value}, do_sample=True)
        with pytest.warns(UserWarning, match=rf"^config: .* left out: {name}=.*; sortes.penalize"):
            ours.from_generation_config(config)
    both = hf.GenerationConfig(repetition_penalty=1.1, no_repeat_ngram_size=3, do_sample=False)
    with pytest.warns(
        UserWarning, match="left out: repetition_penalty=1.1, no_repeat_ngram_size=3;"
    ):
        assert ours.from_generation_config(both).params == {"temperature": 0.0}
    ours.from_generation_config(hf.GenerationConfig(**NEUTRAL))


def test_every_field_that_adds_a_processor_is_known(model):
    source = inspect.getsource(type(model)._get_logits_processor)
    read = set(re.findall(r"generation_config\.([a-z]\w+)", source))
    known = {*SAME_AS_RULES, *NO_RULES, *NEUTRAL, "watermarking_config"}
    assert {"temperature", "repetition_penalty"} <= read
    assert read - known <= {"do_sample", "max_length", "num_return_sequences", "use_cache"}


@pytest.mark.law
def test_xtc_throws_the_coin():
    x = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).expand(50, -1)
    warper = ours.XTCLogitsWarper(0.3, 0.25, rng=7)
    hits = 0
    for step in range(400):
        hits += int(warper(torch.zeros((50, step + 1)), x)[:, 0].isinf().sum())
    assert_law([hits, 20_000 - hits], [0.3, 0.7])


def test_xtc_coins_belong_to_row_and_step():
    x = scores(64, 30)
    text = torch.zeros((64, 5), dtype=torch.long)
    warper = ours.XTCLogitsWarper(0.5, 0.05, rng=3)
    whole = warper(text, x)
    assert torch.equal(whole, warper(text, x))
    assert not torch.equal(whole, warper(text[:, :4], x))
    part = ours.XTCLogitsWarper(0.5, 0.05, rng=3, rows=range(32, 64))
    assert torch.equal(whole[32:], part(text[32:], x[32:]))
    protects = ours.XTCLogitsWarper(1.0, 0.05, protected_ids=range(30))
    assert torch.equal(protects(text, x), x)


def test_without_a_seed_torch_decides():
    x = scores(64, 30)
    text = torch.zeros((64, 5), dtype=torch.long)
    for processor in (ours.XTCLogitsWarper(0.5, 0.05), ours.SortesDrawProcessor()):
        torch.manual_seed(1)
        first, second = processor(text, x), processor(text, x)
        assert not torch.equal(first, second)
        torch.manual_seed(1)
        assert torch.equal(first, processor(text, x))


def test_generators_advance():
    x, text = scores(64, 30), torch.zeros((64, 5), dtype=torch.long)
    processor = ours.SortesDrawProcessor(rng=np.random.default_rng(0))
    first, second = processor(text, x), processor(text, x)
    assert not torch.equal(first, second)
    again = ours.SortesDrawProcessor(rng=np.random.default_rng(0))
    assert torch.equal(first, again(text, x))


def test_dry_charges_repetitions():
    text = torch.tensor([[0, 0, 5, 6, 7, 9, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
    x = torch.zeros((2, 12))
    got = ours.DRYLogitsWarper(0.8, 1.75, 2, pad_token_id=0)(text, x)
    want = torch.zeros_like(x)
    want[0, 9] = -0.8 * 1.75
    torch.testing.assert_close(got, want)
    assert not x.any()
    broken = ours.DRYLogitsWarper(0.8, dry_sequence_breakers=[6])
    assert not broken(text, x).any()
    with pytest.raises(ValueError, match=r"^dry_base: must "):
        ours.DRYLogitsWarper(dry_base=0.5)


def test_fire_heats_the_first_token():
    x = scores(2, 100)
    warper = ours.FIRELogitsWarper(4, fire_temperature=20.0, fire_top_k=8, temperature=0.5)
    first = warper(torch.zeros((2, 4)), x)
    assert torch.equal(first.isfinite().sum(-1), torch.tensor([8, 8]))
    torch.testing.assert_close(first.max(-1).values, x.max(-1).values / 20)
    assert torch.equal(warper(torch.zeros((2, 5)), x), x / 0.5)


def test_fire_beside_embeddings(model):
    inputs = tiny_model.prompts([5, 5])
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
    asked = {**inputs, "do_sample": True, "top_k": 0, "max_new_tokens": 3, "eos_token_id": None}
    record = model.generate(
        **asked,
        logits_processor=[ours.FIRELogitsWarper(0, fire_top_k=8, positions=[1], top_k=2)],
        **{"return_dict_in_generate": True, "output_scores": True},
    )
    assert [int(s.isfinite().sum(1)[0]) for s in record.scores] == [2, 8, 2]
    with pytest.raises(ValueError, match=r"^prompt_length: must be at most .* 0, got 5; beside"):
        model.generate(**asked, logits_processor=[ours.FIRELogitsWarper(5)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("temperature", [1e-6, 0.3, 1.0, 7.0, 1e39])
@pytest.mark.parametrize("fill", [-INF, -1e4, -0.1, 0.0])
def test_the_filter_value_is_the_filter_value(fill, temperature, dtype):
    x = torch.tensor([[22.0, 21.0, 3.0, -100.0, -INF]], dtype=dtype)
    wanted = torch.tensor(fill, dtype=dtype)
    for warper in (
        ours.TopKLogitsWarper(2, fill, temperature=temperature),
        ours.MinPLogitsWarper(1.0, fill, 2, temperature=temperature),
        ours.PLessLogitsWarper(fill, temperature=0.01),
    ):
        got = warper(IDS, x)[0]
        assert (got[2:4] == wanted).all()
        assert got[4] == -INF  # what was removed before stays removed
        assert got[0].isfinite()


def test_the_draw_processor_leaves_the_token():
    x = scores(9, 60)
    text = torch.zeros((9, 4), dtype=torch.long)
    processor = ours.SortesDrawProcessor(rng=5, temperature=0.8, top_p=0.9)
    left = processor(text, x)
    assert torch.equal(left.isfinite().sum(-1), torch.ones(9, dtype=torch.long))
    tokens = decode.sample(x, temperature=0.8, top_p=0.9, rng=5, step=4)
    assert torch.equal(left.argmax(-1), tokens)
    after = hf.LogitsProcessorList([hf.TemperatureLogitsWarper(3.0), hf.TopKLogitsWarper(2)])
    assert torch.equal(torch.multinomial(after(text, left).softmax(-1), 1)[:, 0], tokens)


def test_bad_rows():
    x = scores(3, 10)
    x[1, 4] = math.nan
    with pytest.raises(ValueError, match=r"^logits: row 1: "):
        ours.TopPLogitsWarper(0.9)(IDS, x)


def test_continuous_batching_keeps_the_stateless_ones(caplog):
    batching = pytest.importorskip(
        "transformers.generation.continuous_batching.cb_logits_processors"
    )
    kept = batching.ContinuousBatchingLogitsProcessorList(hf.LogitsProcessorList(EACH))
    dropped = [type(p).__name__ for p in EACH if p not in kept.logits_processor]
    assert dropped == [
        *("XTCLogitsWarper", "DRYLogitsWarper", "FIRELogitsWarper", "SortesDrawProcessor")
    ]


def generate(model, *processors, **arguments):
    return model.generate(
        **tiny_model.prompts([4, 4]),
        logits_processor=list(processors),
        max_new_tokens=3,
        do_sample=True,
        **arguments,
    )


def test_processors_inside_generate(model):
    torch.manual_seed(0)
    for processor in EACH:
        text = generate(model, processor, top_k=0)
        assert text.shape[1] <= 7


def test_a_draw_inside_generate_is_the_same_draw(model):
    text = generate(model, ours.SortesDrawProcessor(rng=3), top_k=0)
    assert torch.equal(text, generate(model, ours.SortesDrawProcessor(rng=3), temperature=5.0))
    assert not torch.equal(text, generate(model, ours.SortesDrawProcessor(rng=4)))


def test_a_second_cut_is_announced_once(model):
    warper = ours.EtaLogitsWarper(1e-3)
    with pytest.warns(UserWarning, match="temperature=0.7, top_k=50 after EtaLogitsWarper"):
        generate(model, warper, temperature=0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, warper, temperature=0.7)
        generate(model, ours.EtaLogitsWarper(1e-3), top_k=0)
        generate(model, ours.SortesDrawProcessor(), temperature=0.7)


@pytest.mark.cuda
@pytest.mark.parametrize(("name", "arguments"), SAME, ids=name_of)
def test_same_tokens_on_the_gpu(name, arguments):
    x = scores(5, 1000)
    got = getattr(ours, name)(**arguments)(IDS.cuda(), x.cuda())
    assert got.is_cuda
    want = getattr(ours, name)(**arguments)(IDS, x)
    assert torch.equal(got.cpu().isinf(), want.isinf())
