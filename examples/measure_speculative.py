"""Speculative decoding of a real language model: the same texts, tokens per call, and times.

    python examples/measure_speculative.py same --prompts 200 --dtype float64 > same.json
    python examples/measure_speculative.py time > time.json

``same`` compares texts, drafted in batches of each size, with those of plain decoding in batches of
the largest, and those of transformers' prompt look-up with its own. ``time`` lets plain decoding,
ours and prompt look-up take turns.
"""

import argparse
import copy
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import smollm
import torch
from sortes.integrations.transformers import sample, speculative_sample

GREEDY = {"do_sample": False}
TOP_P = {"do_sample": True, "top_k": 0, "top_p": 0.9, "temperature": 0.8}
LAWS = {"greedy": GREEDY, "top-p": TOP_P}
TEXT = """The harbour master kept two ledgers. In the first he wrote the names of the ships
that came in, the day, the tide and the cargo: the Dorothea with salt and rope, the Anna Marie
with timber, the Good Intent with nothing at all. In the second he wrote what the sailors told
him when they paid their dues: that the light on the northern rock had been dark for three
nights, that a grey whale had followed the Dorothea from the cape, and that the letter for the
keeper had been lost overboard in the storm."""
TABLE = "month,rainfall_mm,sunshine_h,wind_kmh,station\n" + "".join(
    f"2021-{month:02},{rain},{sun},{wind},Northern Rock Lighthouse\n"
    for month, rain, sun, wind in [
        (1, 88, 41, 31), (2, 71, 66, 29), (3, 64, 104, 27), (4, 52, 149, 24), (5, 49, 182, 21),
        (6, 55, 177, 19), (7, 61, 171, 18), (8, 69, 160, 20),
    ]
)  # fmt: skip
CODE = '''def area(shape):
    """Return the area of a shape."""
    if shape["kind"] == "circle":
        return 3.14159 * shape["radius"] ** 2
    if shape["kind"] == "square":
        return shape["side"] ** 2
    if shape["kind"] == "rectangle":
        return shape["width"] * shape["height"]
    raise ValueError(shape["kind"])
'''
CHAT = {
    "edit": f"Write this text again, with 'harbour' spelled 'harbor':\n\n{TEXT}",
    "edit code": f"Rename the argument 'shape' to 's' and return the whole code:\n\n{CODE}",
    "summarise": f"Summarize this text in its own words:\n\n{TEXT}",
}
FREE = {
    "story": "Tell me a short story about a lighthouse keeper and a lost letter.",
    "advice": "What should I think of before I move to another city?",
}


def tasks(tokenizer):
    """Return the inputs of each task, and whether it copies from its prompt."""
    copying = {name: smollm.chat(tokenizer, [said]) for name, said in CHAT.items()}
    copying["table"] = dict(tokenizer(TABLE, return_tensors="pt"))
    free = {name: smollm.chat(tokenizer, [said]) for name, said in FREE.items()}
    return copying, free


def timed(model, laws, tokens, turns, report):
    """Time plain decoding, ours and prompt look-up in turns, on every task."""
    tokenizer = model.tokenizer
    copying, free = tasks(tokenizer)
    calls = [0]
    handle = model.register_forward_pre_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    lookup = {"prompt_lookup_num_tokens": 10}
    for law_name, law in laws.items():
        ways = {
            "plain": {"custom_generate": sample},
            "suffix": {"custom_generate": speculative_sample},
            "prompt look-up": lookup,
        }
        for name, inputs in {**copying, **free}.items():
            seconds = {way: [] for way in ways}
            per_call = {way: [] for way in ways}
            for turn in range(turns):
                for way, arguments in ways.items():
                    seed = {"rng": turn} if "custom_generate" in arguments else {}
                    torch.manual_seed(turn)
                    calls[0], began = 0, time.process_time()
                    out = model.generate(
                        **inputs, **law, **arguments, **seed, max_new_tokens=tokens
                    )
                    made = out.shape[1] - inputs["input_ids"].shape[1]
                    seconds[way].append((time.process_time() - began) / made)
                    per_call[way].append(made / calls[0])
            line = {"law": law_name, "task": name, "copies": name in copying}
            for way in ways:
                line[way] = {
                    "ms_per_token": 1e3 * float(np.median(seconds[way])),
                    "tokens_per_call": float(np.mean(per_call[way])),
                }
            for peer in ("plain", "prompt look-up"):
                ratios = np.array(seconds["suffix"]) / np.array(seconds[peer])
                line[f"time over {peer}"] = float(np.median(ratios))
            report(line)
    handle.remove()


def prompts(tokenizer, count, length):
    """Return beginnings of real text: of the Shakespeare of SORTES_BENCH_DATA, and of modules."""
    texts = [
        path.read_text("utf-8", "ignore") for path in sorted(Path(np.__file__).parent.glob("*.py"))
    ]
    shakespeare = Path(os.environ.get("SORTES_BENCH_DATA", "")) / "shakespeare.txt"
    if shakespeare.exists():
        texts.insert(0, shakespeare.read_text("utf-8"))
    ids = [tokenizer(text[:400_000])["input_ids"] for text in texts]
    rng = np.random.default_rng(0)
    out = []
    while len(out) < count:
        source = ids[len(out) % 2 and int(rng.integers(1, len(ids)))]
        if len(source) > length:
            at = int(rng.integers(0, len(source) - length))
            out.append(source[at : at + length])
    return torch.tensor(out)


def same(model, laws, count, tokens, drafts, batches, is_alone, report):
    """Compare texts with those of plain decoding."""
    ids = prompts(model.tokenizer, count, 96)
    for law_name, law in laws.items():
        asked = {**law, "max_new_tokens": tokens, "eos_token_id": None}
        equal = {f"{name} {batch}": 0 for batch in batches for name in drafts}
        calls = dict.fromkeys(equal, 0)
        lookup = 0
        for first in range(0, count, max(batches)):
            part = ids[first : first + max(batches)]
            ones = torch.ones_like(part)
            seed = {"rng": 0, "rows": range(first, first + len(part)), "attention_mask": ones}
            plain = model.generate(part, **asked, **seed, custom_generate=sample)
            if "told" in drafts:
                drafts["told"]["draft"] = told(plain)
            for batch in batches:
                for at in range(0, len(part), batch):
                    some = slice(at, at + batch)
                    seed = {
                        "rng": 0, "rows": range(first, first + len(part))[some],
                        "attention_mask": ones[some],
                    }  # fmt: skip
                    for name, draft in drafts.items():
                        got = model.generate(
                            part[some], **asked, **seed, **draft, return_dict_in_generate=True,
                            custom_generate=speculative_sample,
                        )  # fmt: skip
                        is_equal = (got.sequences == plain[some]).all(1)
                        equal[f"{name} {batch}"] += int(is_equal.sum())
                        calls[f"{name} {batch}"] += got.model_calls
            for row in [] if is_alone else part[:, None]:  # prompt look-up takes one text
                texts = []
                for drafting in ({}, {"prompt_lookup_num_tokens": 10}):
                    torch.manual_seed(first)
                    mask = torch.ones_like(row)
                    texts.append(model.generate(row, **asked, **drafting, attention_mask=mask))
                lookup += int(torch.equal(*texts))
            line = {"law": law_name, "texts": first + len(part), "equal": equal, "calls": calls}
            report(line if is_alone else {**line, "prompt look-up": lookup})


def told(texts):
    """Return a draft that knows the texts, but for each seventh token."""
    known = {tuple(text[:96].tolist()): text.numpy() for text in texts}

    def draft(text, most):
        whole = known[tuple(text[:96].tolist())]
        tokens = whole[len(text) : len(text) + most].copy()
        tokens[(np.arange(len(tokens)) + len(text)) % 7 == 0] += 1
        return tokens % 49152

    return draft


def shallow(model, layers):
    """Return a draft model: the first layers of a model, with its head."""
    draft = copy.deepcopy(model)
    draft.model.layers = draft.model.layers[:layers]
    draft.config.num_hidden_layers = layers
    return draft


def main():
    """Run one of the two and print its lines."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["same", "time"])
    arguments.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    arguments.add_argument("--prompts", type=int, default=20)
    arguments.add_argument("--tokens", type=int, default=128)
    arguments.add_argument("--alone", action="store_true", help="without prompt look-up")
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    arguments.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    arguments.add_argument(
        "--drafts", nargs="+", default=["suffix"], help="suffix, told, greedy, tree"
    )
    arguments.add_argument("--layers", type=int, default=20, help="of the draft model")
    given = arguments.parse_args()
    laws = {name: LAWS[name] for name in given.laws}
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", file=sys.stderr))
    model.tokenizer = tokenizer
    model.to(getattr(torch, given.dtype))
    say = lambda line: print(json.dumps(line), flush=True)  # noqa: E731
    if given.what == "time":
        timed(model, laws, given.tokens, given.turns, say)
    else:
        drafts = {name: {"draft": name} for name in given.drafts}
        if drafts.keys() & {"greedy", "tree"}:
            draft_model = shallow(model, given.layers)
            for name in drafts.keys() & {"greedy", "tree"}:
                drafts[name]["draft_model"] = draft_model
        same(model, laws, given.prompts, given.tokens, drafts, given.batches, given.alone, say)


if __name__ == "__main__":
    main()
