"""Tensors on the CPU, which native code looks at and makes by Torch's own C interface."""

import gc
import pickle
import threading
import weakref

import numpy as np
import pytest
import sortes
from sortes import _core
from sortes.decode import sampling

torch = pytest.importorskip("torch")
EXCHANGE = sampling._exchange()

DTYPES = ("float32", "float16", "bfloat16", "float64")
#: What may lie in memory in another way than row by row, and what has no memory to be read.
LAYOUTS = {
    "rows": lambda x: x,
    "one row": lambda x: x[1],
    "part of rows": lambda x: x[:, 3:40],
    "rows apart": lambda x: x[::2],
    "one row thrice": lambda x: x[:1].expand(3, -1),
    "columns": lambda x: x.T,
    "every second column": lambda x: x[:, ::2],
    "one column": lambda x: x[:, :1],
    "no rows": lambda x: x[:0],
    "negated when read": lambda x: torch._neg_view(x),
    "a gradient": lambda x: x.detach().requires_grad_(),
    "a tensor of its own class": lambda x: torch.nn.Parameter(x.clone(), requires_grad=False),
}


@pytest.fixture
def logits():
    return torch.from_numpy(np.random.default_rng(5).normal(0, 2, (6, 50)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rules", [{"temperature": 0.0}, {"top_p": 0.8}, {}], ids=str)
def test_tokens_are_those_of_the_longer_way(logits, dtype, layout, rules, monkeypatch):
    x = LAYOUTS[layout](logits.to(getattr(torch, dtype)))
    tokens = [sortes.sample(x, rng=3, step=step, **rules) for step in range(4)]
    monkeypatch.setattr(sampling, "_exchange", lambda: None)
    longer = [sortes.sample(x, rng=3, step=step, **rules) for step in range(4)]
    for token, other in zip(tokens, longer, strict=True):
        assert type(token) is torch.Tensor
        assert token.dtype is torch.int64
        assert torch.equal(token, other)
        assert (token.shape, token.stride()) == (other.shape, other.stride())


@pytest.mark.skipif(EXCHANGE is None, reason="this Torch has no C interface")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["rows", "one row", "part of rows", "a gradient"])
def test_the_short_way_is_taken(logits, dtype, layout, monkeypatch):
    monkeypatch.setattr(sampling, "memory_of", lambda _: pytest.fail("the longer way was taken"))
    assert sortes.sample(LAYOUTS[layout](logits.to(getattr(torch, dtype))), rng=0).numel() in (1, 6)


@pytest.mark.parametrize("make", [
    lambda x: x.to("meta"),
    lambda x: x.to_sparse(),
    lambda x: x.to(torch.float8_e4m3fn),
    lambda x: x.long(),
    lambda x: x > 0,
    lambda x: x[0, 0],
    lambda x: x[None],
    lambda x: x[:, :0],
])  # fmt: skip
def test_what_has_no_rows_of_logits_is_refused_by_name(logits, make):
    with pytest.raises((TypeError, ValueError), match=r"^logits"):
        sortes.sample(make(logits), rng=0, temperature=0.0)


def test_bad_rows_and_arguments_are_refused_as_ever(logits):
    logits[2, 7] = torch.nan
    with pytest.raises(ValueError, match=r"^logits: row 2: contains NaN"):
        sortes.sample(logits, rng=0)
    with pytest.raises(ValueError, match=r"^num_threads"):
        sortes.sample(logits[:2], rng=0, num_threads=0)
    with pytest.raises(TypeError, match=r"^rng"):
        sortes.sample(logits[:2], rng="seed")


def test_tokens_are_ordinary_tensors(logits):
    tokens = sortes.sample(logits, rng=0)
    before = tokens.tolist()
    assert tokens.is_contiguous()
    assert tokens.is_cpu
    assert tokens.requires_grad is False
    tokens += 1
    assert tokens.tolist() == [token + 1 for token in before]
    assert pickle.loads(pickle.dumps(tokens)).tolist() == tokens.tolist()
    kept = tokens.view(2, 3)[1]
    wanted = kept.tolist()
    del tokens
    gc.collect()
    for step in range(1000):  # memory that was given back too early would be written to
        sortes.sample(logits, rng=1, step=step)
    assert kept.tolist() == wanted
    seen = weakref.ref(sortes.sample(logits, rng=0))
    assert seen() is None


def test_memory_of_tokens_is_given_back(logits):
    resource = pytest.importorskip("resource")
    wide = logits.repeat(2000, 1)  # a result of 96 kB
    sortes.sample(wide, rng=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for step in range(300):
        sortes.sample(wide, rng=0, step=step, temperature=0.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_tokens_may_be_let_go_on_another_thread(logits):
    def let_go(tensors):
        tensors.clear()

    tokens = [sortes.sample(logits, rng=0, step=step) for step in range(50)]
    thread = threading.Thread(target=let_go, args=(tokens,))
    thread.start()
    thread.join()
    assert not tokens


@pytest.mark.skipif(EXCHANGE is None, reason="this Torch has no C interface")
def test_other_versions_and_other_objects_have_no_exchange():
    exchange = _core.decode.sampling.Exchange
    for wrong in (None, 3, torch.zeros(3).__dlpack__()):
        with pytest.raises(ValueError, match="PyCapsule"):
            exchange.of(wrong)
