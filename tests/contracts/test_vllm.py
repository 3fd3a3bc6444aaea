"""The processors, in the hands of vLLM's own batch bookkeeping; no engine runs here."""

import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from lawlib import assert_law
from sortes import decode

torch = pytest.importorskip("torch")

CPU = torch.device("cpu")
CONFIG = SimpleNamespace(speculative_config=None, scheduler_config=SimpleNamespace(max_num_seqs=8))
VOCABULARY = 60

REQUESTS = [
    {},
    {"eta_cutoff": 0.01},
    {"epsilon_cutoff": 0.02, "top_a": 0.2},
    {"top_n_sigma": 1.0},
    {"min_p": 0.2, "min_tokens_to_keep": 3},
    {"top_k": 4, "top_p": 0.7},
    {"p_less": True},
    {"top_h": 0.5, "another_processor": "argument"},
]
RESHAPING = [{}, {"typical_p": 0.5}, {"typical_p": 0.2, "xtc_threshold": 0.2}]


@pytest.fixture(scope="module")
def api(vllm):
    """What the tests use of vLLM and of ours."""
    v1, v2, package, exceptions = vllm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sortes.integrations import vllm as ours
    return SimpleNamespace(
        v1=v1,
        v2=v2,
        SamplingParams=package.SamplingParams,
        refused=exceptions.VLLMValidationError,
        ours=ours,
    )


def logits_of(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((rows, VOCABULARY), generator=generator) * 3


def alone(row, rules, **more):
    """The row as it would leave a batch of its own."""
    known = {
        name: value for name, value in rules.items() if name in decode.RuleArgs.__annotations__
    }
    return decode.truncate(row[None], **known, **more)[0]


class Batch:
    """A persistent batch, kept the way vLLM's model runner keeps it."""

    def __init__(self, api, processor):
        self.api, self.processor = api, processor
        self.rows = []
        self.update = {"removed": [], "added": [], "moved": []}

    def add(self, params, prompt=(), output=None):
        output = [] if output is None else output
        self.update["added"].append((len(self.rows), params, list(prompt), output))
        self.rows.append((params, output))
        return output

    def remove(self, row):
        """Take a request out, and let the last one fill the gap."""
        self.update["removed"].append(row)
        last = self.rows.pop()
        if row < len(self.rows):
            one_way = self.api.v1.MoveDirectionality.UNIDIRECTIONAL
            self.update["moved"].append((len(self.rows), row, one_way))
            self.rows[row] = last

    def swap(self, a, b):
        self.update["moved"].append((a, b, self.api.v1.MoveDirectionality.SWAP))
        self.rows[a], self.rows[b] = self.rows[b], self.rows[a]

    def step(self, logits):
        changed = any(self.update.values())
        update = self.api.v1.BatchUpdate(batch_size=len(self.rows), **self.update)
        self.processor.update_state(update if changed else None)
        self.update = {"removed": [], "added": [], "moved": []}
        return self.processor.apply(logits)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("kind", "requests"),
    [("SortesLogitsProcessor", REQUESTS), ("SortesReshapingLogitsProcessor", RESHAPING)],
)
def test_rows_follow_their_requests(api, kind, requests, seed):
    random = np.random.default_rng(seed)
    batch = Batch(api, getattr(api.ours, kind)(CONFIG, CPU, False))
    for step in range(40):
        action = random.integers(5)
        if action == 0 and batch.rows:
            batch.remove(int(random.integers(len(batch.rows))))
        elif action == 1 and len(batch.rows) > 1:
            batch.swap(*map(int, random.choice(len(batch.rows), 2, replace=False)))
        elif action < 4 and len(batch.rows) < 8:
            extra = requests[random.integers(len(requests))]
            batch.add(api.SamplingParams(temperature=0.7, extra_args=extra or None))
        logits = logits_of(len(batch.rows), seed=step)
        given = logits.clone()
        got = batch.step(given)
        early = {} if kind == "SortesLogitsProcessor" else {"temperature": 0.7}
        for row, (params, _) in enumerate(batch.rows):
            rules = params.extra_args or {}
            assert torch.equal(got[row], alone(logits[row], rules, **early if rules else {}))


def test_a_slot_is_taken_over(api):
    processor = api.ours.SortesLogitsProcessor(CONFIG, CPU, False)
    cut = api.SamplingParams(extra_args={"top_k": 1})
    plain = api.SamplingParams()
    logits = logits_of(1)

    def update(**changes):
        changes = {"removed": [], "added": [], "moved": []} | changes
        processor.update_state(api.v1.BatchUpdate(batch_size=1, **changes))
        return processor.apply(logits.clone()).isfinite().sum()

    assert update(added=[(0, cut, None, [])]) == 1
    assert update(removed=[0], added=[(0, plain, None, [])]) == VOCABULARY
    assert update(added=[(0, cut, None, [])]) == 1
    assert update(removed=[0]) == VOCABULARY


def test_no_request_no_work(api):
    for kind in (api.ours.SortesLogitsProcessor, api.ours.SortesReshapingLogitsProcessor):
        processor = kind(CONFIG, CPU, False)
        processor.update_state(None)
        logits = logits_of(2)
        assert processor.apply(logits) is logits


def test_greedy_requests_are_left_alone(api):
    batch = Batch(api, api.ours.SortesReshapingLogitsProcessor(CONFIG, CPU, False))
    runner = V2(api)
    xtc = {"xtc_probability": 1.0, "xtc_threshold": 0.01}
    for slot, (temperature, extra) in enumerate(
        [(0.0, {"typical_p": 0.1}), (0.0, xtc), (0.7, xtc), (0.0, {}), (0.7, {"typical_p": 0.1})]
    ):
        params = api.SamplingParams(temperature=temperature, extra_args=extra)
        batch.add(params)
        runner.processor.add_request(slot, params)
    logits = logits_of(5)
    for got in (batch.step(logits.clone()), runner.step(logits.clone(), range(5))):
        left_alone = [torch.equal(a, b) for a, b in zip(got, logits, strict=True)]
        assert left_alone == [True, True, False, True, False]


@pytest.mark.law
def test_xtc_throws_a_coin_for_each_token(api):
    batch = Batch(api, api.ours.SortesReshapingLogitsProcessor(CONFIG, CPU, False))
    extra = {"xtc_probability": 0.3, "xtc_threshold": 0.2}
    outputs = [
        batch.add(api.SamplingParams(temperature=1.0, seed=seed, extra_args=extra))
        for seed in range(-3, 5)
    ]
    row = torch.tensor([0.5, 0.3, 0.2]).log()
    hits = 0
    for _ in range(2_000):
        hits += int(batch.step(row.expand(8, -1).clone())[:, 0].isinf().sum())
        for output in outputs:
            output.append(1)
    assert_law([hits, 16_000 - hits], [0.3, 0.7])


def test_coins_belong_to_the_request(api):
    def coins(others):
        batch = Batch(api, api.ours.SortesReshapingLogitsProcessor(CONFIG, CPU, False))
        extra = {"xtc_probability": 0.5, "xtc_threshold": 0.2}
        for _ in range(others):
            batch.add(api.SamplingParams(seed=1, extra_args=extra))
        output = batch.add(api.SamplingParams(seed=7, extra_args=extra))
        row = torch.tensor([0.5, 0.3, 0.2]).log()
        thrown = []
        for token in range(50):
            thrown.append(bool(batch.step(row.expand(others + 1, -1).clone())[others, 0].isinf()))
            output.append(token)
        return thrown

    assert coins(0) == coins(3)
    assert 10 < sum(coins(0)) < 40


def test_dry_reads_the_text_as_it_grows(api):
    batch = Batch(api, api.ours.SortesReshapingLogitsProcessor(CONFIG, CPU, False))
    extra = {"dry_multiplier": 0.8, "dry_sequence_breakers": [50]}
    output = batch.add(api.SamplingParams(extra_args=extra), prompt=[5, 6, 7, 9])
    batch.add(api.SamplingParams())
    flat = torch.zeros((2, VOCABULARY))
    assert not batch.step(flat.clone()).any()
    output += [5, 6, 7]
    got = batch.step(flat.clone())
    assert got[0, 9] == pytest.approx(-0.8 * 1.75)
    assert torch.count_nonzero(got) == 1


BAD = [
    ("SortesLogitsProcessor", {"eta_cutoff": 1.5}, "^eta_cutoff: must be in "),
    ("SortesLogitsProcessor", {"eta_cutoff": [0.1, 0.2]}, "^eta_cutoff: must be a number"),
    ("SortesLogitsProcessor", {"top_p": "much"}, "^top_p: must be a number"),
    ("SortesReshapingLogitsProcessor", {"typical_p": -1.0}, "^typical_p: must be in "),
    ("SortesReshapingLogitsProcessor", {"dry_base": 0.1}, "^dry_base: must be "),
    ("SortesReshapingLogitsProcessor", {"dry_multiplier": "x"}, "^dry_multiplier: must "),
    ("SortesV2LogitsProcessor", {"xtc_threshold": 7}, "^xtc_threshold: must be in "),
]


@pytest.mark.parametrize(("kind", "extra", "message"), BAD, ids=str)
def test_bad_requests(api, kind, extra, message):
    params = api.SamplingParams(extra_args=extra)
    with pytest.raises(ValueError, match=message):
        getattr(api.ours, kind).validate_params(params)
    getattr(api.ours, kind).validate_params(api.SamplingParams())


def test_loaded_by_name(api, monkeypatch):
    # What is built in would pin memory, for which it wants a GPU.
    monkeypatch.setattr("vllm.utils.torch_utils.PIN_MEMORY", False)
    names = [
        "sortes.integrations.vllm:SortesLogitsProcessor",
        "sortes.integrations.vllm:SortesReshapingLogitsProcessor",
    ]
    loaded = api.v1.build_logitsprocs(CONFIG, CPU, False, False, names)
    assert [type(p).__name__ for p in loaded.argmax_invariant if "Sortes" in type(p).__name__] == [
        "SortesLogitsProcessor"
    ]
    assert "SortesReshapingLogitsProcessor" in {
        type(p).__name__ for p in loaded.non_argmax_invariant
    }
    bad = api.SamplingParams(extra_args={"top_a": -1.0})
    with pytest.raises(api.refused, match="top_a: must be"):
        api.v1.validate_logits_processors_parameters(tuple(names), bad)


class V2:
    """The second runner's slots and rows."""

    def __init__(self, api):
        state = api.v2.LogitsProcRequestState(
            **{"device": CPU, "max_num_reqs": 6, "vocab_size": VOCABULARY, "all_token_ids": None},
            prompt_len=SimpleNamespace(gpu=torch.tensor([4, 5, 6, 7, 8, 9], dtype=torch.int32)),
            **{"prefill_len": None, "total_len": None},
        )
        self.api, self.prompts = api, state.prompt_len.gpu.tolist()
        self.processor = api.ours.SortesV2LogitsProcessor(CONFIG, state)

    def step(self, logits, slots, repeats=1, outputs=None):
        """Run a step, `repeats` rows for each slot, which has so many tokens of output."""
        index = torch.tensor(slots, dtype=torch.int32)
        rows = index.repeat_interleave(repeats)
        lengths = [self.prompts[s] + n for s, n in zip(slots, outputs or [1] * 6, strict=False)]
        first = torch.tensor(lengths).repeat_interleave(repeats) - 1
        offsets = torch.arange(repeats).repeat(len(slots))
        context = self.api.v2.LogitsContext(
            expanded_idx_mapping=rows,
            idx_mapping=index,
            idx_mapping_np=index.numpy(),
            expanded_local_pos=offsets,
            input_ids=torch.zeros_like(rows),
            pos=first + offsets,
            seq_lens_upper_bound_np=np.asarray(lengths) + 3,  # what is on the way may be refused
        )
        self.processor.apply_staged_writes()
        return self.processor.apply(logits, context)


def test_v2_rows_follow_slots(api):
    runner = V2(api)
    requests = {
        0: (0.7, {"eta_cutoff": 0.02}),
        1: (1.0, {}),
        2: (1.8, {"typical_p": 0.4}),
        4: (0.0, {"top_k": 2}),
        5: (0.5, {"min_p": 0.3, "top_k": 9}),
    }
    wants = {
        slot: runner.processor.add_request(
            slot, api.SamplingParams(temperature=t, extra_args=extra or None)
        )
        for slot, (t, extra) in requests.items()
    }
    assert wants == {0: True, 1: False, 2: True, 4: False, 5: True}
    for slots in ([5, 2, 0], [1, 0], [4, 5, 1, 2]):
        logits = logits_of(2 * len(slots))
        got = runner.step(logits.clone(), slots, repeats=2)
        for row in range(len(logits)):
            temperature, rules = requests[slots[row // 2]]
            if temperature == 0 or not rules:
                assert torch.equal(got[row], logits[row])
            else:
                assert torch.equal(got[row], alone(logits[row], rules, temperature=temperature))
    logits = logits_of(2)
    assert runner.step(logits, [1, 4]) is logits


def test_v2_slots_are_reused(api):
    runner = V2(api)
    runner.processor.add_request(3, api.SamplingParams(extra_args={"top_k": 1}))
    assert runner.step(logits_of(1), [3]).isfinite().sum() == 1
    runner.processor.add_request(3, api.SamplingParams(extra_args={"top_k": 2}))
    assert runner.step(logits_of(1), [3]).isfinite().sum() == 2


@pytest.mark.law
def test_v2_throws_coins_too(api):
    runner = V2(api)
    extra = {"xtc_probability": 0.3, "xtc_threshold": 0.2}
    for slot in range(6):
        runner.processor.add_request(slot, api.SamplingParams(seed=slot, extra_args=extra))
    row = torch.tensor([0.5, 0.3, 0.2]).log().expand(6, -1)
    hits = 0
    for length in range(2_000):
        got = runner.step(row.clone(), [5, 4, 3, 2, 1, 0], outputs=[length] * 6)
        hits += int(got[:, 0].isinf().sum())
    assert_law([hits, 12_000 - hits], [0.3, 0.7])


def test_v2_has_the_coins_of_the_first_runner_with_drafts_or_without(api):
    extra = {"xtc_probability": 0.5, "xtc_threshold": 0.2}
    params = api.SamplingParams(seed=-7, extra_args=extra)
    row = torch.tensor([0.5, 0.3, 0.2]).log()

    batch = Batch(api, api.ours.SortesReshapingLogitsProcessor(CONFIG, CPU, False))
    output, coins = batch.add(params), []
    for token in range(40):
        coins.append(bool(batch.step(row[None].clone())[0, 0].isinf()))
        output.append(token)
    assert 10 < sum(coins) < 30

    for others in ([], [0, 3]):
        runner = V2(api)
        for slot in (2, *others):
            runner.processor.add_request(slot, params)
        for drafts in (0, 3):
            for start in range(36):
                slots = [*others, 2]
                rows = row.expand((drafts + 1) * len(slots), -1).clone()
                got = runner.step(rows, slots, drafts + 1, outputs=[start] * len(slots))
                got = got[-drafts - 1 :, 0].isinf().tolist()
                assert got == coins[start : start + drafts + 1]


def test_the_first_runner_refuses_drafts(api):
    """The docs say so; with drafts it would have to tell positions apart."""
    config = SimpleNamespace(**vars(CONFIG) | {"speculative_config": object()})
    ours = ["sortes.integrations.vllm:SortesLogitsProcessor"]
    with pytest.raises(ValueError, match="not supported when speculative decoding is enabled"):
        api.v1.build_logitsprocs(config, CPU, False, False, ours)


@pytest.mark.parametrize(("kind", "extra", "message"), BAD, ids=str)
def test_a_bad_request_in_the_batch_costs_itself_alone(api, caplog, kind, extra, message):
    """Engines check requests when they come; what passes nevertheless must not end the step."""
    good = {"SortesReshapingLogitsProcessor": {"typical_p": 0.5}}.get(kind, {"min_p": 0.2})
    good, bad = (
        api.SamplingParams(temperature=0.7, extra_args=each)
        for each in (good, {"top_n_sigma": 1.0, "xtc_probability": 1.0, **extra})
    )
    logits = logits_of(2)
    if kind == "SortesV2LogitsProcessor":
        runner = V2(api)
        wants = [runner.processor.add_request(slot, each) for slot, each in enumerate((good, bad))]
        assert wants == [True, False]
        got = runner.step(logits.clone(), [0, 1])
    else:
        batch = Batch(api, getattr(api.ours, kind)(CONFIG, CPU, False))
        for each in (good, bad):
            batch.add(each)
        got = batch.step(logits.clone())
    early = {} if kind == "SortesLogitsProcessor" else {"temperature": 0.7}
    assert torch.equal(got[0], alone(logits[0], good.extra_args, **early))
    assert torch.equal(got[1], logits[1])
    (record,) = (r for r in caplog.records if r.name == "sortes")
    assert re.search(message.removeprefix("^"), record.getMessage())


def test_rows_without_numbers_cost_themselves_alone(api):
    logits = logits_of(3)
    logits[1, 3] = torch.nan
    runner, batch = V2(api), Batch(api, api.ours.SortesLogitsProcessor(CONFIG, CPU, False))
    for slot in range(3):
        params = api.SamplingParams(extra_args={"top_k": 2})
        runner.processor.add_request(slot, params)
        batch.add(params)
    for got in (runner.step(logits.clone(), [0, 1, 2]), batch.step(logits.clone())):
        assert got.isfinite().sum(1).tolist() == [2, VOCABULARY - 1, 2]


def test_v2_is_loaded_by_name(api):
    validate = api.v2.build_custom_logits_processors_params_validator(
        ["sortes.integrations.vllm:SortesV2LogitsProcessor"]
    )
    validate(api.SamplingParams(extra_args={"eta_cutoff": 1e-3}))
    with pytest.raises(api.refused, match="eta_cutoff: must be in "):
        validate(api.SamplingParams(extra_args={"eta_cutoff": 2.0}))


def test_ties_and_temperatures_are_as_the_docs_say(vllm, api, function_of):
    """docs/faq.md: nine of ten equal tokens at top-p 0.8, all that tie at top-k; at most 2."""
    path = Path(vllm[2].__file__).parent / "v1/sample/ops/topk_topp_sampler.py"
    theirs = function_of(path, "apply_top_k_top_p_pytorch", torch=torch)
    assert theirs(torch.zeros(1, 10), None, torch.tensor([0.8])).isfinite().sum() == 9
    many = torch.zeros(1, 200_000)
    assert theirs(many, None, torch.tensor([0.9])).isfinite().sum() == 180_000
    assert decode.keep_mask(torch.zeros(1, 10), top_p=0.8).sum() == 8
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert theirs(logits.clone(), torch.tensor([2]), None).isfinite().sum() == 4
    api.SamplingParams(temperature=2.0)
    with pytest.raises(api.refused, match=r"temperature must be in \[0, 2\]"):
        api.SamplingParams(temperature=2.1)
