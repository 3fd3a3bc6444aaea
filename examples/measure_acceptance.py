"""Tokens per call of each way to verify drafts, on a language model and a draft made of its layers.

    python examples/measure_acceptance.py > acceptance.json

The draft is the model without some of its layers (Zhang et al. 2024, "Draft & Verify"). At places
of real text it writes three continuations of five tokens, the model is asked about all of them, and
each verifier says how much stands. Beside it is printed what no verifier can exceed.
"""

import argparse
import copy
import json
import sys

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


def behind(model, ids):
    """Return the logits behind the last tokens of each text, one more than are drafted."""
    with torch.no_grad():
        output = model(ids, use_cache=False, logits_to_keep=GAMMA + 1)
    return output.logits.numpy()


def continuations(draft, ids, texts, draw):
    """Let the draft write: its tokens (B, K, g) and its logits (B, K, g, V)."""
    count = len(ids) // len(texts)
    rows = np.concatenate([texts * count + k for k in range(count)])
    tokens, logits, given = [], [], ids
    for place in range(GAMMA):
        with torch.no_grad():
            said = draft(given, use_cache=False, logits_to_keep=1).logits[:, -1].numpy()
        token = draw(said, place, rows)
        logits.append(said)
        tokens.append(token)
        given = torch.cat([given, torch.from_numpy(token)[:, None]], 1)
    shape = (count, len(texts), GAMMA)
    tokens = np.stack(tokens, 1).reshape(shape).swapaxes(0, 1)
    return np.ascontiguousarray(tokens), np.stack(logits, 1).reshape(*shape, -1).swapaxes(0, 1)


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

        tokens, q = continuations(draft, part.repeat(PATHS, 1), texts, drawn)
        whole = [torch.cat([part, torch.from_numpy(tokens[:, k])], 1) for k in range(PATHS)]
        p = np.stack([behind(model, one) for one in whole], 1)
        more = {"rng": 2, "rows": texts, **rules}
        for method in ("token", "block"):
            found = verify_tokens(tokens[:, 0], p[:, 0], q[:, 0], method=method, **more)
            add(f"one path, {method}", found.num_accepted + 1)
        for method in ("greedy", "grouped"):
            found = verify_paths(tokens, p, q, method=method, **more)
            add(f"three paths, {method}", found.num_accepted + 1)

        shared, _ = continuations(draft, part, texts, raced)
        p_shared = behind(model, torch.cat([part, torch.from_numpy(shared[:, 0])], 1))
        found = verify_tokens(shared[:, 0], p_shared, method="race", **more)
        add("one path, race", found.num_accepted + 1)

        def likeliest(said, place, rows):
            return said.argmax(-1)

        best, _ = continuations(draft, part, texts, likeliest)
        p_best = behind(model, torch.cat([part, torch.from_numpy(best[:, 0])], 1))
        found = verify_tokens(best[:, 0], p_best, method="draw", **more)
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
            found = verify_multi(
                drafts, p[:, 0, 0], q[:, 0, 0], method=method, replacement=replacement, **more
            )
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
    given = arguments.parse_args()
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", file=sys.stderr))
    ids = prompts(tokenizer, given.places, given.length)
    for skipped in given.skip:
        middle = model.config.num_hidden_layers // 2 - skipped // 2
        draft = without(model, range(middle, middle + skipped))
        for name, rules in LAWS.items():
            found = measured(model, draft, ids, rules, 16)
            line = {"law": name, "layers left out": skipped, "places": given.places, **found}
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
