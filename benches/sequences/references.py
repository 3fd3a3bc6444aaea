"""The algorithms of the family, as one would write them in NumPy, in float64."""

import heapq

import numpy as np


def log_softmax(rows):
    """The log-probabilities of rows of logits."""
    shifted = rows.astype(np.float64) - rows.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def arithmetic_decode(rows, codes):
    """The token in whose part of its row each code lies."""
    weights = np.exp(rows - rows.max(1, keepdims=True), dtype=np.float64)
    through = weights.cumsum(1)
    target = codes * through[:, -1]
    return np.array([np.searchsorted(t, u, "right") for t, u in zip(through, target, strict=True)])


def largest(values, k):
    """The indices of the k largest values, the largest first."""
    top = np.argpartition(values, -k)[-k:]
    return top[np.argsort(-values[top])]


def gumbel_topk(logits, k, rng):
    """K distinct items, in the order in which they are drawn."""
    return largest(logits + rng.gumbel(size=len(logits)), k)


def stochastic_beam_search(model, k, length, rng):
    """K distinct texts of one length: tokens, and perturbed log-probabilities."""
    texts, logprobs, perturbed = [()], np.zeros(1), rng.gumbel(size=1)
    for _ in range(length):
        phi = logprobs[:, None] + log_softmax(model([np.array(text, np.int64) for text in texts]))
        noisy = phi + rng.gumbel(size=phi.shape)
        most = noisy.max(1, keepdims=True)
        # Given that the largest of each row is the value of its beam.
        with np.errstate(divide="ignore"):
            v = perturbed[:, None] - noisy + np.log1p(-np.exp(noisy - most))
        given = perturbed[:, None] - np.maximum(v, 0) - np.log1p(np.exp(-np.abs(v)))
        chosen = largest(given.ravel(), k)
        rows, tokens = np.divmod(chosen, phi.shape[1])
        texts = [(*texts[row], token) for row, token in zip(rows, tokens.tolist(), strict=True)]
        logprobs, perturbed = phi[rows, tokens], given[rows, tokens]
    return texts, perturbed


def priority_sample(model, k, length):
    """The k surest texts of one length, by the probability of the token where each branches off."""
    queue, texts, order = [(0.0, 0, ())], [], 0
    while len(texts) < k:
        text = heapq.heappop(queue)[-1]
        while len(text) < length:
            ln_p = log_softmax(model([np.array(text, np.int64)]))[0]
            best, *others = largest(ln_p, k + 1).tolist()
            for token in others:
                order += 1
                heapq.heappush(queue, (-ln_p[token], order, (*text, token)))
            text = (*text, best)
        texts.append(text)
    return texts


def threshold_weights(logprobs, kappa):
    """The weights with which sums over distinct samples are unbiased."""
    return np.exp(logprobs) / -np.expm1(-np.exp(logprobs - kappa))


def unordered_set_weights(logprobs):
    """The weights of a set of distinct samples, by its subsets."""
    p = np.exp(logprobs)

    def orders(p, taken):
        """The probability of drawing all of `p`, in any order, less the product of them."""
        ways, mass = np.zeros(1 << len(p)), np.zeros(1 << len(p))
        ways[0] = 1
        for members in range(1, len(ways)):
            inside = [i for i in range(len(p)) if members >> i & 1]
            mass[members] = p[inside].sum()
            before = [members & ~(1 << i) for i in inside]
            ways[members] = np.sum(ways[before] / (1 - taken - mass[before]))
        return ways[-1]

    each = [orders(np.delete(p, i), p[i]) for i in range(len(p))]
    # Behind the first draw; the whole is the sum of these.
    return np.array(each) / sum(each)


def draft_tree(torch, levels, k, nodes, root):
    """A tree of EAGLE-2, as one writes it in Torch: top-k of scores, a loop for mask and paths."""
    scores, ids = levels[0][0][0], levels[0][1][0]
    all_scores, all_ids, all_parents = [scores], [ids], [torch.full((k,), -1)]
    level, made = torch.arange(k), k
    for law, tokens in levels[1:]:
        below = torch.cat(all_scores)[level][:, None] + law
        all_scores.append(below.reshape(-1))
        all_ids.append(tokens.reshape(-1))
        all_parents.append(level.repeat_interleave(k))
        level = made + below.reshape(-1).topk(k).indices
        made += below.numel()
    kept = torch.cat(all_scores).topk(nodes).indices.sort().values
    tokens = torch.cat([torch.tensor([root]), torch.cat(all_ids)[kept]])
    parents = torch.cat(all_parents)[kept]
    parents = torch.where(parents < 0, 0, torch.searchsorted(kept, parents) + 1).tolist()
    mask = torch.eye(nodes + 1, dtype=torch.bool)
    mask[:, 0] = True
    for node, parent in enumerate(parents, 1):
        mask[node] |= mask[parent]
    depths = mask.sum(1) - 1
    inner = set(parents)
    paths = torch.full((nodes + 1 - len(inner), int(depths.max()) + 1), -1)
    leaves = [node for node in range(1, nodes + 1) if node not in inner]
    for row, leaf in zip(paths, leaves, strict=False):
        node, place = leaf, int(depths[leaf])
        while place:
            row[place] = node
            node, place = parents[node - 1], place - 1
        row[0] = 0
    return tokens, mask, paths
