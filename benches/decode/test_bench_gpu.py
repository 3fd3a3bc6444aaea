"""On a GPU: draws on logits that stay there, beside transformers' warpers."""

import pytest
import torch

from benches.decode import contenders
from benches.decode.contenders import RULES
from benches.decode.rows import VOCABULARIES, batches
from benches.turns import cuda, turns

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
V = VOCABULARIES[1]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["flat", "real"])
@pytest.mark.parametrize("B", [1, 64, 256])
def test_gpu(benchmark, B, kind, name):
    rule = RULES[name]
    rows = torch.cat(batches(kind, 64, V, "f32") * max(1, B // 64))[:B].cuda()
    copies = [rows.roll(shift, 0).contiguous() for shift in range(4)]
    ours = {"sortes": contenders.ours(rule, copies)}
    contenders.check(rule, copies, ours)
    turns(
        benchmark,
        "On the GPU",
        {"V": V, "rows": B, "kind": kind, "pipeline": name},
        ours,
        {"transformers": contenders.hugging_face(rule, copies)},
        yardsticks=contenders.yardstick(rule, copies),
        floor={"copy": half_a_copy(rows)},
        least=20,
        most=200,
        clock=cuda,
    )


def half_a_copy(rows):
    """Move as many bytes on the device as reading the rows takes."""
    source = rows.flatten()[: rows.numel() // 2].clone()
    target = torch.empty_like(source)
    return lambda _: target.copy_(source)
