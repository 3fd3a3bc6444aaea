"""A step of powers of whole texts beside the draw of its rows; ``generate`` beside plain texts."""

import numpy as np
import pytest
import torch
from sortes import _core
from sortes.decode import draw
from sortes.sequences import TokenAutomaton, Vocabulary

from benches.sequences.test_bench_distinct import V, rows
from benches.sequences.test_bench_generate import model  # noqa: F401
from benches.turns import turns

ROWS = 16
GOAL = 1.6  # of plain texts, as many as there are particles


class Slots:
    """A loop whose particles never meet again, so that a step has as many rows as particles."""

    def __init__(self, law, stream):
        self.native = _core.sequences.power.Particles(law, ROWS, "systematic", 0.5, stream)

    def step(self, given):
        n = len(self.native.beginnings())
        self.native.step((given[0][:n], *given[1:]), (1, None))


@pytest.mark.parametrize("alpha", [1.0, 4.0])
@pytest.mark.parametrize("matching", [False, True], ids=["free", "matching"])
def test_step(benchmark, alpha, matching):
    logits = rows(ROWS)
    uniforms = np.random.default_rng(1).random(ROWS)
    native = _core.decode.sampling.Rules({}, [])
    letters = [bytes([97 + token % 26]) for token in range(V - 1)]
    automaton = TokenAutomaton("[a-z]*", Vocabulary([*letters, None], eos_token_id=V - 1))
    constraint = (automaton._native, False) if matching else None
    loops = {}

    def step(turn):
        loop = loops.get("loop")
        if loop is None or loop.native.position > 200:
            law = (alpha, alpha, 1_000_000, [V - 1], constraint)
            loop = loops["loop"] = Slots(law, _core.Stream(turn))
            loop.step((logits, False, native, None, None, None))
        loop.step((logits, False, native, None, None, None))

    turns(
        benchmark,
        "A step of 16 particles",
        {"V": V, "alpha": alpha, "law": "given a match" if matching else "of all texts"},
        {"sortes": step},
        {},
        yardsticks={"decode.draw": lambda turn: draw(logits, uniforms, num_threads=1)},
        floor_bytes=logits.nbytes,
        seconds=0.3,
    )


def test_generate(benchmark, model):  # noqa: F811
    """16 particles at alpha = 4, beside 16 plain texts of one call."""
    from sortes.integrations import transformers as ours

    prompt = torch.arange(1, 33)[None]
    common = {"do_sample": True, "top_k": 0, "max_new_tokens": 32}

    def power(turn):
        return model.generate(
            prompt, custom_generate=ours.power_sample, alpha=4.0, num_particles=ROWS, rng=turn,
            **common,
        )  # fmt: skip

    def plain(turn):
        return model.generate(
            prompt, custom_generate=ours.sample, num_return_sequences=ROWS, rng=turn, **common
        )

    turns(
        benchmark,
        "16 particles of a prompt, with the model",
        {"V": model.config.vocab_size, "tokens of each": 32},
        {"power_sample": power},
        {"sample, 16 texts": plain},
        yardsticks={"plain texts": plain},
        goal={"plain texts": GOAL},
        seconds=2,
        most=20,
    )
