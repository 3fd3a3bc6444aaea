"""Trees and paths, drawn and verified by plain Python in float64: an independent reference.

Most functions enumerate: they return each outcome with its exact probability, which the tests
compare with the law that must come out and with what the kernels draw. `walk` and `walk_paths`
decide by the numbers of a stream, as the kernels do.
"""

import itertools
from functools import cache

import numpy as np
from sortes import _core
from sortes._philox import ULP, block

TREE = _core.PURPOSES["tree"]


def uniform(stream, entity, index):
    """Number `index` of an entity's stream for trees."""
    key = stream.key & 0xFFFFFFFF, stream.key >> 32
    words = block(key, (index // 2, stream.step, np.array([entity]), TREE << 16))
    low, high = words[2 * (index % 2) :][:2]
    return int(high[0] << 21 | low[0] >> 11) * ULP


def exact(weights):
    """The law of float32 logits, in float64."""
    with np.errstate(divide="ignore"):
        weights = np.exp(np.log(weights).astype(np.float32).astype(float))
    return weights / weights.sum()


class Pair:
    """A target and a draft: a law after every beginning of up to `depth` tokens."""

    def __init__(self, rng, vocabulary, depth, *, zeros=False, sharp=1.0):
        self.vocabulary, self.depth = vocabulary, depth
        self.beginnings = [
            prefix
            for n in range(depth + 1)
            for prefix in itertools.product(range(vocabulary), repeat=n)
        ]
        self.p = {prefix: self._law(rng, zeros, sharp) for prefix in self.beginnings}
        self.q = {prefix: self._law(rng, False, sharp) for prefix in self.beginnings}

    def _law(self, rng, zeros, sharp):
        weights = rng.exponential(size=self.vocabulary) ** sharp
        if zeros:
            weights *= rng.random(self.vocabulary) < 0.7
            weights[rng.integers(self.vocabulary)] += 0.1
        return exact(weights)

    def closer(self, share):
        """The same pair with a draft that has this share of the target."""
        for prefix in self.beginnings:
            self.q[prefix] = exact((1 - share) * self.q[prefix] + share * self.p[prefix])
        return self

    def logits(self, side, beginnings):
        """The logits after some beginnings, as float32."""
        laws = self.p if side == "p" else self.q
        with np.errstate(divide="ignore"):
            return np.log([laws[prefix] for prefix in beginnings]).astype(np.float32)

    def probability(self, text):
        """The probability of a text in the target."""
        return float(np.prod([self.p[text[:n]][token] for n, token in enumerate(text)]))


def trees(pair, width, prefix=()):
    """Every tree that a draft may give, with its probability.

    A node after `prefix` has ``width(prefix)`` children, drawn without replacement. A tree is a
    list of (token, tree) in the order of the children.
    """
    if len(prefix) >= pair.depth:
        yield 1.0, []
        return
    law = pair.q[prefix]
    for tokens in itertools.permutations(range(len(law)), width(prefix)):
        chance, left = 1.0, 1.0
        for token in tokens:
            chance *= law[token] / left
            left -= law[token]
        below = [list(trees(pair, width, (*prefix, token))) for token in tokens]
        for combination in itertools.product(*below):
            whole = chance * float(np.prod([part for part, _ in combination]))
            yield whole, [(t, tree) for t, (_, tree) in zip(tokens, combination, strict=True)]


def flat(tree, root=-1):
    """Tokens and parents of a tree, level by level."""
    tokens, parents, queue = [root], [-1], [(0, tree)]
    while queue:
        node, children = queue.pop(0)
        for token, below in children:
            tokens.append(token)
            parents.append(node)
            queue.append((len(tokens) - 1, below))
    return tokens, parents


def prefixes(tokens, parents):
    """The tokens from below the root to each node."""
    out = [()]
    for token, parent in zip(tokens[1:], parents[1:], strict=True):
        out.append((*out[parent], token))
    return out


def refused(p, q, w, token, replaced=False):
    """What is left when the next child is refused: both laws and the weight."""
    rest = np.maximum(w * p - q, 0)
    total = rest.sum()
    if total > 0:
        p, weight = rest / total, total / (total + (1 - w))
    else:
        p, weight = (p, 0.0) if w < 1 else (p, 1.0)
    if not replaced:
        q = q.copy()
        q[token] = 0
        q = q / q.sum() if q.sum() > 0 else q
    return p, q, weight


def draw(pair, tree, prefix=()):
    """Outcomes of verification by drawing: (path, token that follows) and probability."""
    children = dict(tree)
    for token, chance in enumerate(pair.p[prefix]):
        if chance and token in children:
            for outcome, part in draw(pair, children[token], (*prefix, token)):
                yield outcome, chance * part
        elif chance:
            yield (prefix, token), chance


def rejection(pair, tree, prefix=()):
    """Outcomes of recursive rejection."""
    p, q, reach = pair.p[prefix], pair.q[prefix], 1.0
    for token, below in tree:
        chance = min(1.0, p[token] / q[token])
        for outcome, part in rejection(pair, below, (*prefix, token)):
            yield outcome, reach * chance * part
        p, q, _ = refused(p, q, 1.0, token)
        reach *= 1 - chance
    for token, chance in enumerate(p):
        yield (prefix, token), reach * chance


def traversal(pair, tree, prefix=(), w=1.0, laws=None):
    """Outcomes of the traversal, and what is left: (outcome or None, probability)."""
    p, q = pair.p[prefix], (laws or pair.q).get(prefix)
    reach = 1.0
    for token, below in tree:
        chance = min(1.0, w * p[token] / q[token])
        stays = 0.0
        for outcome, part in traversal(pair, below, (*prefix, token), chance, laws):
            if outcome is None:
                stays += part
            else:
                yield outcome, reach * part
        p, q, w = refused(p, q, w, token, replaced=laws is not None)
        reach *= stays
    if prefix == ():
        w = 1.0
    for token, chance in enumerate(p):
        yield (prefix, token), reach * w * chance
    yield None, reach * (1 - w)


def level(p, q):
    """The level of a token by the ratio of the laws, in sixteenths of an octave."""
    ratio = np.float64(p) / np.float64(q)
    bits = int(ratio.view(np.int64)) >> 48
    return min(max(bits - ((1023 - 64) << 4), 0), 128 * 16 - 1)


def order(p, q):
    """The tokens from the worst to the best."""
    return _order(tuple(p), tuple(q))


@cache
def _order(p, q):
    able = [t for t in range(len(q)) if q[t] > 0]
    return sorted(able, key=lambda t: (level(p[t], q[t]), t))


def best_path(pair, paths):
    """The path that is chosen, by the strict order of tokens after each beginning."""
    left, prefix = list(range(len(paths))), ()
    for place in range(len(paths[0])):
        rank = {t: i for i, t in enumerate(order(pair.p[prefix], pair.q[prefix]))}
        best = max((paths[k][place] for k in left), key=rank.__getitem__)
        left = [k for k in left if paths[k][place] == best]
        prefix = (*prefix, best)
    return left[0]


def chosen_laws(pair, path, count):
    """The law of each next token of the chosen path, from the distribution function of the best."""
    laws, below, own = {}, 0.0, 1.0
    for place in range(len(path)):
        prefix = tuple(path[:place])
        p, q = pair.p[prefix], pair.q[prefix]
        law, running = np.zeros(len(q)), 0.0
        for t in order(p, q):
            low, running = running, running + q[t]
            law[t] = (below + own * running) ** count - (below + own * low) ** count
            if t == path[place]:
                after = below + own * low, own * q[t]
        laws[prefix] = law / law.sum()
        below, own = after
    return laws


def best_laws(p, q, count):
    """The law of the first token of the best of `count` paths."""
    law, running = np.zeros(len(q)), 0.0
    for t in order(p, q):
        low, running = running, running + q[t]
        law[t] = running**count - low**count
    return law / law.sum()


def plan(p, q, left):
    """The size of the next group, and how likely all are refused at the root, for few paths."""
    return _plan(tuple(p), tuple(q), left)


@cache
def _plan(p, q, left):
    p, q = np.array(p), np.array(q)
    best = (0, np.inf)
    for size in range(1, left + 1):
        law = best_laws(p, q, size)
        refusal = max(1 - np.minimum(p, law).sum(), 0)
        if size < left:
            rest = np.maximum(p - law, 0)
            if rest.sum() > 0:
                refusal *= plan(rest / rest.sum(), q, left - size)[1]
        if refusal < best[1] - 1e-13:
            best = (size, refusal)
    return best


def greedy(p, q, left):
    """All paths in one group."""
    return left, None


class Rooted:
    """A pair of which the root has another law."""

    def __init__(self, pair, root):
        self.p, self.q, self.vocabulary = {**pair.p, (): root}, pair.q, pair.vocabulary


def verified_paths(pair, paths, sizes):
    """Outcomes of multi-path block verification of some paths, in groups of these sizes."""
    root, reach, first = pair.p[()], 1.0, 0
    while first < len(paths):
        size = sizes(root, pair.q[()], len(paths) - first)[0]
        group = paths[first : first + size]
        now = Rooted(pair, root)
        path = group[best_path(now, group)]
        laws = chosen_laws(now, path, size)
        tree, stays = [], 0.0
        for token in reversed(path[1:]):
            tree = [(token, tree)]
        chance = min(1.0, root[path[0]] / laws[()][path[0]])
        for outcome, part in traversal(now, tree, path[:1], chance, laws):
            if outcome is None:
                stays += part
            else:
                yield outcome, reach * part
        root, _, _ = refused(root, laws[()], 1.0, path[0], replaced=True)
        reach, first = reach * stays, first + size
    for token, chance in enumerate(root):
        yield ((), token), reach * chance


def law_of(pair, drafts, verifier, length):
    """The law of the texts of some length, when a draft is verified and the target goes on."""
    law, accepted = {}, 0.0
    for chance, draft in drafts:
        for outcome, part in verifier(pair, draft):
            if outcome is None:
                continue
            prefix, token = outcome
            accepted += chance * part * len(prefix)
            text = (*prefix, token)
            law[text] = law.get(text, 0.0) + chance * part
    whole = {}
    for text in itertools.product(range(pair.vocabulary), repeat=length):
        for n in range(1, length + 1):
            rest = np.prod([pair.p[text[:m]][text[m]] for m in range(n, length)])
            whole[text] = whole.get(text, 0.0) + law.get(text[:n], 0.0) * rest
    return whole, accepted


def iid_paths(pair, count, length):
    """Every `count` paths of the draft, with their probability."""
    texts = list(itertools.product(range(pair.vocabulary), repeat=length))
    chances = [np.prod([pair.q[t[:n]][t[n]] for n in range(length)]) for t in texts]
    for combination in itertools.product(range(len(texts)), repeat=count):
        yield float(np.prod([chances[i] for i in combination])), [texts[i] for i in combination]


def walk(pair, tokens, parents, method, number):
    """The nodes of a tree that are taken, and the law of the token that follows."""
    beginnings = prefixes(tokens, parents)

    def visit(node, w):
        p, q = pair.p[beginnings[node]], pair.q.get(beginnings[node])
        for child in [c for c, parent in enumerate(parents) if parent == node]:
            token = tokens[child]
            chance = min(1.0, w * p[token] / q[token])
            if method == "rrs":
                found = visit(child, 1.0) if number(child) < chance else None
            else:
                found = visit(child, chance)
            if found:
                return [child, *found[0]], found[1]
            p, q, w = refused(p, q, w, token)
        if method == "rrs" or node == 0 or number(node) < w:
            return [], p
        return None

    return visit(0, 1.0)


def walk_paths(pair, paths, sizes, number):
    """The path that is chosen, how much of it is taken, and the law of the token that follows."""
    root, first, length = pair.p[()], 0, len(paths[0])
    while first < len(paths):
        size = sizes(root, pair.q[()], len(paths) - first)[0]
        group = paths[first : first + size]
        now = Rooted(pair, root)
        at = best_path(now, group)
        path = group[at]
        laws = chosen_laws(now, path, size)
        states, w = [], 1.0
        for place, token in enumerate(path):
            states.append(w)
            w = min(1.0, w * now.p[path[:place]][token] / laws[path[:place]][token])
        states.append(w)
        law = pair.p.get(path)
        for place in range(length, 0, -1):
            if number(first + at, place) < w:
                return first + at, place, law
            above = path[: place - 1]
            law, _, w = refused(now.p[above], laws[above], states[place - 1], 0, replaced=True)
        root, first = law, first + size
    return None, 0, root


def optimum(pair, drafts, length):
    """The most tokens that any lossless verifier takes on average: a linear program.

    A draft is several paths. Its variables say how likely a draft comes and a beginning of one of
    its paths is taken, with a token that follows; the target goes on from there.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array, vstack

    texts = list(itertools.product(range(pair.vocabulary), repeat=length))
    rows, columns, values, gain = [], [], [], []
    drafts = list(drafts)
    for number, (_, paths) in enumerate(drafts):
        beginnings = {path[:n] for path in paths for n in range(len(path) + 1)}
        for prefix, token in itertools.product(beginnings, range(pair.vocabulary)):
            text, column = (*prefix, token), len(gain)
            gain.append(-len(prefix))
            rows.append(number), columns.append(column), values.append(1.0)
            for at, whole in enumerate(texts):
                if whole[: len(text)] == text:
                    rest = [pair.p[whole[:n]][whole[n]] for n in range(len(text), length)]
                    rows.append(len(drafts) + at), columns.append(column)
                    values.append(float(np.prod(rest)))
    limits = [chance for chance, _ in drafts]
    law = [pair.probability(text) for text in texts]
    table = coo_array((values, (rows, columns)), (len(limits) + len(law), len(gain))).tocsr()
    # Equations, but for the rounding.
    both = vstack([table, -table[len(limits) :]])
    bounds = [*limits, *law, *(-chance for chance in law)]
    found = linprog(gain, A_ub=both, b_ub=np.array(bounds) + 1e-9)
    assert found.status == 0, found.message
    return -found.fun
