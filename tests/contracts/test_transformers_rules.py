"""Our kept sets are those of Transformers' classes, but for tokens at the very threshold.

Transformers normalises in float32, with a relative error of up to 1.4e-5 for large vocabularies.
Tokens whose decisive quantity, in float64, lies within 2e-5 of the threshold are left out.
"""

import numpy as np
import pytest
from sortes.decode import keep_mask

torch = pytest.importorskip("torch")
process = pytest.importorskip("transformers.generation.logits_process")

BAND = 2e-5

#: Vocabulary, rows per batch, batches: 300 rows in all.
SHAPES = [
    (8, 7, 10),
    (50, 1, 20),
    (257, 7, 10),
    (1000, 1, 30),
    (4099, 7, 8),
    (32_000, 1, 20),
    (50_257, 1, 7),
    (50_257, 7, 2),
    (128_256, 1, 4),
    (262_144, 1, 2),
    (262_144, 7, 1),
    (300_000, 1, 2),
]


def flat(rng, shape):
    return rng.normal(size=shape, scale=0.7)


def peaked(rng, shape):
    return rng.normal(size=shape, scale=5.0)


def realistic(rng, shape):
    """Zipf's law with noise, in random order."""
    ranks = rng.permuted(np.broadcast_to(np.arange(1, shape[1] + 1), shape), axis=1)
    return 10 - 1.3 * np.log(ranks) + rng.normal(size=shape, scale=1.0)


SHAPES_OF_LAWS = [flat, peaked, realistic]


class Law:
    """The law of each row in float64, and orders of its tokens."""

    def __init__(self, x):
        self.x = x.astype(np.float64)
        weights = np.exp(self.x - self.x.max(1, keepdims=True))
        self.p = weights / weights.sum(1, keepdims=True)
        self.surprise = -np.log(self.p)
        self.entropy = (self.p * self.surprise).sum(1, keepdims=True)

    def before(self, rank):
        """The mass of the tokens of smaller rank, and up to and with each token."""
        order = np.argsort(rank, axis=1, kind="stable")
        through = np.cumsum(np.take_along_axis(self.p, order, 1), axis=1)
        back = np.argsort(order, axis=1, kind="stable")
        through = np.take_along_axis(through, back, 1)
        return through - self.p, through


def near(value, threshold, scale=None):
    return np.abs(value - threshold) <= BAND * np.abs(threshold if scale is None else scale)


def near_top_k(law, k):
    return np.zeros_like(law.p, bool)


def near_top_p(law, top_p):
    # Transformers compares the mass from the other end with 1 - top_p, whose error is absolute.
    before, _ = law.before(-law.x)
    return near(before, top_p, 1.0)


def near_min_p(law, min_p):
    return near(law.p, min_p * law.p.max(1, keepdims=True))


def near_typical(law, mass):
    # An error of the entropy moves the window, and with it the order of all tokens.
    distance = np.abs(law.surprise - law.entropy)
    before, through = law.before(distance)
    size = np.where(before < mass, distance, 0).max(1, keepdims=True)
    at_the_cut = near(before, mass, 1.0) | near(through, mass, 1.0)
    return at_the_cut | near(distance, size, 2 + law.entropy)


def near_epsilon(law, epsilon):
    return near(law.p, epsilon)


def near_eta(law, epsilon):
    return near(law.p, np.minimum(epsilon, np.sqrt(epsilon) * np.exp(-law.entropy)))


def near_top_h(law, top_h):
    ids = np.argsort(-law.x, axis=1, kind="stable")[:, :100]
    q = np.take_along_axis(law.p, ids, 1)
    q /= q.sum(1, keepdims=True)
    spent = np.cumsum(-q * np.log(q), axis=1)
    found = np.zeros_like(law.p, bool)
    np.put_along_axis(found, ids, near(spent, top_h * spent[:, -1:]), 1)
    return found


RULES = [
    ("TopKLogitsWarper", "top_k", "top_k", near_top_k, [1, 7, 50, 5000]),
    ("TopPLogitsWarper", "top_p", "top_p", near_top_p, [0.0, 0.1, 0.5, 0.9, 0.99]),
    ("MinPLogitsWarper", "min_p", "min_p", near_min_p, [0.02, 0.1, 0.5, 1.0]),
    ("TypicalLogitsWarper", "mass", "typical_p", near_typical, [0.2, 0.9, 0.95]),
    ("EpsilonLogitsWarper", "epsilon", "epsilon_cutoff", near_epsilon, [3e-4, 9e-4, 0.05]),
    ("EtaLogitsWarper", "epsilon", "eta_cutoff", near_eta, [3e-4, 2e-3, 0.05]),
    ("TopHLogitsWarper", "top_h", "top_h", near_top_h, [0.2, 0.4, 0.9]),
]
LEAST = [1, 1, 1, 3]


@pytest.mark.parametrize("rule", RULES, ids=[rule[2] for rule in RULES])
@pytest.mark.parametrize("shape", SHAPES, ids=[f"{v}x{b}" for v, b, _ in SHAPES])
def test_kept_sets(rule, shape):
    name, theirs, ours, near_threshold, values = rule
    warper = getattr(process, name, None)
    if warper is None:
        pytest.skip(f"this transformers has no {name}")
    size, batch, batches = shape
    rng = np.random.default_rng(size + batch)
    compared = undecided = 0
    for i in range(batches):
        x = SHAPES_OF_LAWS[i % 3](rng, (batch, size)).astype(np.float32)
        value = values[i % len(values)]
        least = LEAST[i % len(LEAST)] if ours != "top_h" else 1
        more = {} if ours == "top_h" else {"min_tokens_to_keep": least}
        scores = torch.from_numpy(x)
        wanted = torch.isfinite(warper(**{theirs: value}, **more)(None, scores)).numpy()
        kept = keep_mask(x, **{ours: value}, **more)
        near = near_threshold(Law(x), value)
        differ = (kept != wanted) & ~near
        assert not differ.any(), (i, value, least, np.argwhere(differ)[:5], kept.sum(1))
        compared, undecided = compared + x.size, undecided + int(near.sum())
    # The band is thin: it hides nothing but the neighbourhood of the threshold.
    assert undecided <= 2 * batch * batches + 0.005 * compared


def test_parameters_row_by_row_are_calls_row_by_row(backend):
    x = np.stack(
        [law(np.random.default_rng(i), (1, 5000))[0] for i, law in enumerate(SHAPES_OF_LAWS)]
    )
    x = x.astype(np.float32)
    for _, _, name, _, values in RULES:
        kept = backend(keep_mask, x, **{name: values[:3]})
        for row in range(3):
            alone = backend(keep_mask, x[row], **{name: values[row]})
            np.testing.assert_array_equal(kept[row], alone)
