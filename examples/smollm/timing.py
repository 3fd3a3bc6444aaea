"""Where the time of ``generate`` goes."""

import functools
import time
from dataclasses import dataclass, field

import torch


@dataclass
class Timing:
    """One run of ``generate``: seconds inside and outside the model, step by step."""

    sequences: torch.Tensor
    new_tokens: int
    seconds: float
    model: list[float] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all rows, per second of the whole call."""
        return self.new_tokens / self.seconds


def timed_generate(model, inputs, steps: int, **arguments) -> Timing:
    """Call ``model.generate`` for exactly `steps` new tokens a row, and watch the clock.

    The model's forward pass is timed from within; what lies between the end of one and the start
    of the next is outside the model: processors, the draw, stopping, and the loop itself.
    """
    starts, ends = [], []
    forward = model.forward

    @functools.wraps(forward)  # generate() inspects the signature
    def watched(*args, **kwargs):
        starts.append(time.perf_counter())
        out = forward(*args, **kwargs)
        ends.append(time.perf_counter())
        return out

    eos = model.generation_config.eos_token_id
    model.forward, model.generation_config.eos_token_id = watched, None
    try:
        began = time.perf_counter()
        sequences = model.generate(**inputs, max_new_tokens=steps, use_cache=True, **arguments)
        done = time.perf_counter()
    finally:
        del model.forward
        model.generation_config.eos_token_id = eos
    rows = sequences.shape[0]
    return Timing(
        sequences,
        rows * steps,
        done - began,
        [end - start for start, end in zip(starts, ends, strict=True)],
        [later - end for end, later in zip(ends, [*starts[1:], done], strict=True)],
    )
