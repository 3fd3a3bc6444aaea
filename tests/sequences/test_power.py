"""Powers of whole texts: one result for all threads and batches, ends, bad input, Ctrl-C."""

import signal

import numpy as np
import pytest
import sortes
from sequences.models import EOS, MATCH, TOKENS, toy
from sortes.sequences import PowerSequences, TokenAutomaton, power_sample

METHODS = {
    "smc": {"num_particles": 12, "ess_threshold": 0.9},
    "mcmc": {"num_particles": 5, "num_steps": 3, "num_blocks": 3},
    "exact": {"num_particles": 7, "max_nodes": 100_000},
}


class Wide:
    """A model of many tokens, which counts what it is asked."""

    def __init__(self, size=3000, dtype=np.float32):
        self.size, self.dtype, self.asked = size, dtype, []

    def __call__(self, prefixes):
        self.asked.append([tuple(map(int, prefix)) for prefix in prefixes])
        return np.stack([self.row(prefix) for prefix in self.asked[-1]])

    def row(self, prefix):
        rng = np.random.default_rng([5, *prefix])
        return rng.gumbel(0, 3, self.size).astype(self.dtype)


def same(a, b):
    """Whether two results are equal, to the bit."""
    names = ("tokens", "lengths", "logprobs", "log_weights", "complete", "resampled_at")
    equal = [np.array_equal(getattr(a, name), getattr(b, name)) for name in names]
    numbers = [a.log_z, a.acceptance], [b.log_z, b.acceptance]
    return all(equal) and repr(numbers[0]) == repr(numbers[1])


@pytest.mark.parametrize("method", METHODS)
def test_neither_threads_nor_batches_matter(method):
    length = 3 if method == "exact" else 8
    rules = {"top_k": 40, "temperature": 0.8} if method == "exact" else {"top_p": 0.9}
    common = {"method": method, "eos_token_id": [3, 5], "rng": 4, **rules, **METHODS[method]}
    first = power_sample(Wide(), length, **common)
    assert isinstance(first, PowerSequences)
    for threads in (1, 2, 7):
        for together in (1, 3, 1000):
            again = power_sample(
                Wide(), length, num_threads=threads, node_batch_size=together, **common
            )
            assert same(first, again)
    assert not same(first, power_sample(Wide(), length, **{**common, "rng": 5}))
    assert not same(first, power_sample(Wide(), length, step=1, **common))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_types_of_logits(dtype):
    made = power_sample(Wide(200, dtype), 5, rng=0)
    wide = power_sample(lambda p: Wide(200, dtype)(p).astype(np.float32), 5, rng=0)
    assert same(made, wide)


def test_particles_are_asked_about_once():
    """Equal beginnings are one row; those that have ended or died are none."""
    model = Wide(50)
    made = power_sample(model, 10, alpha=4.0, num_particles=32, eos_token_id=range(10), rng=0)
    assert model.asked[0] == [()]
    for position, rows in enumerate(model.asked):
        assert len(set(rows)) == len(rows) <= 32
        assert {len(row) for row in rows} == {position}
    assert made.ancestors.shape == (len(made.resampled_at), 32)
    assert np.all(np.diff(made.ancestors, axis=1) >= 0)
    for row, length, complete in zip(made.tokens, made.lengths, made.complete, strict=True):
        ends = np.flatnonzero((row[:length] >= 0) & (row[:length] < 10))
        assert list(ends) == ([length - 1] if complete else [])
        assert np.all(row[length:] == -1)
        assert complete or length == 10


def test_more_particles_keep_the_first_tokens():
    """The tokens of a particle do not depend on how many others there are."""
    common = {"ess_threshold": 0.0, "rng": 3}
    few = power_sample(Wide(100), 6, num_particles=4, **common)
    many = power_sample(Wide(100), 6, num_particles=40, **common)
    assert np.array_equal(few.tokens, many.tokens[:4])


def test_a_power_of_one_weighs_nothing():
    made = power_sample(Wide(100), 6, alpha=1.0, rng=0)
    assert made.log_z.value == pytest.approx(0, abs=1e-6)
    assert made.log_z.stderr == pytest.approx(0, abs=1e-6)
    assert made.ess == pytest.approx(16)
    assert len(made.resampled_at) == 0
    drawn = power_sample(Wide(100), 6, alpha=1.0, method="mcmc", num_steps=4, rng=0)
    assert drawn.acceptance == 1  # texts of one length


def test_log_probabilities():
    model = Wide(40)
    for method, settings in METHODS.items():
        made = power_sample(model, 3, method=method, rng=1, temperature=0.7, **settings)
        for tokens, length, logprob in zip(made.tokens, made.lengths, made.logprobs, strict=True):
            total = 0.0
            for i, token in enumerate(tokens[:length]):
                row = model.row(tuple(tokens[:i])).astype(float) / 0.7
                total += row[token] - row.max() - np.log(np.exp(row - row.max()).sum())
            assert logprob == pytest.approx(total, abs=1e-5)


def test_the_whole_list_of_a_large_vocabulary():
    """Only what matters is looked at: two tokens of 3,000 each."""
    model = Wide()
    made = power_sample(model, 2, method="exact", alpha=4.0, rng=0)
    rows = np.stack([model.row(())] + [model.row((t,)) for t in range(3000)]).astype(float)
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    log_z = np.log(np.exp(4 * (rows[0][:, None] + rows[1:])).sum())
    assert made.log_z.value == pytest.approx(log_z, abs=1e-6)
    asked_about = sum(map(len, model.asked[: -3001 + len(model.asked)])) or len(model.asked)
    assert asked_about < 3001


def test_matches():
    """Every text matches, whatever is proposed; and texts may be cut if that is said."""
    for method, settings in METHODS.items():
        for completes in (True, False):
            made = power_sample(
                toy().behind, 4, method=method, rng=0, alpha=2.0, automaton=MATCH,
                ensure_completion=completes, **settings,
            )  # fmt: skip
            for row, length, complete in zip(made.tokens, made.lengths, made.complete, strict=True):
                letters = [t for t in row[:length] if t != EOS]
                assert letters == [1, 2, 1, 2][: len(letters)]
                assert complete or not completes


def test_texts_that_die():
    """Where the rules leave nothing legal a particle has no weight, and the others go on."""

    def model(prefixes):
        rows = {(): [-np.inf, 1.0, 0.5], (1,): [0.0, -np.inf, 0.0], (2,): [-np.inf, 0.0, 0.0]}
        return np.stack([rows.get(tuple(p.tolist()), [0.0, 0.0, 0.0]) for p in prefixes])

    either = TokenAutomaton("ab|b", TOKENS)
    law = {"automaton": either, "alpha": 1.0, "rng": 0}
    made = power_sample(model, 3, num_particles=200, ess_threshold=0.0, **law)
    dead = made.tokens[:, 0] == 2
    assert dead.any()
    assert np.array_equal(dead, made.log_weights == -np.inf)
    assert set(made.tokens[made.pick(50, rng=1), 0]) == {1}
    truth = np.exp(1) / (np.exp(1) + np.exp(0.5)) / 2 / 3
    exact = power_sample(model, 3, method="exact", **law)
    assert np.exp(exact.log_z.value) == pytest.approx(truth)
    chains = power_sample(model, 3, method="mcmc", num_particles=50, **law)
    assert set(chains.tokens[chains.log_weights > -np.inf, 0]) == {1}

    # With two tokens the one that lives cannot end.
    gone = power_sample(lambda p: np.float32([[-np.inf, 0, -np.inf]] * len(p)), 2,
                        automaton=TokenAutomaton("a?", TOKENS), rng=0)  # fmt: skip
    assert np.all(gone.log_weights == -np.inf)
    assert gone.log_z.value == -np.inf
    assert gone.ess == 0
    with pytest.raises(ValueError, match=r"^weights: all 16 are zero"):
        gone.pick(rng=0)
    with pytest.raises(ValueError, match=r"^weights: all 16 are zero"):
        gone.mean(np.zeros(16))
    none = power_sample(lambda p: np.float32([[-np.inf, 0, -np.inf]] * len(p)), 2, method="exact",
                        automaton=TokenAutomaton("a?", TOKENS), rng=0)  # fmt: skip
    assert len(none) == 0
    assert none.log_z.value == -np.inf
    never = power_sample(lambda p: np.float32([[-np.inf, -np.inf, 0]] * len(p)), 2, method="mcmc",
                         automaton=TokenAutomaton("a?", TOKENS), rng=0)  # fmt: skip
    assert np.all(never.log_weights == -np.inf)
    assert np.all(never.lengths == 0)


def test_means():
    model = toy(2)
    law = model.law**2 / (model.law**2).sum()
    lengths = np.array([len(text) for text in model.texts])
    truth = law @ lengths
    for method, settings in {
        "smc": {"num_particles": 4000},
        "mcmc": {"num_particles": 4000, "num_steps": 20, "num_blocks": 1},
        "exact": {"num_particles": 4000},
    }.items():
        made = power_sample(model.behind, 4, alpha=2.0, method=method, eos_token_id=EOS, rng=3,
                            **settings)  # fmt: skip
        found = made.mean(made.lengths)
        assert 0.001 < found.stderr < 0.05
        assert abs(found.value - truth) < 5 * found.stderr


FLAT = [[0.0, 0.0, 0.0]]


def flat(prefixes):
    return np.zeros((len(prefixes), 3))


REFUSED = [
    ({"alpha": 0}, "alpha: must be in [0.001, 1000], got 0"),
    ({"alpha": -1.0}, "alpha: must be in"),
    ({"alpha": float("nan")}, "alpha: must be in"),
    ({"alpha": np.inf}, "alpha: must be in"),
    ({"num_particles": 0}, "num_particles: must be in [1, 2**31), got 0"),
    ({"num_particles": -3}, "num_particles: must be in"),
    ({"proposal_temperature": 0.0}, "proposal_temperature: must be in"),
    ({"proposal_temperature": float("nan")}, "proposal_temperature: must be in"),
    ({"ess_threshold": 1.5}, "ess_threshold: must be in [0, 1], got 1.5"),
    ({"resampling": "best"}, "resampling: must be"),
    ({"method": "beam"}, "method: must be"),
    ({"num_steps": 3}, "num_steps: is not used by the method 'smc', got 3"),
    ({"num_blocks": 3}, "num_blocks: is not used by the method 'smc'"),
    ({"max_nodes": 3}, "max_nodes: is not used by the method 'smc'"),
    ({"method": "mcmc", "ess_threshold": 0.5}, "ess_threshold: is not used by the method 'mcmc'"),
    ({"method": "exact", "resampling": "ssp"}, "resampling: is not used by the method 'exact'"),
    ({"method": "exact", "proposal_temperature": 1.0}, "proposal_temperature: is not used"),
    ({"method": "mcmc", "num_steps": 0}, "num_steps: must be in"),
    ({"method": "mcmc", "num_blocks": 6}, "num_blocks: must be at most max_new_tokens, 5, got 6"),
    ({"method": "exact", "max_nodes": 3}, "max_nodes: 3 beginnings do not list the texts"),
    ({"method": "exact", "max_nodes": 0}, "max_nodes: 0 beginnings do not list the texts"),
    ({"max_new_tokens": 0}, "max_new_tokens: must be in"),
    ({"node_batch_size": 0}, "node_batch_size: must be at least 1"),
    ({"on_interrupt": "stop"}, "on_interrupt: must be"),
    ({"ensure_completion": False}, "ensure_completion: must be True without an automaton"),
    ({"automaton": TokenAutomaton("a{7}", TOKENS)}, "max_new_tokens: must be at least 8"),
    ({"automaton": MATCH, "eos_token_id": 1}, "eos_token_id: must be those of the automaton"),
    ({"xtc_probability": 0.5, "xtc_threshold": 0.1}, "rules: must not act at random"),
    ({"temperature": [1.0]}, "temperature: must be one number for all texts"),
    ({"top_k": [2, 3]}, "top_k: must be one number for all texts"),
    ({"model": lambda p: np.full((len(p), 3), np.nan)}, "model: logits: row 0: contains NaN"),
    ({"model": lambda p: np.full((len(p), 3), np.inf)}, "model: logits: row 0: contains NaN"),
    ({"model": lambda p: np.full((len(p), 3), -np.inf)}, "model: logits: row 0: no finite logit"),
    ({"model": lambda p: np.zeros((len(p) + 1, 3))}, "model: must return 1 rows of logits, got 2"),
    ({"model": lambda p: np.zeros((len(p), 3 + len(p[0])))}, "model: must return 3 logits in each"),
    ({"model": lambda p: np.zeros((len(p), 2)), "automaton": MATCH}, "automaton: has a vocabulary"),
    ({"num_threads": 0}, "num_threads: must be at least 1"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=range(len(REFUSED)))
def test_bad_values(arguments, message):
    every = {"model": flat, "max_new_tokens": 5, "rng": 0, **arguments}
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[").replace("**", r"\*\*")
                       .replace("(", r"\(").replace(")", r"\)")):  # fmt: skip
        power_sample(**every)


def test_bad_types():
    for arguments, name in (
        ({"model": 3}, "model"), ({"model": lambda p: None}, "model"), ({"alpha": "4"}, "alpha"),
        ({"num_particles": 1.5}, "num_particles"), ({"automaton": "a"}, "automaton"),
        ({"rules": 3}, "rules"), ({"rng": "x"}, "rng"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"^{name}: "):
            power_sample(**{"model": flat, "max_new_tokens": 2, "rng": 0, **arguments})
    with pytest.raises(ValueError, match=r"^n: "):
        power_sample(flat, 2, rng=0).pick(0)
    with pytest.raises(ValueError, match=r"^values: must have shape"):
        power_sample(flat, 2, rng=0).mean([1.0])


def test_a_model_of_several_types():
    def model(prefixes):
        return np.zeros((len(prefixes), 3), np.float16 if len(prefixes) == 1 else np.float32)

    with pytest.raises(TypeError, match=r"^model: must return logits of one dtype"):
        power_sample(model, 3, alpha=1.0, num_particles=8, node_batch_size=2, rng=0)


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c(method):
    calls = []

    def model(prefixes):
        calls.append(len(prefixes))
        if len(calls) == 4:
            signal.raise_signal(signal.SIGINT)
        return flat(prefixes)

    with pytest.raises(sortes.Interrupted) as stop:
        power_sample(model, 6, method=method, rng=0, **METHODS[method])
    partial = stop.value.partial
    assert isinstance(partial, PowerSequences)
    if method == "smc":
        assert np.all(partial.lengths == 3)
    if method == "exact":
        assert len(partial) == 0
    calls.clear()
    part = power_sample(model, 6, method=method, rng=0, on_interrupt="return", **METHODS[method])
    assert same(part, partial)


@pytest.mark.parametrize("method", METHODS)
def test_progress(method):
    seen = []
    power_sample(flat, 3, method=method, rng=0, progress=lambda *at: seen.append(at),
                 **METHODS[method])  # fmt: skip
    assert seen == sorted(seen)
    totals = {"smc": {3}, "mcmc": {5 * 3 * 3}, "exact": {0}}
    assert {total for _, total in seen} == totals[method]
    if method != "exact":
        assert seen[-1][0] == seen[-1][1]


def test_first_texts_are_frozen():
    """They change only with the major version."""
    common = {"alpha": 1.5, "eos_token_id": EOS, "rng": 0}
    behind = toy(1, 0.5).behind
    smc = power_sample(behind, 4, num_particles=5, ess_threshold=0.99, **common)
    chains = power_sample(behind, 4, method="mcmc", num_particles=5, num_steps=2, **common)
    exact = power_sample(behind, 4, method="exact", num_particles=5, **common)
    texts = [["".join(map(str, row[:n])) for row, n in zip(made.tokens, made.lengths, strict=True)]
             for made in (smc, chains, exact)]  # fmt: skip
    assert texts == FROZEN
    assert smc.resampled_at.tolist() == AT


FROZEN = [["10", "10", "0", "0", "0"], ["1210", "0", "110", "210", "0"],
          ["210", "0", "1210", "1112", "0"]]  # fmt: skip
AT = [1, 2, 3]
