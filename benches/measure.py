"""Fair timing on machines that others use too: contenders take turns, and noise meets them all."""

import time
from statistics import median

import numpy as np
import torch
from contenders import Turn

Seconds = dict[str, list[float]]


def wall(turn: Turn, n: int) -> float:
    """Return the seconds of one turn on the CPU."""
    began = time.perf_counter()
    turn(n)
    return time.perf_counter() - began


def cuda(turn: Turn, n: int) -> float:
    """Return the seconds of one turn on the GPU, by its own events."""
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    turn(n)
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3


def alternate(turns: dict[str, Turn], rounds: int, clock=wall) -> Seconds:
    """Time every contender once per round, in an order that changes from round to round."""
    order = np.random.default_rng(0)
    for turn in turns.values():
        clock(turn, 0)
    seconds: Seconds = {name: [] for name in turns}
    for n in range(rounds):
        for name in order.permutation(list(turns)):
            seconds[name].append(clock(turns[name], n))
    return seconds


def rounds_within(turns: dict[str, Turn], budget: float, least: int, most: int, clock=wall) -> int:
    """Return how many rounds fit into a budget of seconds."""
    one = sum(clock(turn, 0) for turn in turns.values())
    return int(min(max(budget / one, least), most))


def floor(batches: list[torch.Tensor], clock=wall) -> float:
    """Return the seconds that reading a batch once takes at the speed of a copy.

    A copy into a tensor that exists reads and writes, so reading alone is half of it.
    """
    to = torch.empty_like(batches[0])
    turn = {"copy": lambda n: to.copy_(batches[n % len(batches)])}
    return min(alternate(turn, 30, clock)["copy"]) / 2


def summary(seconds: Seconds) -> dict[str, dict[str, float]]:
    """Return the minimum and the median of every contender, in milliseconds."""
    return {name: {"min": 1e3 * min(s), "median": 1e3 * median(s)} for name, s in seconds.items()}


def multiples(seconds: Seconds, of: str) -> dict[str, float]:
    """Return each contender's median time as a multiple of another's in the same round."""
    return {
        name: median(a / b for a, b in zip(s, seconds[of], strict=True))
        for name, s in seconds.items()
    }
