"""One group for each rule, batch, vocabulary, dtype and kind of row; one test per contender."""

import contenders
import pytest
from contenders import RULES
from data import DTYPES, VOCABULARIES, batches

MIDDLE = VOCABULARIES[1]
# One at a time away from the usual case, which is one float32 row of a real model.
CELLS = [(1, V, "f32", "real") for V in VOCABULARIES]
CELLS += [(1, MIDDLE, "f32", kind) for kind in ("flat", "peaked")]
CELLS += [(1, MIDDLE, dtype, "real") for dtype in DTYPES if dtype != "f32"]
CELLS += [(64, MIDDLE, "f32", "real")]
CONTENDERS = ("sortes", "sortes, 2 threads", "yardstick", "transformers", "llama.cpp")


def cells():
    for B, V, dtype, kind in CELLS:
        for name in RULES:
            for contender in CONTENDERS:
                if contender == "sortes, 2 threads" and B == 1:
                    continue
                if contender == "llama.cpp" and (B > 1 or dtype != "f32"):
                    continue
                if contender == "transformers" and B > 1:  # seconds: only where they take turns
                    continue
                group = f"{name}/B={B}/V={V}/{dtype}/{kind}"
                yield pytest.param(
                    B,
                    V,
                    dtype,
                    kind,
                    name,
                    contender,
                    id=f"{group}/{contender}",
                    marks=pytest.mark.benchmark(group=group, max_time=0.1, min_rounds=3),
                )


@pytest.mark.parametrize(("B", "V", "dtype", "kind", "name", "contender"), list(cells()))
def test_draw(benchmark, B, V, dtype, kind, name, contender):
    rule, rows = RULES[name], batches(kind, B, V, dtype)
    turn = make(contender, rule, rows)
    contenders.check(rule, rows, {} if contender == "yardstick" else {contender: turn})
    numbers = iter(range(1 << 62))
    benchmark(lambda: turn(next(numbers)))


def make(contender, rule, rows):
    match contender:
        case "sortes":
            return contenders.ours(rule, rows)
        case "sortes, 2 threads":
            return contenders.ours(rule, rows, threads=2)
        case "yardstick":
            return contenders.yardstick(rule.yardstick, rows)
        case "transformers":
            return contenders.hugging_face(rule, rows)
        case "llama.cpp":
            if not contenders.has_llama_cpp():
                pytest.skip("llama-cpp-python is not installed")
            turn = contenders.llama_cpp(rule, rows)
            return turn or pytest.skip("llama.cpp has no such rule")
