"""The law of draws without replacement, against everything that a small model can say."""

import itertools

import numpy as np
import pytest
from lawlib import assert_cdf, assert_law, assert_mean
from sequences.models import TableModel
from sortes import _core
from sortes.sequences import TokenAutomaton, Vocabulary, sample_without_replacement
from vectors import load

SBS = load("sequences/gumbel.json")["sbs"]
DRAWS = 100_000


def searches(model, k, draws, seed, constraint=None):
    """Run many searches on a table: the numbers of the texts, perturbed values, kappas."""
    numbers = {text: i for i, text in enumerate(model.texts)}
    logits = dict(zip(model.prefixes, model.logits, strict=True))
    rules = _core.decode.sampling.Rules({}, [])
    out, values, kappas = np.empty((draws, k), int), np.empty((draws, k)), np.empty(draws)
    known = {}
    for i, stream in enumerate(_core.Stream(seed).split(draws)):
        tree = _core.sequences.tree.SequenceTree(
            "gumbel", k, model.max_len, [0], stream, constraint
        )
        while not tree.is_finished:
            nodes = tree.next_batch(k)
            names = tuple(",".join(map(str, tree.path(node))) for node in nodes.tolist())
            if names not in known:
                known[names] = np.stack([logits[name] for name in names])
            tree.expand(nodes, (known[names], False, rules, None, None, None), None)
        found = tree.found(0, k)
        out[i] = [numbers[tuple(tokens.tolist())] for tokens, *_ in found]
        values[i], kappas[i] = [one[2] for one in found], tree.kappa
    return out, values, kappas


def pairs_law(law):
    """The law of the first two draws, by their numbers."""
    first, second = law[:, None], law[None, :]
    both = first * second / (1 - first)
    np.fill_diagonal(both, 0)
    return both


@pytest.mark.law
def test_pairs_of_the_vectors():
    model = TableModel(SBS["lm"]["table"], SBS["lm"]["max_len"], SBS["lm"]["eos"])
    named = {tuple(map(int, name.split(","))): p for name, p in SBS["leaf_probs"].items()}
    assert model.law == pytest.approx([named[text] for text in model.texts], rel=1e-5)
    law = pairs_law(np.array([named[text] for text in model.texts]))
    numbers = {text: i for i, text in enumerate(model.texts)}
    for a, b, p in SBS["ordered_pairs"]:
        assert law[numbers[tuple(a)], numbers[tuple(b)]] == pytest.approx(p, rel=1e-9)
    drawn, _, _ = searches(model, 2, DRAWS, seed=1)
    counts = np.zeros(law.shape, int)
    np.add.at(counts, (drawn[:, 0], drawn[:, 1]), 1)
    assert_law(counts.ravel(), law.ravel() / law.sum())


@pytest.mark.law
@pytest.mark.parametrize("completes", [True, False])
def test_pairs_that_match(completes):
    """With a regular expression: what may follow a beginning has the model's law given that."""
    model = TableModel.random(np.random.default_rng(7), 4, 3, 0.7)
    automaton = TokenAutomaton("(ab)*a?", Vocabulary([None, b"a", b"b", b"ab"], eos_token_id=0))
    law = np.zeros(len(model.texts))
    for i, text in enumerate(model.texts):
        state, p = automaton.start, 1.0
        for place, token in enumerate(text):
            legal = automaton.allowed(state).tolist()
            if completes:
                left = model.max_len - place - 1
                after = {t: automaton.advance(state, t) for t in legal}
                legal = [t for t in legal if automaton.shortest(after[t]) <= left]
            row = model.probs[",".join(map(str, text[:place]))]
            if token not in legal:
                break
            p *= row[token] / row[legal].sum()
            state = automaton.advance(state, token)
        else:
            law[i] = p
    assert law.sum() == pytest.approx(1)
    pairs = pairs_law(law)
    drawn, _, _ = searches(model, 2, DRAWS, seed=8, constraint=(automaton._native, completes))
    counts = np.zeros(pairs.shape, int)
    np.add.at(counts, (drawn[:, 0], drawn[:, 1]), 1)
    assert_law(counts.ravel(), pairs.ravel() / pairs.sum())


@pytest.mark.law
def test_triples_values_and_estimates():
    model = TableModel.random(np.random.default_rng(4), 3, 2, 0.7)
    law, k = model.law / model.law.sum(), 3
    drawn, values, kappas = searches(model, k, 30_000, seed=2)

    # 1. Which, in which order.
    orders = list(itertools.permutations(range(len(law)), k))
    probs = []
    for order in orders:
        p, left = 1.0, 1.0
        for item in order:
            p, left = p * law[item] / left, left - law[item]
        probs.append(p)
    place = {order: i for i, order in enumerate(orders)}
    counts = np.bincount([place[tuple(row)] for row in drawn.tolist()], minlength=len(orders))
    assert_law(counts, np.array(probs) / sum(probs))

    # 2. The first value is a standard Gumbel variable: the root is drawn.
    assert_cdf(values[:, 0], lambda x: np.exp(-np.exp(-x)))

    # 3. Given kappa the others have the weights that make sums unbiased.
    f = np.arange(len(law)) ** 2.0
    q = -np.expm1(-np.exp(np.log(law[drawn]) - kappas[:, None]))
    weights = law[drawn] / q
    assert_mean((weights * f[drawn]).sum(1), law @ f)
    assert_mean(weights.sum(1), 1.0)


@pytest.mark.law
def test_the_first_is_an_exact_sample_of_a_long_row():
    """With rules, in a row that is not listed: the tokens are drawn in two levels."""
    rng = np.random.default_rng(0)
    logits = np.full((1, 20_000), -30.0, np.float32)
    logits[0, rng.permutation(20_000)[:40]] = rng.normal(0, 1, 40)
    rules = _core.decode.sampling.Rules({}, [])
    law = np.exp(logits[0].astype(float))
    law /= law.sum()
    drawn = np.empty((20_000, 2), int)
    for i, stream in enumerate(_core.Stream(3).split(len(drawn))):
        tree = _core.sequences.tree.SequenceTree("gumbel", 2, 1, [], stream)
        tree.expand(tree.next_batch(1), (logits, False, rules, None, None, None), None)
        drawn[i] = [tokens[0] for tokens, *_ in tree.found(0, 2)]
    assert_law(np.bincount(drawn[:, 0], minlength=len(law)), law)
    # The second, from those that are left.
    second = np.array([law @ (law[t] / (1 - law)) - law[t] * law[t] / (1 - law[t])
                       for t in range(len(law))])  # fmt: skip
    assert_law(np.bincount(drawn[:, 1], minlength=len(law)), second / second.sum())


def test_xtc_acts_on_some_beginnings():
    """Chance in the rules is that of a beginning, and the same however it is reached."""
    logits = np.log(np.float32([0.5, 0.3, 0.2]))

    def model(prefixes):
        return np.tile(logits, (len(prefixes), 1))

    rules = {"xtc_probability": 0.5, "xtc_threshold": 0.25}
    drawn = sample_without_replacement(model, 200, 4, rng=0, node_batch_size=1, **rules)
    again = sample_without_replacement(model, 200, 4, rng=0, node_batch_size=64, **rules)
    assert np.array_equal(drawn.tokens, again.tokens)
    assert 1 < len(drawn) < 3**4
    assert np.exp(drawn.logprobs).sum() == pytest.approx(1, rel=1e-5)
