"""Who competes: ours, transformers with Torch's draw, vLLM, llama.cpp's chain, and the yardsticks.

Each maker takes batches of shape (B, V) and returns a function of the number of the turn, which
draws one token per row of the batch whose turn it is.
"""

import __future__

import ast
import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import sortes
import torch
import transformers
from sortes.decode import keep_mask
from transformers import LogitsProcessorList

from benches.decode.rows import GOAL_VOCABULARIES, MIDDLE
from benches.turns import Turn, peer

PEERS = Path(__file__).parents[2] / ".peers"


@dataclass(frozen=True)
class Rule:
    """A pipeline, and what is to be reached with it.

    Attributes
    ----------
    arguments : dict
        Of `sortes.sample`, in the order in which the steps act.
    goal : float
        Multiple of the yardstick's time that the pipeline, draw included, is to stay below in long
        rows.
    faster : float
        How many times as fast as transformers and `torch.multinomial` it is to be.
    yardstick : str
        Which of `YARDSTICKS`.
    other_goals : mapping of int to float
        The goal at other sizes of the vocabulary.
    order : str
        Whose order of the steps it is.
    """

    arguments: dict[str, float]
    goal: float
    faster: float = 0.0
    yardstick: str = "softmax"
    other_goals: Mapping[int, float] = field(default_factory=dict)
    order: str = "hf"

    @property
    def given(self) -> dict[str, Any]:
        """Return the arguments of `sortes.sample`."""
        return {**self.arguments, "order": self.order}

    def goal_at(self, V: int) -> dict[str, float]:
        """Return the goal for rows of V logits, if there is one."""
        usual = self.goal if V in GOAL_VOCABULARIES else None
        goal = self.other_goals.get(V, usual)
        return {} if goal is None else {self.yardstick: goal}


RULES = {
    "greedy": Rule({"temperature": 0.0}, 1.15, 0, "amax", {MIDDLE: 1.25}),
    "min-p 0.1": Rule({"min_p": 0.1}, 0.6, 50),
    "top-k 50": Rule({"top_k": 50}, 0.6, 50),
    "epsilon 3e-4": Rule({"epsilon_cutoff": 3e-4}, 0.9, 50),
    "eta 3e-4": Rule({"eta_cutoff": 3e-4}, 0.9, 50),
    "temperature 0.7, top-k 50, top-p 0.95": Rule(
        {"temperature": 0.7, "top_k": 50, "top_p": 0.95}, 0.7
    ),
    "temperature 0.7, top-p 0.95, min-p 0.01": Rule(
        {"temperature": 0.7, "top_p": 0.95, "min_p": 0.01}, 0.8
    ),
    "top-p 0.9": Rule({"top_p": 0.9}, 0.8, 140, other_goals={1_000: 3.0, 32_768: 1.0}),
    "top-p 0.5": Rule({"top_p": 0.5}, 1.0),
    "typical 0.9": Rule({"typical_p": 0.9}, 0.9, 140),
    "llama.cpp's own: top-k 40, top-p 0.95, min-p 0.05, temperature 0.8": Rule(
        {"top_k": 40, "top_p": 0.95, "min_p": 0.05, "temperature": 0.8}, 0.6, order="llama.cpp"
    ),
}

YARDSTICKS = {"softmax": torch.softmax, "amax": torch.amax}


def yardstick(rule: Rule, batches: list[torch.Tensor]) -> dict[str, Turn]:
    function = YARDSTICKS[rule.yardstick]
    return {rule.yardstick: lambda turn: function(batches[turn % len(batches)], -1)}


def read(batches: list[torch.Tensor]) -> Turn:
    """Read a batch, so that all find it in the same state of the cache."""
    return lambda turn: batches[turn % len(batches)].sum()


def ours(rule: Rule, batches: list[torch.Tensor], threads: int = 1) -> Turn:
    rules = sortes.Rules(**rule.given)
    stream = sortes.Stream(0)

    def turn(n: int) -> torch.Tensor:
        logits = batches[n % len(batches)]
        return sortes.sample(logits, rules, rng=stream, step=n, num_threads=threads)

    return turn


_WARPERS = {
    "temperature": transformers.TemperatureLogitsWarper,
    "top_k": transformers.TopKLogitsWarper,
    "top_p": transformers.TopPLogitsWarper,
    "min_p": transformers.MinPLogitsWarper,
    "typical_p": transformers.TypicalLogitsWarper,
    "epsilon_cutoff": transformers.EpsilonLogitsWarper,
    "eta_cutoff": transformers.EtaLogitsWarper,
}


def warpers(rule: Rule, device: str = "cpu") -> LogitsProcessorList:
    """Return transformers' own classes for a rule."""
    on = {"eta_cutoff": {"device": device}}
    steps = rule.arguments.items()
    return LogitsProcessorList([_WARPERS[name](v, **on.get(name, {})) for name, v in steps])


def hugging_face(rule: Rule, batches: list[torch.Tensor]) -> Turn:
    """Do what ``generate`` does: processors, softmax, ``torch.multinomial``."""
    if rule is RULES["greedy"]:
        return lambda n: torch.argmax(batches[n % len(batches)], dim=-1)
    device = batches[0].device
    processors = warpers(rule, device.type)
    no_text = torch.empty((len(batches[0]), 0), dtype=torch.long, device=device)

    def turn(n: int) -> torch.Tensor:
        scores = processors(no_text, batches[n % len(batches)])
        return torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)

    return turn


def llama_cpp(rule: Rule, batches: list[torch.Tensor]) -> Turn | str:
    """Run llama.cpp's own chain through its C interface, which needs no model; float32 only."""
    return peer("llama_cpp", lambda module: _chain(module, rule, batches))


def _chain(c, rule: Rule, batches: list[torch.Tensor]) -> Turn | str:
    """Return the turn of llama.cpp, or a reason for a rule that it does not have.

    Filling its array of 12-byte records is part of the turn, as it is part of its own sampling
    call.
    """
    makers = {
        "temperature": lambda t: (
            c.llama_sampler_init_temp(t) if t else c.llama_sampler_init_greedy()
        ),
        "top_k": c.llama_sampler_init_top_k,
        "top_p": lambda p: c.llama_sampler_init_top_p(p, 1),
        "min_p": lambda p: c.llama_sampler_init_min_p(p, 1),
        "typical_p": lambda p: c.llama_sampler_init_typical(p, 1),
    }
    if not rule.arguments.keys() <= makers.keys():
        return "it has no such rule"
    chain = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
    for name, value in rule.arguments.items():
        c.llama_sampler_chain_add(chain, makers[name](value))
    if rule is not RULES["greedy"]:
        c.llama_sampler_chain_add(chain, c.llama_sampler_init_dist(0))

    V = batches[0].shape[1]
    record = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
    records, ids = np.empty(V, record), np.arange(V, dtype=np.int32)
    first = records.ctypes.data_as(ctypes.POINTER(c.llama_token_data))
    views = [batch.numpy() for batch in batches]

    def one(row: np.ndarray) -> int:
        records["id"], records["logit"], records["p"] = ids, row, 0.0
        array = c.llama_token_data_array(data=first, size=V, selected=-1, sorted=False)
        c.llama_sampler_apply(chain, ctypes.byref(array))
        return array.data[array.selected].id

    return lambda n: [one(row) for row in views[n % len(views)]]


def vllm(rule: Rule, batches: list[torch.Tensor]) -> Turn | str:
    """Run vLLM's sampler of Torch operations, as it does where it has no kernel of its own."""
    if not (PEERS / "vllm.stamp").exists():
        return "vllm is not installed"
    if rule is RULES["greedy"] or not rule.arguments.keys() <= {"temperature", "top_k", "top_p"}:
        return "it has no such rule"
    # To import the module takes a GPU, or all that a server needs: its functions alone do not.
    file = PEERS / "vllm" / "vllm" / "v1" / "sample" / "ops" / "topk_topp_sampler.py"
    module = ast.parse(file.read_text(encoding="utf-8"))
    module.body = [part for part in module.body if isinstance(part, ast.FunctionDef)]
    on_cpu = SimpleNamespace(is_cpu=lambda: True)
    names: dict[str, Any] = {"torch": torch, "HAS_TRITON": False, "current_platform": on_cpu}
    exec(compile(module, str(file), "exec", flags=__future__.annotations.compiler_flag), names)
    return _torch_sampler(SimpleNamespace(**names), rule, batches)


def _torch_sampler(vllm: SimpleNamespace, rule: Rule, batches: list[torch.Tensor]) -> Turn:
    """Return the turn of vLLM, which overwrites the logits of its model, and so gets a copy."""
    B, V = batches[0].shape
    column = {name: torch.full((B,), value) for name, value in rule.arguments.items()}
    t, k, p = (column.get(name) for name in ("temperature", "top_k", "top_p"))
    work = torch.empty(B, V)

    def turn(n: int) -> torch.Tensor:
        work.copy_(batches[n % len(batches)])
        if t is not None:
            work.div_(t[:, None])
        logits = vllm.apply_top_k_top_p(work, k, p)
        return vllm.random_sample(logits.softmax(dim=-1, dtype=torch.float32), {})

    return turn


def check(rule: Rule, batches: list[torch.Tensor], turns: dict[str, Turn | str]) -> None:
    """Assert that the contenders keep the same tokens, and that everybody's draws are among them.

    Transformers compares float32 sums of another accuracy: what is kept may differ by a hair.
    """
    batch = batches[0][:1]
    kept = keep_mask(batch, **rule.given)[0]
    if rule is not RULES["greedy"] and batch.dtype == torch.float32:
        theirs = torch.isfinite(warpers(rule)(None, batch))[0]
        assert torch.softmax(batch[0].double(), 0)[kept != theirs].sum() < 1e-4
    for name, turn in turns.items():
        if isinstance(turn, str):
            continue
        token = int(torch.as_tensor(turn(0)).reshape(-1)[0])
        assert kept[token] or batch.dtype != torch.float32, name
