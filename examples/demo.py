"""Text from a real language model, decoded by transformers' own rules and by ours.

    python examples/demo.py

Prints texts, what they are like, and the time that decoding takes; then several answers to one
request, drawn apart, spread evenly, and the surest ones; and a text in fewer calls of the model.
Plots go to demo-output/. A minute on two cores, and half a minute more the first time.
"""

import time
from collections import Counter
from pathlib import Path

import numpy as np
import smollm
import torch
from smollm import plots
from smollm.pipelines import PIPELINES, WAYS, arguments, row_by_row
from smollm.turns import Steps, in_turns
from sortes import decode
from sortes.integrations.transformers import (
    arithmetic_sample,
    priority_sample,
    sample,
    speculative_sample,
)
from tqdm import tqdm
from transformers.generation.streamers import BaseStreamer

OUTPUT = Path("demo-output")
REQUEST = "Tell me a short story about a lighthouse keeper and a lost letter."
EDIT = """Write this again, with 'harbour' spelled 'harbor': The harbour master kept two ledgers.
In the first he wrote the names of the ships that came in, the day, the tide and the cargo: the
Dorothea with salt and rope, the Anna Marie with timber, the Good Intent with nothing at all."""
COPIED = 48  # tokens of it
SAMPLES, TOKENS = 8, 64
STEPS = {1: 64, 16: 32}  # of each batch size
# Of one request: answers of a run, runs, tokens of an answer, and how many of the surest.
ANSWERS, RUNS, SHORT, SUREST = 8, 6, 8, 5


def main() -> None:
    began = time.perf_counter()
    OUTPUT.mkdir(exist_ok=True)
    model, tokenizer = smollm.load(lambda message: print(f"... {message}", flush=True))
    print(f"SmolLM2-135M-Instruct, vocabulary {model.config.vocab_size:,}; request: {REQUEST}\n")
    with torch.inference_mode():
        write(model, tokenizer)
        answer(model, tokenizer)
        speculate(model, tokenizer)
        compete(model, tokenizer)
    names = ", ".join(sorted(path.name for path in OUTPUT.glob("*.png")))
    print(f"\nPlots in {OUTPUT}/: {names}. {time.perf_counter() - began:.0f} s in all.")


class Bar(BaseStreamer):
    """A progress bar for ``generate``."""

    def __init__(self, title: str, steps: int, unit: str = "step") -> None:
        self.bar = tqdm(total=steps, desc=title, unit=unit, leave=False, disable=None)

    def put(self, value) -> None:
        """Count a step; the prompt is one as well."""
        self.bar.update()

    def __call__(self, done: int, total: int) -> None:
        """Show how many are done."""
        self.bar.update(done - self.bar.n)

    def end(self) -> None:
        """Take the bar away."""
        self.bar.close()


def write(model, tokenizer) -> None:
    """Generate several texts with each pipeline, all in one batch, and say what they are like."""
    inputs = smollm.chat(tokenizer, [REQUEST] * SAMPLES * len(PIPELINES))
    out = model.generate(
        **inputs, **row_by_row(SAMPLES), rng=7, max_new_tokens=TOKENS, eos_token_id=-1,
        return_dict_in_generate=True, output_logits=True, streamer=Bar("writing", TOKENS + 1),
    )  # fmt: skip
    texts = out.sequences[:, inputs["input_ids"].shape[1] :].split(SAMPLES)
    logits = torch.stack(out.logits, 1).split(SAMPLES)
    laws, lines = {}, []
    for (pipeline, rules), tokens, rows in zip(PIPELINES.items(), texts, logits, strict=True):
        text = tokenizer.decode(tokens[0], skip_special_tokens=True)
        print(f"{pipeline}:\n    {' '.join(text.split())}", flush=True)
        laws[pipeline] = law = drawn_from(rows, tokens, rules)
        distinct = "".join(f"{distinct_ngrams(tokens, n):11.1%}" for n in (1, 2, 3))
        surprise, kept = law["logprob"].mean(), np.median(law["kept"])
        lines.append(f"{pipeline:12}{distinct}{surprise:16.2f}{kept:14.0f}")
    print(f"\n{SAMPLES} texts of {TOKENS} tokens each")
    print("              distinct 1-, 2- and 3-grams   mean log-prob.   median kept")
    print("\n".join(lines), flush=True)
    plots.kept(OUTPUT / "kept.png", laws)
    plots.probability(OUTPUT / "probability.png", laws)


def drawn_from(logits: torch.Tensor, tokens: torch.Tensor, rules: dict) -> dict[str, np.ndarray]:
    """Return, for every drawn token, what the model thought of it and what it was drawn from."""
    rows = logits.flatten(0, 1)
    stats = decode.row_stats(rows)
    logit = rows.gather(1, tokens.reshape(-1, 1))[:, 0].double()
    return {
        "entropy": np.asarray(stats.entropy),
        "logprob": np.asarray(logit - stats.lse),
        "kept": np.asarray(decode.keep_mask(rows, **rules)).sum(1),
    }


def distinct_ngrams(tokens: torch.Tensor, n: int) -> float:
    """Return the share of n-grams, over all texts, that are different."""
    grams = [tuple(gram) for gram in tokens.unfold(1, n, 1).flatten(0, 1).tolist()]
    return len(set(grams)) / len(grams)


def answer(model, tokenizer) -> None:
    """Answer a request several times: apart, spread evenly, and the surest answers."""
    law = {"do_sample": True, "temperature": 0.5, "top_k": 0, "max_new_tokens": SHORT}
    inputs = smollm.chat(tokenizer, [REQUEST] * RUNS)
    start = inputs["input_ids"].shape[1]
    runs = {}
    print(f"\nDifferent answers among {ANSWERS}, of {SHORT} tokens; {RUNS} runs")
    for name, way in {"drawn apart": sample, "spread evenly": arithmetic_sample}.items():
        out = model.generate(
            **inputs, **law, num_return_sequences=ANSWERS, custom_generate=way, rng=7,
            streamer=Bar(name, SHORT + 1),
        )  # fmt: skip
        texts = tokenizer.batch_decode(out[:, start:], skip_special_tokens=True)
        runs[name] = [Counter(texts[i : i + ANSWERS]) for i in range(0, len(texts), ANSWERS)]
        print(f"{name:14}" + "".join(f"{len(run):4}" for run in runs[name]), flush=True)
    print(f"\nThe {ANSWERS} of the first run: " + ", and ".join(runs))
    for pair in zip(*(sorted(first.elements()) for first, *_ in runs.values()), strict=True):
        print("".join(f"  {' '.join(text.split())[:44]:46}" for text in pair).rstrip())

    bar = Bar("the surest", SUREST, "text")
    out = model.generate(
        **smollm.chat(tokenizer, [REQUEST]), **law, custom_generate=priority_sample,
        num_samples=SUREST, progress=bar, return_dict_in_generate=True,
    )  # fmt: skip
    bar.end()
    texts = tokenizer.batch_decode(out.sequences[:, start:], skip_special_tokens=True)
    print(f"\nThe {SUREST} surest answers, and their log-probabilities")
    for text, logprob in zip(texts, out.logprobs.tolist(), strict=True):
        print(f"{logprob:8.2f}  {' '.join(text.split())}")
    expected = dict(zip(texts, (ANSWERS * out.logprobs.exp()).tolist(), strict=True))
    plots.counts(OUTPUT / "answers.png", expected, runs)


def speculate(model, tokenizer) -> None:
    """Copy a text with a change: plainly, with drafts from the prompt, and by prompt look-up."""
    inputs = smollm.chat(tokenizer, [EDIT])
    seconds, lines = {}, []
    for name, way in {
        "plain": {"custom_generate": sample},
        "drafts from text": {"custom_generate": speculative_sample},
        "prompt look-up": {"prompt_lookup_num_tokens": 10},
    }.items():
        calls = [0]
        count = model.register_forward_pre_hook(lambda *_, n=calls: n.append(0))
        began = time.perf_counter()
        out = model.generate(**inputs, **way, do_sample=False, max_new_tokens=COPIED)
        seconds[name] = time.perf_counter() - began
        count.remove()
        made = out.shape[1] - inputs["input_ids"].shape[1]
        lines.append(f"{name:18}{made / (len(calls) - 1):8.2f}{1e3 * seconds[name] / made:15.1f}")
        text = tokenizer.decode(out[0, -made:], skip_special_tokens=True)
    print(f"\nA text with a change: {' '.join(text.split())[:90]}...")
    print("              tokens per call   ms per token")
    print("\n".join(lines), flush=True)


def compete(model, tokenizer) -> None:
    """Time greedy decoding and all pipelines, transformers' own and ours, in turns."""
    # The first one's tokens are what the model reads on.
    calls = {(p, way): arguments(p, way) for way in reversed(WAYS) for p in PIPELINES}
    calls["greedy"] = {"do_sample": False}
    races = []
    print(f"\nMilliseconds of a step outside the model, {torch.get_num_threads()} threads, and the"
          " tokens per second that follow")  # fmt: skip
    for batch, steps in STEPS.items():
        race = in_turns(model, smollm.chat(tokenizer, [REQUEST] * batch), steps, calls)
        races.append(race)
        plots.speed(OUTPUT / "speed.png", races)
        greedy = figures(race, "greedy").strip()
        print(f"batch {batch}: {race.model_ms:.0f} ms in the model; greedy {greedy}")
        print(" " * 12 + "".join(f"{way:>26}" for way in WAYS))
        for p in PIPELINES:
            print(f"{p:12}" + "".join(f"{figures(race, (p, way)):>26}" for way in WAYS), flush=True)


def figures(race: Steps, call) -> str:
    """Return the milliseconds outside the model and the tokens per second, for a table."""
    return f"{race.outside_ms(call):9.2f} ms {race.tokens_per_second(call):7.1f}/s"


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(f"\ninterrupted; finished plots are in {OUTPUT}/") from None
