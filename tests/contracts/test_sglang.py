"""The processor, as SGLang ships and calls it; no server runs here."""

import ast
import logging
import warnings
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lawlib import assert_law
from sortes import decode

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def ours(sglang):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sortes.integrations import sglang as module
    return module


@pytest.fixture
def processor(ours, sglang):
    """The processor, after its way through the request as a string."""
    return sglang.CustomLogitProcessor.from_str(ours.SortesLogitProcessor.to_str())


def logits_of(rows):
    return torch.randn((rows, 60), generator=torch.Generator().manual_seed(0)) * 3


@pytest.fixture(scope="module")
def parameters(sglang):
    """SGLang's ``SamplingParams``."""
    from sglang.srt.sampling.sampling_params import SamplingParams

    return SamplingParams


@pytest.fixture(scope="module")
def folder(sglang):
    """Where SGLang's runtime is."""
    return Path(sglang.__file__).parents[1]


@pytest.fixture(scope="module")
def apply(folder, function_of):
    """SGLang's own function that calls processors."""
    known = {"torch": torch, "logger": logging.getLogger("sglang")}
    return function_of(folder / "layers/sampler.py", "apply_custom_logit_processor", **known)


class Request:
    """What a processor sees of a request, changed as SGLang's scheduler does."""

    def __init__(self, parameters, rules, prompt=7, rid="r1", **sampling):
        self.rid = rid
        self.sampling_params = parameters(**sampling)
        self.sampling_params.custom_params = {**rules, "__req__": weakref.proxy(self)}
        self.origin_input_ids, self.output_ids = [1] * prompt, []
        self.kv = SimpleNamespace(kv_committed_len=prompt)


class Batch(list):
    """Requests as the caller of processors sees them."""

    device = "cpu"

    def __init__(self, processor, requests):
        super().__init__(requests)
        self.custom_params = [request.sampling_params.custom_params for request in requests]
        rows = list(range(len(requests)))
        entry = SimpleNamespace(processor=processor, rows=rows, indices=torch.tensor(rows))
        self.custom_logit_processor = {0: entry}


def test_requests_have_what_is_read(folder, syntax_of):
    path = folder / "managers/schedule_batch.py"
    cache = syntax_of(path, "ReqKvInfo")
    assert "kv_committed_len" in {n.target.id for n in cache.body if hasattr(n, "target")}
    assigned = {
        node.attr
        for node in ast.walk(syntax_of(path, "Req"))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    assert {"rid", "sampling_params", "origin_input_ids", "output_ids", "kv"} <= assigned


def test_the_round_trip(ours, sglang, processor):
    assert isinstance(processor, sglang.CustomLogitProcessor)
    assert isinstance(processor, ours.SortesLogitProcessor)
    # The class goes by its name, so that the server runs its own.
    assert len(ours.SortesLogitProcessor.to_str()) < 500


def test_rows_have_their_own_rules(processor):
    rows = [None, {}, {"eta_cutoff": 0.02}, {"typical_p": 0.4}, {"top_k": 3, "stranger": 1}]
    logits = logits_of(len(rows))
    got = processor(logits, rows)
    for row, params in enumerate(rows):
        rules = {k: v for k, v in (params or {}).items() if k != "stranger"}
        assert torch.equal(got[row : row + 1], decode.truncate(logits[row : row + 1], **rules))
    assert got.shape == logits.shape
    assert got.dtype == logits.dtype


def test_the_cut_is_made_at_the_temperature_of_the_request(processor, parameters, apply):
    logits = logits_of(2)
    requests = [Request(parameters, {"min_p": 0.1}, temperature=t) for t in (0.5, 2.0)]
    got = logits.clone()
    apply(got, Batch(processor, requests))
    for row, temperature in enumerate([0.5, 2.0]):
        alone = decode.truncate(logits[row : row + 1], min_p=0.1, temperature=temperature)
        assert torch.equal(got[row : row + 1], alone)


@pytest.mark.parametrize("rows", [None, [], [{}, {"stranger": 1}, None]])
def test_nothing_asked_nothing_done(processor, rows):
    logits = logits_of(3)
    assert processor(logits, rows) is logits


@pytest.mark.law
@pytest.mark.parametrize("with_request", [True, False])
def test_xtc_throws_coins(processor, parameters, with_request):
    row = torch.tensor([[0.5, 0.3, 0.2]]).log()
    asked = {"xtc_probability": 0.3, "xtc_threshold": 0.2}
    requests = [Request(parameters, asked, sampling_seed=-seed) for seed in range(10)]
    n, hits = 10_000, 0
    for _ in range(n // 10):
        rows = [r.sampling_params.custom_params if with_request else {**asked} for r in requests]
        hits += int(processor(row.expand(10, -1), rows)[:, 0].isinf().sum())
        for request in requests:
            request.output_ids.append(0)
    assert_law([hits, n - hits], [0.3, 0.7])


XTC = {"xtc_probability": 0.5, "xtc_threshold": 0.2}


def coins(apply, processor, parameters, n=40, *, overlap=False, drafts=0, accepted=(2, 1, 3)):
    """The coins of one request by position: its text grows as in SGLang's scheduler.

    With overlap a step starts before the result of the last one is there. With drafts a step has
    a row for each, and one more; the tokens behind the last one accepted are drawn again.
    """
    request = Request(parameters, XTC, sampling_seed=3)
    other = Request(parameters, XTC, prompt=2, sampling_seed=4)
    row = torch.tensor([[0.5, 0.3, 0.2]]).log()
    thrown, steps = {}, 0

    def step(rows):
        logits = row.expand(2 * rows, -1).clone()
        apply(logits, Batch(processor, [other, request]), rows)
        return logits[rows:, 0].isinf().tolist()

    pending = []
    while len(thrown) < n:
        first = len(thrown)
        if drafts and first:
            got = step(drafts + 1)
            new = accepted[steps % len(accepted)]
            request.kv.kv_committed_len += new
        else:
            request.kv.kv_committed_len += bool(first)
            got, new = step(1), 1
        for offset, coin in enumerate(got):
            assert thrown.setdefault(first + offset, coin) == coin, first + offset
        for position in [p for p in thrown if p >= first + new]:
            assert thrown.pop(position) in (True, False)
        pending.append([0] * new)
        if not overlap or len(pending) > 1:
            request.output_ids += pending.pop(0)
        steps += 1
    return [thrown[position] for position in range(n)]


def test_coins_of_a_seeded_request_are_reproducible(apply, processor, parameters):
    alone = coins(apply, processor, parameters)
    assert coins(apply, processor, parameters) == alone
    assert 5 < sum(alone) < 35


def test_overlapping_steps_have_coins_of_their_own(apply, processor, parameters):
    assert coins(apply, processor, parameters, overlap=True) == coins(apply, processor, parameters)


def test_drafts_have_the_coins_of_their_positions(apply, processor, parameters):
    assert coins(apply, processor, parameters, drafts=3) == coins(apply, processor, parameters)


def test_greedy_requests_are_greedy(apply, processor, parameters):
    rules = [
        {"xtc_probability": 1.0, "xtc_threshold": 0.01},
        {"typical_p": 0.2},
        {"min_p": 0.3, "typical_p": 0.1, "top_n_sigma": 1.0},
        {},
    ]
    greedy = [Request(parameters, each, temperature=0.0) for each in rules]
    others = [Request(parameters, each, temperature=0.8, sampling_seed=1) for each in rules]
    assert greedy[0].sampling_params.temperature == 1.0  # SGLang's word for it is top_k=1
    for batch in (
        greedy,
        greedy[:1],
        [r for pair in zip(greedy, others, strict=True) for r in pair],
    ):
        logits = logits_of(len(batch))
        got = logits.clone()
        apply(got, Batch(processor, batch))
        for row, request in enumerate(batch):
            assert (request in greedy) <= torch.equal(got[row], logits[row])
    assert not torch.equal(got, logits)


#: What JSON can hold in place of a number, and numbers outside of every domain.
NO_RULES = [
    *("most", "0.1", "", {}, {"a": 1}, [], [0.1], [[1], [1, 2]], ["a"], [None], 10**400),
    *(float("nan"), -(10**400), 1e400, -1e400, -5.0),
]
NAMES = ["top_p", "min_p", "eta_cutoff", "typical_p", "xtc_threshold", "min_tokens_to_keep"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_request_costs_itself_alone(ours, apply, processor, parameters, caplog, name):
    good = {"min_p": 0.2, "xtc_probability": 1.0, "xtc_threshold": 0.1}
    logits = logits_of(3)
    alone = logits[:1].clone()
    apply(alone, Batch(processor, [Request(parameters, good)]))
    for i, value in enumerate(NO_RULES):
        caplog.clear()
        bad = Request(parameters, {"top_n_sigma": 1.0, name: value}, rid=f"{name} {i}")
        batch = Batch(processor, [Request(parameters, good), bad, Request(parameters, {})])
        for _ in range(3):
            got = logits.clone()
            apply(got, batch)
            assert torch.equal(got[:1], alone), value
            assert torch.equal(got[1:], logits[1:]), value
        (record,) = caplog.records
        assert record.levelname == "ERROR"
        assert f"{name} {i}" in record.getMessage()
        assert f" {name}: " in record.getMessage()
        with pytest.raises(ValueError, match=f"^{name}: "):
            ours.SortesLogitProcessor.validate_params({"top_n_sigma": 1.0, name: value})


@pytest.mark.parametrize("params", ["min_p", 3, [1], [("min_p", 0.1)]])
def test_params_that_are_no_mapping(ours, processor, caplog, params):
    logits = logits_of(2)
    got = processor(logits, [{"top_k": 1}, params])
    assert torch.equal(got[1], logits[1])
    assert got[0].isfinite().sum() == 1
    with pytest.raises(ValueError, match=r"^custom_params: must be a mapping, got .+"):
        ours.SortesLogitProcessor.validate_params(params)


def test_good_parameters_are_valid(ours):
    for params in (None, {}, {"top_p": 0.9, "stranger": "x"}, {"xtc_probability": 0}):
        ours.SortesLogitProcessor.validate_params(params)


def test_rows_without_numbers_cost_themselves_alone(processor):
    """Logits that are NaN belong to one request, whose text is lost; those beside it are not."""
    logits = logits_of(4)
    logits[1, 3], logits[2] = torch.nan, -torch.inf
    got = processor(logits, [{"top_k": 2}] * 4)
    np.testing.assert_array_equal(got[1:3], logits[1:3])
    for row in (0, 3):
        assert torch.equal(got[row : row + 1], decode.truncate(logits[row : row + 1], top_k=2))


def test_ties_are_as_the_docs_say(folder, function_of):
    """docs/faq.md: SGLang keeps a token more at top-p, and k tokens at top-k."""
    name = "top_k_top_p_min_p_sampling_from_probs_torch"
    theirs = function_of(folder / "layers/sampler.py", name, torch=torch)

    def kept(logits, top_k, top_p):
        given = (logits.softmax(1), torch.tensor([top_k]), torch.tensor([top_p]), torch.zeros(1))
        _, weights, *_ = theirs(*given, False, None, torch.zeros(1), return_filtered_probs=True)
        return int((weights > 0).sum())

    for n, top_p, expected, ours in ((10, 0.8, 9, 8), (200_000, 0.9, 180_001, 180_000)):
        assert kept(torch.zeros(1, n), n, top_p) == expected
        assert decode.keep_mask(torch.zeros(1, n), top_p=top_p).sum() == ours
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert kept(logits, 2, 1.0) == 2
    assert decode.keep_mask(logits, top_k=2).sum() == 4
