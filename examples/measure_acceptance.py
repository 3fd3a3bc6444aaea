"""Tokens per call of each way to verify drafts, on a language model and a draft made of its layers.

    python examples/measure_acceptance.py > acceptance.json

The draft is the model without some of its layers (Zhang et al. 2024, "Draft & Verify"). At places
of real text it writes three continuations of five tokens, the model is asked about all of them, and
each verifier says how much stands. Beside it is printed what no verifier can exceed.
"""

import argparse
import copy
import inspect
import json
import sys
from typing import Any, NamedTuple

import numpy as np
import smollm
import torch
from measure_speculative import prompts
from sortes.decode import distribution, sample
from sortes.sequences import (
    acceptance_rate,
    expected_accepted_tokens,
    gumbel_topk,
    optimal_acceptance,
    race_sample,
    verify_multi,
    verify_paths,
    verify_tokens,
)
from transformers import DynamicCache

PATHS, GAMMA = 3, 5
LAWS = {
    "temperature 1": {},
    "temperature 0.7": {"temperature": 0.7},
    "top-p 0.9": {"top_p": 0.9, "temperature": 0.8},
}


def without(model, layers):
    """Return the model without some of its layers, on the same weights."""
    config = copy.deepcopy(model.config)
    kept = [i for i in range(config.num_hidden_layers) if i not in layers]
    config.num_hidden_layers = len(kept)
    config.layer_types = None
    draft = copy.copy(model)
    draft.config = config
    draft._modules = dict(model._modules)
    inner = copy.copy(model.model)
    inner.config = config
    inner._modules = dict(model.model._modules)
    inner._modules["layers"] = torch.nn.ModuleList([model.model.layers[i] for i in kept])
    draft._modules["model"] = inner
    return draft


def cached(model, cache):
    """Return a cache as the argument of a model that it is until transformers 5.23, and since."""
    takes = inspect.signature(model.forward).parameters
    return {"cache" if "cache" in takes else "past_key_values": cache}


def read(model, ids):
    """Let a model read texts but for their last tokens; return its cache."""
    cache = DynamicCache()
    with torch.no_grad():
        model(ids[:, :-1], **cached(model, cache), logits_to_keep=1)
    return cache


def asked(model, cache, times, ids):
    """Return the logits behind each of some tokens; each text that was read goes on as `times`."""
    cache = copy.deepcopy(cache)
    cache.batch_repeat_interleave(times)
    with torch.no_grad():
        return model(ids, **cached(model, cache)).logits.numpy(), cache


class Begun(NamedTuple):
    """Texts that the model and its draft have read."""

    model: Any
    draft: Any
    caches: tuple
    last: torch.Tensor
    texts: np.ndarray

    @classmethod
    def of(cls, model, draft, ids, texts):
        """Let both read them."""
        return cls(model, draft, (read(model, ids), read(draft, ids)), ids[:, -1:], texts)

    def written(self, count, draw):
        """Return the draft's tokens (B, K, g), its logits, and the model's behind all of them."""
        rows = (self.texts[:, None] * count + np.arange(count)).ravel()
        first = given = self.last.repeat_interleave(count, 0)
        tokens, logits, cache = [], [], self.caches[1]
        for place in range(GAMMA):
            said, cache = asked(self.draft, cache, 1 if place else count, given)
            logits.append(said[:, -1])
            tokens.append(draw(said[:, -1], place, rows))
            given = torch.from_numpy(tokens[-1])[:, None]
        tokens, q = np.stack(tokens, 1), np.stack(logits, 1)
        p, _ = asked(
            self.model, self.caches[0], count, torch.cat([first, torch.from_numpy(tokens)], 1)
        )
        return [x.reshape(len(self.texts), count, *x.shape[1:]) for x in (tokens, q, p)]


def measured(model, draft, ids, rules, batch):
    """Return what stands, by method, as a mean over the texts with its standard error."""
    stands = {}

    def add(name, values):
        stands.setdefault(name, []).extend(np.ravel(values).tolist())

    for first in range(0, len(ids), batch):
        part = ids[first : first + batch]
        texts = np.arange(first, first + len(part))

        def drawn(said, place, rows):
            return sample(said, rng=1, step=place, rows=rows, **rules)

        def raced(said, place, rows):
            return race_sample(said, rng=2, step=place, rows=rows, **rules)

        begun = Begun.of(model, draft, part, texts)
        tokens, q, p = begun.written(PATHS, drawn)
        more = {"rng": 2, "rows": texts, **rules}
        for method in ("token", "block"):
            found = verify_tokens(tokens[:, 0], p[:, 0], q[:, 0], method=method, **more)
            add(f"one path, {method}", found.num_accepted + 1)
        for method in ("greedy", "grouped"):
            found = verify_paths(tokens, p, q, method=method, **more)
            add(f"three paths, {method}", found.num_accepted + 1)

        shared, _, p_shared = begun.written(1, raced)
        found = verify_tokens(shared[:, 0], p_shared[:, 0], method="race", **more)
        add("one path, race", found.num_accepted + 1)

        def likeliest(said, place, rows):
            return said.argmax(-1)

        best, _, p_best = begun.written(1, likeliest)
        found = verify_tokens(best[:, 0], p_best[:, 0], method="draw", **more)
        add("likeliest path, draw", found.num_accepted + 1)

        laws = distribution(p[:, 0, 0], **rules), distribution(q[:, 0, 0], **rules)
        alpha = np.array([acceptance_rate(*pair) for pair in zip(*laws, strict=True)])
        add("first token: one draft", alpha)
        add("if all were like the first", [expected_accepted_tokens(a, GAMMA) for a in alpha])
        firsts = tokens[:, :, 0]
        with np.errstate(divide="ignore"):
            kept = np.log(laws[1])
        distinct = gumbel_topk(kept, PATHS, rng=5, step=first).indices
        for name, drafts, method, replacement in (
            ("rrs", firsts, "rrs", True), ("kseq", firsts, "kseq", True),
            ("optimal", firsts, "optimal", True), ("rrs, distinct", distinct, "rrs", False),
        ):  # fmt: skip
            for count in range(1, PATHS + 1):  # top-p may leave fewer tokens than there are paths
                one = np.flatnonzero((drafts >= 0).sum(1) == count)
                if len(one):
                    found = verify_multi(
                        drafts[one, :count], p[one, 0, 0], q[one, 0, 0], method=method,
                        replacement=replacement, **{**more, "rows": texts[one]},
                    )  # fmt: skip
                    add(f"first token: {name}", found.accepted >= 0)
        for name, replacement in (("optimum", True), ("optimum, distinct", False)):
            rates = [
                optimal_acceptance(*pair, PATHS, replacement=replacement)
                for pair in zip(*laws, strict=True)
            ]
            add(f"first token: {name}", rates)
        print(f"... {first + len(part)} of {len(ids)} places", file=sys.stderr)
    return {
        name: (round(float(np.mean(x)), 4), round(float(np.std(x) / np.sqrt(len(x))), 4))
        for name, x in stands.items()
    }


def main():
    """Measure each law and each draft, and print a line for each."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--places", type=int, default=256)
    arguments.add_argument("--length", type=int, default=48)
    arguments.add_argument("--skip", type=int, nargs="+", default=[4, 8])
    arguments.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    given = arguments.parse_args()
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", file=sys.stderr))
    ids = prompts(tokenizer, given.places, given.length)
    for skipped in given.skip:
        middle = model.config.num_hidden_layers // 2 - skipped // 2
        draft = without(model, range(middle, middle + skipped))
        for name in given.laws:
            found = measured(model, draft, ids, LAWS[name], 16)
            line = {"law": name, "layers left out": skipped, "places": given.places, **found}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
