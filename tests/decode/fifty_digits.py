"""Kept sets of the float32 logits as arithmetic of fifty digits finds them, rule by rule.

Rows are few round probabilities, and thresholds lie on their sums: the roundings of the logits
decide. What is equal in fifty digits, as in rows whose tokens are all alike, counts as equal.
"""

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from sortes.decode._table import PARAMETERS, Parameter

ROWS = 1500
#: Probabilities are multiples of one in so many.
PARTS = 20
#: Nearer than this is equal: thresholds are float64.
EQUAL = Decimal("1e-14")


class Row:
    """One row in arithmetic of fifty digits; tokens are listed by their index."""

    def __init__(self, logits: np.ndarray, temperature: float) -> None:
        self.l = [Decimal(float(x)) / Decimal(temperature) for x in logits]
        weights = [(x - max(self.l)).exp() for x in self.l]
        z = sum(weights)
        self.p = [w / z for w in weights]
        self.surprise = [-p.ln() for p in self.p]
        self.entropy = sum(p * s for p, s in zip(self.p, self.surprise, strict=True))
        self.collision = sum(p * p for p in self.p)
        self.ids = range(len(self.l))

    def ranked(self, key: list[Decimal]) -> list[int]:
        """Return the tokens by `key`, the higher index first among equals."""
        return sorted(self.ids, key=lambda i: (key[i], -i))

    def likely(self) -> list[int]:
        return self.ranked(self.surprise)

    def at_least(self, threshold: Decimal) -> set[int]:
        """Return the tokens of at least this probability, and the most likely ones."""
        best = max(self.p)
        return {i for i in self.ids if reaches(self.p[i], min(threshold, best))}


#: How far apart what was compared lay, relative to it, where it was not equal.
distances: list[Decimal] = []


def reaches(x: Decimal, threshold: Decimal) -> bool:
    """Tell whether ``x >= threshold``."""
    apart = abs(x - threshold) / max(abs(x), abs(threshold), Decimal("1e-9"))
    if apart < EQUAL:
        return True
    distances.append(apart)
    return x > threshold


def top_p(row: Row, p: Decimal, boundary: str = "smallest") -> set[int]:
    kept, mass = set(), Decimal(0)
    for i in row.likely():
        through = mass + row.p[i]
        inside = {
            "smallest": not reaches(mass, p),
            "ties_all": not reaches(sum(q for q in row.p if q > row.p[i]), p),
            "lenient": reaches(p, mass),
            "exclude": reaches(p, through),
        }[boundary]
        if inside or not kept:
            kept.add(i)
        mass = through
    return kept


def typical(row: Row, p: Decimal) -> set[int]:
    distance = [abs(s - row.entropy) for s in row.surprise]
    mass, furthest = Decimal(0), Decimal(0)
    for i in row.ranked(distance):
        furthest = distance[i]
        mass += row.p[i]
        if reaches(mass, p):
            break
    return {i for i in row.ids if reaches(furthest, distance[i])}


def eta(row: Row, epsilon: Decimal) -> set[int]:
    return row.at_least(min(epsilon, epsilon.sqrt() * (-row.entropy).exp()))


def top_h(row: Row, share: Decimal) -> set[int]:
    kept, spent = set(), Decimal(0)
    for i in row.likely():
        spent += row.p[i] * row.surprise[i]
        if kept and not reaches(share * row.entropy, spent):
            break
        kept.add(i)
    return kept


def curvatures(p: list[Any]) -> list[Any]:
    return [abs(a - 2 * b + c) for a, b, c in zip(p, p[1:], p[2:], strict=False)]


def tfs(row: Row, z: Decimal) -> set[int]:
    likely = row.likely()
    curvature = curvatures([row.p[i] for i in likely])
    if sum(curvature) < Decimal("1e-30"):
        return set(row.ids)
    stay, total = 1, Decimal(0)
    for c in curvature:
        total += c / sum(curvature)
        if not reaches(z, total):
            break
        stay += 1
    return set(likely[:stay])


def p_less(row: Row, normalized: bool) -> set[int]:
    n, threshold = len(row.p), row.collision
    return row.at_least((n * threshold - 1) / (n - 1) if normalized else threshold)


def xtc(row: Row, threshold: Decimal) -> set[int]:
    # Of equals the highest index stays.
    likely = sorted(row.ids, key=lambda i: (row.surprise[i], i))
    return set(row.ids) - set([i for i in likely if reaches(row.p[i], threshold)][:-1])


def top_n_sigma(row: Row, n: Decimal) -> set[int]:
    mean = sum(row.l) / len(row.l)
    sigma = (sum((x - mean) ** 2 for x in row.l) / len(row.l)).sqrt()
    return {i for i in row.ids if reaches(n * sigma, max(row.l) - row.l[i])}


def partial_sums(values: np.ndarray) -> np.ndarray:
    return np.cumsum(values) / values.sum()


def entropy_of(p: np.ndarray) -> float:
    return float(-(p * np.log(p)).sum())


class Rule(NamedTuple):
    """A rule, and where it meets the round probabilities of a row.

    Attributes
    ----------
    name
        The parameter.
    kept
        The kept set of a row.
    values
        Values of the parameter at which the row comes to an end of the kept set, of the
        probabilities in descending order.
    beside
        Other arguments.
    """

    name: str
    kept: Callable[[Row, Decimal], set[int]]
    values: Callable[[np.ndarray], np.ndarray]
    beside: Mapping[str, Any] = {}


def by_typicality(p: np.ndarray) -> np.ndarray:
    return p[np.argsort(np.abs(np.log(p) + entropy_of(p)), kind="stable")]


def likely_shares(p: np.ndarray) -> np.ndarray:
    return np.round(np.cumsum(p), 2)


RULES = {
    **{
        f"top_p-{boundary}": Rule(
            "top_p",
            lambda row, p, boundary=boundary: top_p(row, p, boundary),
            likely_shares,
            {"top_p_boundary": boundary},
        )
        for boundary in ("smallest", "lenient", "ties_all", "exclude")
    },
    "typical": Rule("typical_p", typical, lambda p: np.round(np.cumsum(by_typicality(p)), 2)),
    "epsilon": Rule("epsilon_cutoff", Row.at_least, lambda p: p),
    "eta": Rule(
        "eta_cutoff", eta, lambda p: np.minimum(np.exp(2 * (np.log(p) + entropy_of(p))), p)
    ),
    "eta-entropy": Rule("eta_cutoff", eta, lambda p: np.exp(2 * (np.log(p) + entropy_of(p))) % 1),
    "top_a": Rule(
        "top_a", lambda row, a: row.at_least(a * max(row.p) ** 2), lambda p: p / p.max() ** 2
    ),
    "min_p": Rule("min_p", lambda row, m: row.at_least(m * max(row.p)), lambda p: p / p.max()),
    "top_h": Rule("top_h", top_h, lambda p: partial_sums(-p * np.log(p))),
    "tfs": Rule("tfs", tfs, lambda p: partial_sums(np.array(curvatures(list(p))) + 1e-300)),
    "p_less": Rule("p_less", lambda row, _: p_less(row, False), np.ones_like),
    "p_less-normalized": Rule(
        "p_less", lambda row, _: p_less(row, True), np.ones_like, {"p_less_normalized": True}
    ),
    "mirostat": Rule(
        "mirostat_mu",
        lambda row, mu: row.at_least((-mu * Decimal(2).ln()).exp()),
        lambda p: -np.log2(p),
    ),
    "xtc": Rule("xtc_threshold", xtc, lambda p: p, {"xtc_probability": 1.0}),
    "top_n_sigma": Rule(
        "top_n_sigma",
        top_n_sigma,
        lambda p: (np.log(p.max()) - np.log(p)) / max(np.log(p).std(), 1e-9),
    ),
}


def rows_of(count: int) -> list[np.ndarray]:
    """Return rows of three to six probabilities, multiples of 1/20, in random order."""
    rng = np.random.default_rng(5)
    rows = []
    for _ in range(count):
        cuts = rng.choice(np.arange(1, PARTS), rng.integers(2, 6), replace=False)
        rows.append(np.diff([0, *sorted(cuts), PARTS]) / PARTS)
    return rows


class Cases(NamedTuple):
    """Rows of one length, the parameter of each, and what is kept of each."""

    logits: np.ndarray
    values: np.ndarray
    kept: np.ndarray


def acts(parameter: Parameter, value: float) -> bool:
    """Tell whether a rule takes a value, and does not take it for none."""
    return value in parameter.domain and not (parameter.is_switch and parameter.is_off(value))


@cache
def cases(rule: str, temperature: float) -> tuple[list[Cases], Decimal]:
    """Return the cases of a rule, and how near to each other two numbers came that it compared."""
    rng = np.random.default_rng(6)
    found: dict[int, list[tuple[Any, ...]]] = {}
    name, kept, values, _ = RULES[rule]
    parameter = PARAMETERS[name]
    distances.clear()
    for p in rows_of(ROWS):
        x = (temperature * np.log(p)).astype(np.float32)
        possible = [v for v in values(np.sort(p)[::-1]) if acts(parameter, v)]
        value = float(rng.choice(possible)) if possible else parameter.neutral
        ids = set(range(p.size))
        if possible:
            with localcontext(Context(prec=50)):
                ids = kept(Row(x, temperature), Decimal(repr(value)))
        row = np.isin(np.arange(p.size), list(ids))
        found.setdefault(p.size, []).append((x, value, row))
    by_size = [Cases(*map(np.array, zip(*rows, strict=True))) for rows in found.values()]
    return by_size, min(distances)
