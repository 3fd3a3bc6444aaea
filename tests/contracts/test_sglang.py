"""The processor, as SGLang ships and calls it; no server runs here."""

import warnings
from types import SimpleNamespace

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


def request(temperature=1.0, seed=None, tokens=()):
    sampling = SimpleNamespace(temperature=temperature, sampling_seed=seed)
    return SimpleNamespace(sampling_params=sampling, output_ids=list(tokens))


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


def test_the_cut_is_made_at_the_temperature_of_the_request(processor):
    logits = logits_of(2)
    rows = [{"min_p": 0.1, "__req__": request(t)} for t in (0.5, 2.0)]
    got = processor(logits, rows)
    for row, temperature in enumerate([0.5, 2.0]):
        alone = decode.truncate(logits[row : row + 1], min_p=0.1, temperature=temperature)
        assert torch.equal(got[row : row + 1], alone)


@pytest.mark.parametrize("rows", [None, [], [{}, {"stranger": 1}, None]])
def test_nothing_asked_nothing_done(processor, rows):
    logits = logits_of(3)
    assert processor(logits, rows) is logits


@pytest.mark.law
@pytest.mark.parametrize("with_request", [True, False])
def test_xtc_throws_coins(processor, with_request):
    row = torch.tensor([[0.5, 0.3, 0.2]]).log()
    asked = {"xtc_probability": 0.3, "xtc_threshold": 0.2}
    n, hits = 10_000, 0
    for step in range(n // 10):
        rows = [dict(asked) for _ in range(10)]
        for seed, params in enumerate(rows if with_request else []):
            params["__req__"] = request(seed=-seed, tokens=range(step))
        hits += int(processor(row.expand(10, -1), rows)[:, 0].isinf().sum())
    assert_law([hits, n - hits], [0.3, 0.7])


def test_coins_of_a_seeded_request_are_reproducible(processor):
    row = torch.tensor([[0.5, 0.3, 0.2]]).log()

    def coins():
        asked = {"xtc_probability": 0.5, "xtc_threshold": 0.2}
        rows = [{**asked, "__req__": request(seed=3, tokens=range(n))} for n in range(40)]
        return processor(row.expand(40, -1), rows)[:, 0].isinf().tolist()

    assert coins() == coins()
    assert 5 < sum(coins()) < 35


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"eta_cutoff": 2.0}, "^eta_cutoff: must be in "),
        ({"top_p": "most"}, "^top_p: must be a number"),
        ({"min_p": [0.1]}, "^min_p: must be a number"),
    ],
)
def test_bad_parameters(processor, params, message):
    with pytest.raises(ValueError, match=message):
        processor(logits_of(1), [params])
