"""Verifiers as their papers state them, in float64, with given uniforms; and exact laws by enumeration."""

import itertools

import numpy as np
from sortes import _core, _philox
from sortes._rng import as_stream

#: Numbers of a text that belong to its last token.
LAST = 16


def uniforms(rng, step, texts, count):
    """The numbers by which texts are verified: of the last token, and of the drafted ones."""
    stream = as_stream(rng, step)
    key = stream.key & 0xFFFFFFFF, stream.key >> 32
    ids = np.arange(texts, dtype=np.int64)
    purpose = _core.PURPOSES["verify"]
    bits = _philox.sequences(key, ids, stream.step, purpose, LAST + count)
    bits = np.asarray(bits) * _philox.ULP
    return bits[:, 0], bits[:, LAST:]


def exponentials(rng, step, texts, width):
    """The exponentials of races: one for each text and token."""
    stream = as_stream(rng, step)
    key = stream.key & 0xFFFFFFFF, stream.key >> 32
    tokens, ids = np.meshgrid(np.arange(width), np.arange(texts))
    purpose = _core.PURPOSES["race"] << 16
    words = _philox.block(key, (tokens, stream.step, ids, purpose))
    w0, w1, w2, w3 = (word.astype(np.uint64) for word in words)
    first, second = w1 << np.uint64(32) | w0, w3 << np.uint64(32) | w2
    zeros = 63 - np.floor(np.log2(np.maximum(first, 1).astype(np.longdouble))).astype(np.uint64)
    bits = (np.uint64(1022) - zeros) << np.uint64(52) | second >> np.uint64(12)
    return -np.log1p(-bits.view(np.float64))


def walk(weights, u):
    """The first index whose running weight exceeds `u` times the total."""
    through = np.cumsum(weights)
    return int(np.searchsorted(through, u * through[-1], "right"))


def excess(a, p, q):
    """What `a p` exceeds `q` by; `p` where that is nothing."""
    left = np.maximum(a * p - q, 0)
    return left if left.sum() > 0 else p


def by_token(tokens, p, q, accept, last):
    """Leviathan et al., algorithm 1."""
    for i, x in enumerate(tokens):
        if accept[i] * q[i][x] >= p[i][x]:
            return i, walk(excess(1, p[i], q[i]), last)
    return len(tokens), walk(p[-1], last)


def block_chances(tokens, p, q):
    """The numbers `pi` and `h` of Sun et al., algorithm 2."""
    pi, h = [1.0], []
    for i, x in enumerate(tokens):
        pi.append(min(1.0, pi[-1] * p[i][x] / q[i][x]))
    for i in range(1, len(tokens)):
        r = np.maximum(pi[i] * p[i] - q[i], 0).sum()
        h.append(1.0 if r == 0 and pi[i] == 1 else r / (r + 1 - pi[i]))
    return pi, [*h, pi[-1]]


def by_block(tokens, p, q, accept, last):
    """Sun et al., algorithm 2: all positions are asked, the last yes counts."""
    pi, h = block_chances(tokens, p, q)
    stand = 0
    for i in range(len(tokens)):
        if accept[i] < h[i]:
            stand = i + 1
    if stand == len(tokens):
        return stand, walk(p[-1], last)
    return stand, walk(excess(pi[stand], p[stand], q[stand]), last)


class Chain:
    """A target and a draft whose laws depend on all tokens before, as the vectors give them."""

    def __init__(self, case):
        self.vocab, self.gamma = case["vocab"], case["gamma"]
        self.target = {self.key(k): np.array(v) for k, v in case["target"].items()}
        self.draft = {self.key(k): np.array(v) for k, v in case["draft"].items()}

    @staticmethod
    def key(text):
        return tuple(int(token) for token in text.split(",")) if text else ()

    def texts(self, length):
        """All texts of a length."""
        return list(itertools.product(range(self.vocab), repeat=length))

    def laws(self, text):
        """The laws at the positions of a draft: the target's has one more."""
        p = [self.target[text[:i]] for i in range(len(text) + 1)]
        return p, [self.draft[text[:i]] for i in range(len(text))]

    def probability(self, table, text):
        """How likely a text is."""
        return float(np.prod([table[text[:i]][x] for i, x in enumerate(text)]))

    def outcomes(self, method, text):
        """How likely each number of standing tokens is, and the law of the token that follows."""
        p, q = self.laws(text)
        g = len(text)
        if method == "token":
            stands, still = [], 1.0
            for i, x in enumerate(text):
                a = min(1.0, p[i][x] / q[i][x])
                stands.append(still * (1 - a))
                still *= a
            stands.append(still)
            pi = [1.0] * g
        else:
            pi, h = block_chances(text, p, q)
            falls = np.concatenate([np.cumprod(1 - np.array(h[::-1]))[::-1], [1.0]])
            stands = [falls[0], *(h[i] * falls[i + 1] for i in range(g))]
        for i, chance in enumerate(stands):
            law = p[g] if i == g else excess(pi[i], p[i], q[i])
            yield i, chance, law / law.sum()

    def law(self, method):
        """The exact law of the first gamma + 1 tokens, and how many stand on average."""
        found, mean = dict.fromkeys(self.texts(self.gamma + 1), 0.0), 0.0
        for text in self.texts(self.gamma):
            drafted = self.probability(self.draft, text)
            for stand, chance, law in self.outcomes(method, text):
                mean += drafted * chance * stand
                for x, p in enumerate(law):
                    start = (*text[:stand], x)
                    for rest in self.texts(self.gamma - stand):
                        whole = start + rest
                        more = [self.target[whole[:i]][whole[i]]
                                for i in range(stand + 1, self.gamma + 1)]
                        found[whole] += drafted * chance * p * float(np.prod(more))
        return found, mean
