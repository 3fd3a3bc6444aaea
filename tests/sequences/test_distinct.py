"""Distinct sequences: no replacement, beams, priorities; the driver around the search."""

import signal

import numpy as np
import pytest
import sortes
from sequences.models import TableModel
from sortes import _core
from sortes.sequences import (
    SequenceSearch,
    TokenAutomaton,
    Vocabulary,
    gumbel_topk,
    priority_sample,
    sample_without_replacement,
    stochastic_beam_search,
)
from vectors import load

VECTORS = load("sequences/priority.json")
FROZEN = load("sequences/distinct_stability.json")
EOS = 0


def test_first_draws_are_frozen():
    """They change only with the major version."""

    def model(prefixes):
        return np.float32([np.roll(FROZEN["row"], len(prefix)) for prefix in prefixes])

    drawn = sample_without_replacement(model, 8, 5, eos_token_id=EOS, rng=0)
    assert texts(drawn) == [tuple(text) for text in FROZEN["texts"]]
    assert drawn.perturbed == pytest.approx(FROZEN["perturbed"], rel=1e-9)
    assert drawn.kappa == pytest.approx(FROZEN["kappa"], rel=1e-9)
    later = sample_without_replacement(model, 1, 5, eos_token_id=EOS, rng=0, step=1)
    assert texts(later) == [tuple(FROZEN["step_1"])]
    top = gumbel_topk([FROZEN["row"]] * 2, 3, rng=0)
    assert top.indices.tolist() == FROZEN["topk"]


class Random:
    """A model of random logits, which counts its calls."""

    def __init__(self, seed=0, size=6, spread=1.0):
        self.seed, self.size, self.spread = seed, size, spread
        self.calls = []

    def __call__(self, prefixes):
        self.calls.append([tuple(map(int, prefix)) for prefix in prefixes])
        return np.stack([self.row(prefix) for prefix in self.calls[-1]])

    def row(self, prefix):
        rng = np.random.default_rng([self.seed, 1, *prefix])
        return rng.normal(0, self.spread, self.size).astype(np.float32)

    def logprob(self, tokens):
        total = 0.0
        for i, token in enumerate(tokens):
            row = self.row(tuple(map(int, tokens[:i]))).astype(float)
            total += row[token] - np.log(np.exp(row).sum())
        return total


def texts(result):
    rows = zip(result.tokens, result.lengths, strict=True)
    return [tuple(map(int, row[:length])) for row, length in rows]


#: What the vectors call their automata: expressions over the tokens a, b and ab.
EXPRESSIONS = {"ab+": "(ab)+"}


def table_search(lm, case):
    """Run the search on the exact logarithms of a table."""
    ends, size = [lm["eos"]], len(lm["table"][""])
    num_samples, stream = case["num_samples"], sortes.Stream(0)
    constraint = None
    if "automaton" in case:
        tokens = Vocabulary([None, b"a", b"b", b"ab"], eos_token_id=0)
        automaton = TokenAutomaton(EXPRESSIONS[case["automaton"]], tokens)
        constraint = automaton._native, case["ensure_completion"]
    tree = _core.sequences.tree.SequenceTree(
        case["priority"], num_samples, case["max_len"], ends, stream, constraint
    )
    while not tree.is_finished:
        for node in tree.next_batch(4).tolist():
            law = lm["table"][",".join(map(str, tree.path(node)))]
            with np.errstate(divide="ignore"):
                tree.expand_listed(node, np.arange(size), np.log(law))
    return tree.found(0, num_samples)


@pytest.mark.parametrize(
    "case",
    VECTORS["cases"],
    ids=lambda c: "-".join(str(value) for name, value in c.items() if name != "out"),
)
def test_vectors_of_priorities(case):
    lm = VECTORS["lms"][case["lm"]]
    found = table_search(lm, case)
    assert len(found) == len(case["out"])
    for (tokens, logprob, priority, complete, _), want in zip(found, case["out"], strict=True):
        assert tokens.tolist() == want["sequence"]
        assert logprob == pytest.approx(want["logprob"], rel=1e-12, abs=1e-12)
        assert complete == want["complete"]
        if want["priority"] is None:
            assert np.isnan(priority)
        else:
            assert priority == pytest.approx(want["priority"], rel=1e-12, abs=1e-12)


def greedy_search(model, key, num_samples, max_len, eos):
    """Priority sampling as it is defined, with a queue of everything."""
    queue, out, pushed = [((), float("nan"), 0)], [], 0
    while queue and len(out) < num_samples:
        prefix, priority, _ = queue.pop(0)
        while not ends(prefix, max_len, eos):
            row = model.row(prefix).astype(float)
            logp = row - np.log(np.exp(row).sum())
            best, *others = sorted(range(len(row)), key=lambda t: (-row[t], t))
            for token in others:
                longer = (*prefix, token)
                pushed += 1
                known = logp[token] if key == "token" else model.logprob(longer)
                queue.append((longer, known, pushed))
            prefix = (*prefix, best)
        out.append((prefix, priority))
        queue.sort(key=lambda entry: (-entry[1], entry[2]))
    return out


def ends(prefix, max_len, eos):
    return prefix[-1:] == (eos,) or len(prefix) == max_len


@pytest.mark.parametrize("priority", ["token", "sequence"])
@pytest.mark.parametrize("seed", range(5))
def test_priorities_of_logits(priority, seed):
    model = Random(seed)
    want = greedy_search(model, priority, 40, 4, EOS)
    for together in (1, 3, 16, 1000):
        taken = priority_sample(
            model, 40, 4, priority=priority, eos_token_id=EOS, node_batch_size=together
        )
        assert texts(taken) == [prefix for prefix, _ in want]
        assert taken.priorities[1:] == pytest.approx([p for _, p in want[1:]], abs=1e-5)
        assert taken.logprobs == pytest.approx([model.logprob(p) for p, _ in want], abs=1e-5)
        assert taken.complete.tolist() == [prefix[-1] == EOS for prefix, _ in want]
    assert np.isnan(taken.priorities[0])


def test_equal_tokens_come_by_id():
    taken = priority_sample(lambda prefixes: np.zeros((len(prefixes), 4)), 16, 2)
    assert texts(taken)[:6] == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2)]
    assert len(set(texts(taken))) == 16


@pytest.mark.parametrize("together", [1, 2, 7, 64])
def test_the_batch_does_not_matter(together):
    for seed in range(10):
        model = Random(seed, spread=2.0)
        given = {"eos_token_id": EOS, "rng": seed}
        want = sample_without_replacement(model, 30, 6, node_batch_size=1, **given)
        got = sample_without_replacement(model, 30, 6, node_batch_size=together, **given)
        assert np.array_equal(got.tokens, want.tokens)
        assert np.array_equal(got.perturbed, want.perturbed)
        assert got.kappa == want.kappa
        assert len(set(texts(got))) == 30
        assert got.logprobs == pytest.approx([model.logprob(t) for t in texts(got)], abs=1e-5)
        assert np.all(np.diff(got.perturbed) <= 0)
        assert got.kappa <= got.perturbed[-1]


def test_fewer_samples_are_the_first_ones():
    model = Random(3)
    most = sample_without_replacement(model, 50, 5, eos_token_id=EOS, rng=1)
    for n in (0, 1, 13):
        few = sample_without_replacement(model, n, 5, eos_token_id=EOS, rng=1)
        assert texts(few) == texts(most)[:n]
        assert few.kappa == most.perturbed[n]


def test_all_of_a_small_model():
    model = Random(1, size=3)
    drawn = sample_without_replacement(model, 1000, 4, eos_token_id=EOS, rng=0)
    assert len(drawn) == 1 + 2 + 4 + 8 * 3
    assert np.exp(drawn.logprobs).sum() == pytest.approx(1)
    assert drawn.kappa == -np.inf
    for method in ("self_normalized", "threshold", "unordered"):
        assert drawn.weights(method=method) == pytest.approx(np.exp(drawn.logprobs), rel=1e-6)
    value = drawn.lengths.astype(float)
    assert drawn.mean(value).value == pytest.approx(np.exp(drawn.logprobs) @ value)


def test_beams_are_the_same_in_few_calls():
    model, beams = Random(2), Random(2)
    given = {"eos_token_id": EOS, "rng": 4}
    drawn = sample_without_replacement(model, 12, 6, node_batch_size=1, **given)
    found = stochastic_beam_search(beams, 12, 6, **given)
    assert texts(found) == texts(drawn)
    assert found.kappa == drawn.kappa
    assert len(beams.calls) <= 6
    for call in beams.calls:
        assert len(call) <= 12
        assert len(set(map(len, call))) == 1
    assert sum(map(len, model.calls)) <= sum(map(len, beams.calls))


def test_rules_and_bias():
    model = Random(5, size=9)
    drawn = sample_without_replacement(model, 20, 3, top_k=3, temperature=0.5, rng=0)
    for tokens, logprob in zip(texts(drawn), drawn.logprobs, strict=True):
        total = 0.0
        for i, token in enumerate(tokens):
            row = model.row(tokens[:i]).astype(float) / 0.5
            kept = np.sort(row)[-3:]
            assert row[token] >= kept[0]
            total += row[token] - np.log(np.exp(kept).sum())
        assert logprob == pytest.approx(total, abs=1e-5)
    greedy = sample_without_replacement(model, 20, 3, temperature=0, rng=0)
    assert len(greedy) == 1
    assert texts(greedy)[0] == texts(priority_sample(model, 1, 3))[0]
    biased = priority_sample(model, 3, 2, logit_bias={7: 100.0})
    assert texts(biased)[0] == (7, 7)


@pytest.mark.parametrize("size", [9_000, 70_000])
def test_long_rows(size):
    """More tokens than a list of survivors holds, in every precision."""
    rows = np.random.default_rng(0).normal(0, 2, (3, size)).astype(np.float32)

    def model(prefixes):
        return rows[[len(prefix) for prefix in prefixes]]

    drawn = sample_without_replacement(model, 200, 3, rng=0)
    assert len(set(texts(drawn))) == 200
    logp = rows - np.log(np.exp(rows.astype(float)).sum(1, keepdims=True))
    want = [sum(logp[i, t] for i, t in enumerate(tokens)) for tokens in texts(drawn)]
    assert drawn.logprobs == pytest.approx(want, abs=1e-4)
    for threads in (2, 7):
        again = sample_without_replacement(model, 200, 3, rng=0, num_threads=threads)
        assert np.array_equal(again.tokens, drawn.tokens)
        assert np.array_equal(again.perturbed, drawn.perturbed)
    taken = priority_sample(model, size // 2, 1)
    order = np.lexsort((np.arange(size), -rows[0]))
    assert np.array_equal(taken.tokens[:, 0], order[: size // 2])


def test_kinds_of_logits():
    torch = pytest.importorskip("torch")
    model = Random(6)
    want = sample_without_replacement(model, 10, 4, rng=0)
    got = sample_without_replacement(lambda p: torch.from_numpy(model(p)), 10, 4, rng=0)
    assert np.array_equal(got.tokens, want.tokens)
    half = sample_without_replacement(lambda p: torch.from_numpy(model(p)).half(), 10, 4, rng=0)
    assert len(half) == 10


def test_several_ends():
    model = Random(7)
    drawn = sample_without_replacement(model, 60, 4, eos_token_id=[0, 2], rng=0)
    for tokens, complete in zip(texts(drawn), drawn.complete, strict=True):
        assert complete == (tokens[-1] in (0, 2))
        assert not {0, 2} & set(tokens[:-1])
    assert all(row[length:].tolist() == [-1] * (4 - length) or row.size < 4
               for row, length in zip(drawn.tokens, drawn.lengths, strict=True))  # fmt: skip


def test_one_by_one():
    model = Random(8)
    whole = sample_without_replacement(model, 9, 5, eos_token_id=EOS, rng=0)
    model.calls.clear()
    search = SequenceSearch(model, 9, 5, eos_token_id=EOS, node_batch_size=1, rng=0)
    first = next(search)
    calls = len(model.calls)
    assert calls <= 5  # the first sequence needs no more than its own tokens
    assert first.priority == whole.perturbed[0]
    assert search.kappa == whole.perturbed[1]
    rest = list(search)
    assert len(model.calls) > calls
    assert [tuple(map(int, found.tokens)) for found in (first, *rest)] == texts(whole)
    assert search.kappa == whole.kappa
    assert list(search) == []


def test_a_search_that_runs_is_not_asked_again():
    plain, asked = Random(8), []

    def model(prefixes):
        if asked:
            next(asked.pop())
        return plain(prefixes)

    search = SequenceSearch(model, 3, 3, rng=0)
    asked.append(search)
    with pytest.raises(ValueError, match=r"^search: is running already"):
        next(search)
    found = [one.priority for one in search]
    assert found == [one.priority for one in SequenceSearch(plain, 3, 3, rng=0)]


def test_a_search_goes_on_after_an_error():
    model, broken = Random(9), [True]

    def flaky(prefixes):
        if len(prefixes[0]) == 2 and broken:
            broken.clear()
            raise OSError("away")
        return model(prefixes)

    search = SequenceSearch(flaky, 5, 4, rng=0)
    with pytest.raises(OSError, match="away"):
        list(search)
    tokens = [found.tokens.tolist() for found in search]
    whole = sample_without_replacement(model, 5, 4, rng=0)
    assert tokens == [list(text) for text in texts(whole)]


@pytest.mark.parametrize("function", [sample_without_replacement, priority_sample])
def test_ctrl_c_keeps_what_is_found(function):
    given = {"rng": 0} if function is sample_without_replacement else {}
    whole = function(Random(10), 30, 5, node_batch_size=1, **given)

    def stop(done, total):
        assert total == 30
        if done == 7:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(sortes.Interrupted) as caught:
        function(Random(10), 30, 5, node_batch_size=1, progress=stop, **given)
    part = caught.value.partial
    assert texts(part) == texts(whole)[:7]
    if given:
        assert part.kappa == whole.perturbed[7]
    kept = function(
        Random(10), 30, 5, node_batch_size=1, progress=stop, on_interrupt="return", **given
    )
    assert texts(kept) == texts(part)


def test_progress_counts_sequences():
    seen = []
    sample_without_replacement(Random(), 4, 3, rng=0, progress=lambda *told: seen.append(told))
    assert seen == [(i, 4) for i in range(1, 5)]


MODEL = Random()
BAD = {
    "model": (lambda: priority_sample(None, 1, 1), TypeError, "model: must be callable"),
    "samples": (lambda: priority_sample(MODEL, -1, 1), ValueError, "num_samples: must be at least"),
    "tokens": (lambda: priority_sample(MODEL, 1, 0), ValueError, "max_new_tokens: must be in"),
    "beams": (lambda: stochastic_beam_search(MODEL, 0, 1), ValueError, "num_beams: must be at"),
    "priority": (
        lambda: priority_sample(MODEL, 1, 1, priority="gumbel"),
        ValueError,
        "priority: must be 'token' or 'sequence'",
    ),
    "method": (
        lambda: sample_without_replacement(MODEL, 1, 1, rng=0).mean([1.0], method=np.ones(2)),
        TypeError,
        "method: must be 'self_normalized', 'threshold' or 'unordered'",
    ),
    "ends": (
        lambda: priority_sample(MODEL, 1, 1, eos_token_id=[-1]),
        ValueError,
        "eos_token_id: item 0 must be in",
    ),
    "batch": (
        lambda: priority_sample(MODEL, 1, 1, node_batch_size=0),
        ValueError,
        "node_batch_size: must be at least 1",
    ),
    "chance": (
        lambda: priority_sample(MODEL, 1, 1, xtc_probability=0.5, xtc_threshold=0.1),
        ValueError,
        "rules: must not act at random",
    ),
    "rng": (
        lambda: SequenceSearch(MODEL, 1, 1, priority="token", rng=0),
        ValueError,
        "rng: must not be given with the priority 'token'",
    ),
    "rows": (
        lambda: priority_sample(lambda prefixes: np.zeros((2, 3)), 1, 1),
        ValueError,
        "model: must return 1 rows of logits, got 2",
    ),
    "none": (lambda: priority_sample(lambda p: None, 1, 1), TypeError, "model: must return logits"),
    "width": (
        lambda: priority_sample(lambda p: np.zeros((len(p), 3 + len(p[0]))), 2, 2),
        ValueError,
        "model: must return 3 logits in each row, as before, got 4",
    ),
    "nan": (
        lambda: priority_sample(lambda prefixes: np.full((1, 3), np.nan), 1, 1),
        ValueError,
        r"model: logits: row 0: contains NaN or \+inf",
    ),
    "nothing": (
        lambda: sample_without_replacement(lambda p: np.full((1, 3), -np.inf), 1, 1),
        ValueError,
        "model: logits: row 0: no finite logit",
    ),
    "interrupt": (
        lambda: priority_sample(MODEL, 1, 1, on_interrupt="stop"),
        ValueError,
        "on_interrupt: must be",
    ),
    "rule": (lambda: priority_sample(MODEL, 1, 1, top_p=2.0), ValueError, "top_p: must be in"),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_bad_values(call, error, message):
    with pytest.raises(error, match=rf"^{message}"):
        call()


def test_the_table_model_agrees():
    """What the law tests stand on: texts and probabilities of a table are those of the search."""
    model = TableModel.random(np.random.default_rng(0), 4, 3, 1.0)
    logits = dict(zip(model.prefixes, model.logits, strict=True))

    def call(prefixes):
        return np.stack([logits[",".join(map(str, prefix))] for prefix in prefixes])

    drawn = sample_without_replacement(call, 10_000, 3, eos_token_id=0, rng=0)
    assert sorted(texts(drawn)) == sorted(model.texts)
    law = dict(zip(model.texts, model.law, strict=True))
    want = [law[text] for text in texts(drawn)]
    assert np.exp(drawn.logprobs) == pytest.approx(want, rel=1e-5)
