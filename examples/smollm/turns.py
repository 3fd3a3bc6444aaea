"""Several calls of ``generate`` at once, which take turns step by step.

The model's own time wavers by more than any draw takes. So the model runs once a step, for all, and
what is compared is the time that each call spends on the step outside it; noise hits all alike.
"""

import functools
import random
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from greenlet import getcurrent, greenlet
from tqdm import tqdm


@dataclass
class Steps:
    """Seconds of each step of a batch: in the model and, by the name of the call, outside it."""

    batch: int
    inside: list[float] = field(default_factory=list)
    outside: dict[Hashable, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def model_ms(self) -> float:
        """The median of a step in the model, which all calls share."""
        return 1e3 * median(self.inside)

    def outside_ms(self, call: Hashable) -> float:
        """Return the median of a step outside the model."""
        return 1e3 * median(self.outside[call])

    def tokens_per_second(self, call: Hashable) -> float:
        """Return the new tokens of all rows, per second of both medians."""
        return 1e3 * self.batch / (self.model_ms + self.outside_ms(call))


def in_turns(model, inputs, steps: int, calls: Mapping[Hashable, dict]) -> Steps:
    """Generate `steps` tokens a row with each of several sets of arguments of ``generate``.

    Each call is one of ``generate`` from beginning to end, left wherever it asks for the model. The
    model reads the tokens of the first call, and all calls get its logits. Steps are finished in a
    new order each time. The first, which reads the prompt, is not timed.
    """
    scheduler, forward = getcurrent(), model.forward
    race = Steps(len(inputs["input_ids"]))

    @functools.wraps(forward)  # generate() inspects the signature
    def asked(*args, **kwargs):
        return scheduler.switch((args, kwargs))

    def begin(arguments: dict) -> greenlet:
        fixed = {"max_new_tokens": steps, "eos_token_id": -1, "use_cache": True}
        return greenlet(lambda: model.generate(**inputs, **fixed, **arguments))

    running = {name: begin(arguments) for name, arguments in calls.items()}
    order = list(running)
    first, shuffle = order[0], random.Random(0).shuffle
    model.forward = asked
    try:
        wanted: dict[Hashable, Any] = {name: call.switch() for name, call in running.items()}
        title = f"timing, batch {race.batch}"
        for step in tqdm(range(steps), desc=title, unit="step", leave=False, disable=None):
            args, kwargs = wanted[first]
            began = time.perf_counter()
            outputs = forward(*args, **kwargs)
            inside = time.perf_counter() - began
            shuffle(order)
            for name in order:
                began = time.perf_counter()
                wanted[name] = running[name].switch(outputs)
                if step > 0:
                    race.outside[name].append(time.perf_counter() - began)
            if step > 0:
                race.inside.append(inside)
    finally:
        del model.forward
    return race
