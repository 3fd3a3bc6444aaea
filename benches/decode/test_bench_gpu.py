"""On a GPU: the same rules on logits that stay there, beside transformers' warpers."""

import contenders
import measure
import pytest
import torch
from contenders import RULES
from data import VOCABULARIES, batches

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
V = VOCABULARIES[1]


@pytest.mark.benchmark(group="GPU: one round of all contenders")
@pytest.mark.parametrize("kind", ["flat", "real"])
@pytest.mark.parametrize("B", [1, 64, 256])
def test_gpu(benchmark, B, kind):
    rows = torch.cat(batches(kind, 64, V, "f32") * max(1, B // 64))[:B].cuda()
    copies = [rows.roll(shift, 0).contiguous() for shift in range(4)]
    turns = {name: contenders.yardstick(name, copies) for name in contenders.YARDSTICKS}
    for name, rule in RULES.items():
        turns[name] = contenders.ours(rule, copies)
        turns[f"transformers {name}"] = contenders.hugging_face(rule, copies)
        contenders.check(rule, copies, {name: turns[name]})
    rounds = measure.rounds_within(turns, 3, 20, 200, measure.cuda)
    seconds = benchmark.pedantic(measure.alternate, (turns, rounds, measure.cuda), rounds=1)
    benchmark.extra_info.update(
        gpu={"B": B, "V": V, "kind": kind},
        rounds=rounds,
        floor=1e3 * measure.floor(copies, measure.cuda),
        ms=measure.summary(seconds),
    )
