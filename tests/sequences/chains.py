"""The exact law of chains of texts on a table: by our rule, and by one that was released."""

import numpy as np


def proposals_of(model, power, legal=None):
    """Return what is proposed behind each beginning: the powers of the legal tokens."""
    proposals = {}
    for prefix, p in model.probs.items():
        q = p**power
        if legal is not None:
            q = q * [legal((*_text(prefix), token)) for token in range(len(q))]
        proposals[prefix] = q / q.sum() if q.any() else q
    return proposals


def chain(model, alpha, proposals=None, *, released=False):
    """Return the texts in which a chain may be, the law of its first one, and that of a transition.

    `proposals` are by default the powers `alpha`.

    The released rule is that of "Reasoning with Sampling" with one block, as its code reads: a tail
    is drawn up to the length *of the text*, the old tail is compared as far as the new one reaches,
    and texts of any length count alike. Its texts may be cut before the largest length.
    """
    longest, eos = model.max_len, model.eos
    proposals = proposals or proposals_of(model, alpha)
    cut_short = [text for text in map(_text, model.prefixes) if text]
    states = [*model.texts, *(cut_short if released else [])]
    number = {text: i for i, text in enumerate(states)}

    def tails(text, length):
        """What may be drawn behind a beginning, and how likely."""
        if len(text) == length or (text and text[-1] == eos):
            return {text: 1.0}
        found = {}
        for token, p in enumerate(proposals[_name(text)]):
            for longer, q in tails((*text, token), length).items() if p > 0 else ():
                found[longer] = p * q
        return found

    def ln_w(text, start, end):
        """The logarithm of the power of some tokens over their chance in the proposal."""
        ln_p = np.log([model.probs[_name(text[:i])][text[i]] for i in range(start, end)])
        ln_q = np.log([proposals[_name(text[:i])][text[i]] for i in range(start, end)])
        return (alpha * ln_p - ln_q).sum()

    first, moves = np.zeros(len(states)), np.zeros((len(states), len(states)))
    for text, q in tails((), longest).items():
        first[number[text]] = q
    for text, i in number.items():
        n = len(text)
        if not all(proposals[_name(text[:k])][text[k]] > 0 for k in range(n)):
            continue  # nothing that is proposed
        for cut in range(n):
            for new, q in tails(text[:cut], n if released else longest).items():
                end = len(new) if released else n
                ratio = np.exp(ln_w(new, cut, len(new)) - ln_w(text, cut, end))
                if not released:
                    ratio *= n / len(new)
                taken = min(1.0, ratio)
                moves[i, number[new]] += q * taken / n
                moves[i, i] += q * (1 - taken) / n
    return states, first, moves


def simulated(model, alpha, steps, rng):
    """A text by the released rule, as its code goes about it."""
    eos = model.eos
    proposals = proposals_of(model, alpha)

    def tail(text, length):
        """Return a text, and the logarithms of its new tokens by proposal and by power."""
        by_proposal, by_power = [], []
        while len(text) < length and (not text or text[-1] != eos):
            q, p = proposals[_name(text)], model.probs[_name(text)]
            token = int(rng.choice(len(q), p=q))
            text = [*text, token]
            by_proposal.append(np.log(q[token]))
            by_power.append(alpha * np.log(p[token]))
        return text, by_proposal, by_power

    text, ln_q, ln_p = tail([], model.max_len)
    for _ in range(steps):
        cut = int(rng.integers(len(text)))
        new, new_q, new_p = tail(text[:cut], len(text))
        end = len(new)
        ratio = sum(new_p) + sum(ln_q[cut:end]) - sum(ln_p[cut:end]) - sum(new_q)
        if rng.random() < np.exp(ratio):
            text, ln_q, ln_p = new, ln_q[:cut] + new_q, ln_p[:cut] + new_p
    return tuple(text)


def _name(text):
    return ",".join(map(str, text))


def _text(name):
    return tuple(map(int, filter(None, name.split(","))))
