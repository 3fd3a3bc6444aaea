"""Language models that are tables, and texts drawn from them."""

import numpy as np
from sortes.sequences import TokenAutomaton, Vocabulary

#: Three tokens of which the first ends a text, and an expression over the others.
EOS = 0
TOKENS = Vocabulary([None, b"a", b"b"], eos_token_id=EOS)
MATCH = TokenAutomaton("(ab)*a?", TOKENS)


def toy(seed=0, spread=1.0):
    """A table of random laws: three tokens, and at most four of them."""
    return TableModel.random(np.random.default_rng(seed), 3, 4, spread)


class TableModel:
    """A language model of few tokens, from a table of next-token probabilities by prefix.

    Attributes
    ----------
    texts : list of tuple of int
        Every text that can come; texts are numbered by it.
    law : ndarray of float64
        Their probabilities.
    """

    def __init__(self, table, max_len, eos):
        self.prefixes = list(table)
        size = len(next(iter(table.values())))
        with np.errstate(divide="ignore"):
            self.logits = np.log(np.array([table[p] for p in self.prefixes])).astype(np.float32)
        probs = np.exp(self.logits.astype(float))
        probs /= probs.sum(1, keepdims=True)
        self.probs = {prefix: row for prefix, row in zip(self.prefixes, probs, strict=True)}
        self.max_len, self.eos = max_len, eos
        self.texts, law = [], []
        # A node is a prefix, or below zero the text that has ended.
        self.child = np.zeros((len(self.prefixes), size), np.int64)
        beginnings = {(): 1.0}
        for prefix in self.prefixes:
            text = tuple(map(int, filter(None, prefix.split(","))))
            for token in range(size):
                longer = (*text, token)
                p = beginnings[text] * self.probs[prefix][token]
                if token == eos or len(longer) == max_len:
                    self.texts.append(longer)
                    law.append(p)
                    node = -len(self.texts)
                else:
                    beginnings[longer] = p
                    node = self.prefixes.index(",".join(map(str, longer)))
                self.child[self.prefixes.index(prefix), token] = node
        self.beginnings = beginnings
        self.law = np.array(law)

    @classmethod
    def of(cls, vectors, name):
        """Return a model of the vectors; prefixes come after theirs."""
        lm = vectors["lms"][name]
        return cls(lm["table"], lm["max_len"], lm["eos"])

    @classmethod
    def random(cls, rng, size, max_len, spread):
        """Return a model of random logits."""
        table, prefixes = {}, [""]
        while prefixes:
            prefix = prefixes.pop(0)
            logits = rng.normal(0, spread, size)
            table[prefix] = np.exp(logits) / np.exp(logits).sum()
            longer = [f"{prefix},{token}".lstrip(",") for token in range(1, size)]
            if prefix.count(",") + (prefix != "") + 1 < max_len:
                prefixes += longer
        return cls(table, max_len, 0)

    def behind(self, prefixes):
        """Return the logits that follow beginnings."""
        names = [",".join(map(str, prefix.tolist())) for prefix in prefixes]
        return self.logits[[self.prefixes.index(name) for name in names]]

    def draw(self, codes, call=None, **arguments):
        """Run codes to the end of their texts; the numbers of the texts."""
        call = call or (lambda logits, **given: codes.step(logits, **given))
        node = np.zeros(len(codes), np.int64)
        for _ in range(self.max_len):
            finished = node < 0
            tokens = call(self.logits[node.clip(0)], finished=finished, **arguments)
            assert np.all((tokens == -1) == finished)
            node = np.where(finished, node, self.child[node.clip(0), tokens.clip(0)])
        assert np.all(node < 0)
        return -node - 1
