"""Verification of chains: what is drawn, bit for bit, and what is refused."""

import os
import subprocess
import sys

import numpy as np
import pytest
import sortes
import torch
from sequences.verifiers import by_block, by_token, exponentials, uniforms
from sortes import _device
from sortes.decode import distribution, sample
from sortes.sequences import race_sample, verify_tokens

TEXTS, G, V = 6, 5, 700
RULES = [
    {},
    {"top_k": 50},
    {"top_p": 0.9, "temperature": 0.8},
    {"min_p": 0.05},
    {"temperature": 0.0},
]
METHODS = ["draw", "race", "token", "block"]


def logits(seed=0, noise=0.4, shape=(TEXTS, G, V)):
    rng = np.random.default_rng(seed)
    *lead, g, width = shape
    target = 2.5 * rng.normal(size=(*lead, g + 1, width))
    draft = target[..., :g, :] + noise * rng.normal(size=shape)
    return target.astype(np.float32), draft.astype(np.float32)


def drafted(draft, how, rng, step, **rules):
    """The tokens that a draft model gives, position by position."""
    rows = [how(draft[:, i], rng=rng, step=step + i, **rules) for i in range(draft.shape[1])]
    return np.stack(rows, 1)


def given(method, draft):
    return (draft,) if method in ("token", "block") else ()


@pytest.mark.parametrize(
    "rules", [*RULES, {"xtc_probability": 0.5, "xtc_threshold": 0.05}], ids=str
)
@pytest.mark.parametrize(("method", "how"), [("draw", sample), ("race", race_sample)])
def test_the_text_is_that_of_plain_decoding(method, how, rules):
    """Whatever was drafted, by whomever."""
    target, draft = logits()
    plain = drafted(target, how, 7, 30, **rules)
    drafts = [
        drafted(draft, how, 7, 30, **rules),
        drafted(draft, sample, 8, 0),
        plain[:, :G].copy(),
    ]
    drafts[-1][:3, 2] += 1
    for tokens in drafts:
        found = verify_tokens(tokens, target, method=method, rng=7, step=30, **rules)
        same = np.cumprod(tokens == plain[:, :G], 1).sum(1)
        assert np.array_equal(found.num_accepted, same)
        for text, (n, row) in enumerate(zip(*found, strict=True)):
            assert np.array_equal(row[: n + 1], plain[text, : n + 1])
            assert np.all(row[n + 1 :] == -1)


@pytest.mark.parametrize("rules", RULES, ids=str)
@pytest.mark.parametrize(("method", "reference"), [("token", by_token), ("block", by_block)])
def test_decisions_are_those_of_the_papers(method, reference, rules):
    """With the same uniforms; the references' laws are enumerated beside the vectors.

    Red when the residual forgets the draft, when `h` is `pi`, when a number decides about its
    neighbour, and when ratios are off by 3 %.
    """
    texts, g, width = 2000, 4, 60
    target, draft = logits(3, 0.6, (texts, g, width))
    tokens = drafted(draft, sample, 5, 0, **rules)
    found = verify_tokens(tokens, target, draft, method=method, rng=5, step=9, **rules)
    last, accept = uniforms(5, 9, texts, g)
    p = distribution(target.reshape(-1, width), **rules).reshape(target.shape)
    q = distribution(draft.reshape(-1, width), **rules).reshape(draft.shape)
    wrong = 0
    for text in range(texts):
        n, x = reference(tokens[text], p[text], q[text], accept[text], last[text])
        assert found.num_accepted[text] == n, text
        wrong += found.tokens[text, n] != x
        assert np.array_equal(found.tokens[text, :n], tokens[text, :n])
    assert wrong == 0


def test_a_race_is_that_of_its_exponentials():
    rows = np.random.default_rng(1).normal(size=(300, 1500)).astype(np.float32)
    keys = exponentials(3, 4, 300, 1500) / np.exp(rows.astype(np.float64))
    assert np.array_equal(race_sample(rows, rng=3, step=4), keys.argmin(1))
    kept = np.where(rows >= np.sort(rows, 1)[:, -20, None], keys, np.inf)
    assert np.array_equal(race_sample(rows, top_k=20, rng=3, step=4), kept.argmin(1))


@pytest.mark.parametrize("method", METHODS)
def test_threads_and_parts_of_a_batch(method):
    target, draft = logits(1)
    how = race_sample if method == "race" else sample
    tokens = drafted(draft, how, 3, 5, top_p=0.95)
    whole = verify_tokens(
        tokens, target, *given(method, draft), method=method, rng=3, step=5, top_p=0.95
    )
    for threads in (1, 2, 7):
        again = verify_tokens(tokens, target, *given(method, draft), method=method, rng=3, step=5,
                              top_p=0.95, num_threads=threads)  # fmt: skip
        assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    for cut in (1, 4):
        parts = [
            verify_tokens(tokens[part], target[part], *given(method, draft[part]), method=method,
                          rng=3, step=5, top_p=0.95, rows=np.arange(TEXTS)[part])
            for part in (slice(cut), slice(cut, None))
        ]  # fmt: skip
        for got, want in zip(zip(*parts, strict=True), whole, strict=True):
            assert np.array_equal(np.concatenate(got), want)
    streams = [sortes.Stream(text) for text in range(TEXTS)]
    listed = verify_tokens(
        tokens, target, *given(method, draft), method=method, rng=streams, step=5
    )
    alone = verify_tokens(tokens[2], target[2], *given(method, draft[2]), method=method,
                          rng=streams[2], step=5, rows=2)  # fmt: skip
    assert np.array_equal(listed.tokens[2], alone.tokens)


SCRIPT = """
import sys, numpy as np
sys.path[:0] = {paths!r}
from sequences.test_verify import METHODS, drafted, given, logits
from sortes.decode import sample
from sortes.sequences import verify_multi, verify_tokens
target, draft = logits(2, 0.5, (20, 4, 5000))
for method in METHODS:
    for rules in ({{}}, {{"top_p": 0.9}}):
        tokens = drafted(draft, sample, 0, 0, **rules)
        found = verify_tokens(tokens, target, *given(method, draft), method=method, rng=1, **rules)
        print(method, rules, found.tokens.tolist())
for method in ("rrs", "kseq", "optimal"):
    found = verify_multi(tokens[:, :1].repeat(3, 1), target[:, 0], draft[:, 0], method=method,
                         replacement=True, rng=1)
    print(method, found.accepted.tolist(), found.token.tolist())
"""


def test_instruction_sets_agree():
    paths = [os.path.dirname(os.path.dirname(__file__))]
    script, outputs = SCRIPT.format(paths=paths), set()
    for level in ("portable", "avx2", "avx512"):
        environment = {**os.environ, "SORTES_SIMD": level}
        run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True,
                             text=True, check=True)  # fmt: skip
        outputs.add(run.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 11


@pytest.mark.parametrize("method", METHODS)
def test_ragged_drafts(method):
    """What stands behind a draft's length is not read."""
    target, draft = logits(4)
    how = race_sample if method == "race" else sample
    tokens = drafted(draft, how, 2, 0)
    lengths = np.array([0, 1, 2, 3, 4, 5])
    short, torn, torn_draft = tokens.copy(), target.copy(), draft.copy()
    for text, length in enumerate(lengths):
        short[text, length:], torn[text, length + 1 :] = -7, np.nan
        torn_draft[text, length:] = np.nan
    found = verify_tokens(
        short, torn, *given(method, torn_draft), method=method, lengths=lengths, rng=2
    )
    for text, length in enumerate(lengths):
        alone = verify_tokens(tokens[text, :length], target[text, : length + 1],
                              *given(method, draft[text, :length]), method=method, rng=2,
                              rows=text)  # fmt: skip
        assert found.num_accepted[text] == alone.num_accepted
        assert np.array_equal(found.tokens[text, : length + 1], alone.tokens)
        assert np.all(found.tokens[text, length + 1 :] == -1)


def test_without_a_draft_it_is_a_draw():
    target = logits()[0][:, 0]
    for method, how in (("draw", sample), ("race", race_sample)):
        found = verify_tokens(
            np.empty((TEXTS, 0), int), target[:, None], method=method, rng=1, step=2
        )
        assert np.array_equal(found.tokens[:, 0], how(target, rng=1, step=2))
        assert not found.num_accepted.any()


@pytest.mark.parametrize("method", ["token", "block"])
def test_equal_laws_always_stand(method):
    target, _ = logits(5, shape=(500, G, V))
    draft = target[:, :G].copy()
    tokens = drafted(draft, sample, 0, 0, top_p=0.95)
    found = verify_tokens(tokens, target, draft, method=method, rng=0, top_p=0.95)
    assert np.all(found.num_accepted == G)
    # A temperature of zero: the draft's one token, or the target's.
    tokens = draft.argmax(-1)
    tokens[:, 1] = draft[:, 1].argmin(-1)
    draft[np.arange(500), 1, tokens[:, 1]] = 99
    found = verify_tokens(tokens, target, draft, method=method, rng=0, temperature=0)
    assert np.all(found.num_accepted == 1)
    assert np.array_equal(found.tokens[:, 1], target[:, 1].argmax(-1))


def test_axes_and_kinds_of_arrays():
    target, draft = logits(6, shape=(2, 3, 4, 50))
    tokens = np.stack([sample(draft[:, :, i].reshape(6, 50), rng=1, step=i) for i in range(4)], 1)
    tokens = tokens.reshape(2, 3, 4)
    want = verify_tokens(tokens, target, draft, method="block", rng=1)
    assert want.num_accepted.shape == (2, 3)
    assert want.tokens.shape == (2, 3, 5)
    flat = verify_tokens(tokens.reshape(6, 4), target.reshape(6, 5, 50), draft.reshape(6, 4, 50),
                         method="block", rng=1)  # fmt: skip
    assert np.array_equal(flat.tokens, want.tokens.reshape(6, 5))
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        p, q = torch.tensor(target).to(dtype), torch.tensor(draft).to(dtype)
        found = verify_tokens(torch.tensor(tokens), p, q, method="block", rng=1)
        assert isinstance(found.tokens, torch.Tensor)
        wide = verify_tokens(tokens, p.float().numpy(), q.float().numpy(), method="block", rng=1)
        assert np.array_equal(found.tokens.numpy(), wide.tokens)
        assert np.array_equal(found.num_accepted.numpy(), wide.num_accepted)
    # Every other text of a larger array, and lists.
    wide = np.repeat(target, 2, 0)[::2]
    assert np.array_equal(
        verify_tokens(tokens, wide, draft, method="block", rng=1).tokens, want.tokens
    )
    listed = verify_tokens(tokens.tolist(), target, draft.tolist(), method="block", rng=1)
    assert np.array_equal(listed.tokens, want.tokens)


def test_masks_and_biases_act_on_both():
    target, draft = logits(7, shape=(400, 2, 30))
    bias = {3: 2.0, 5: -1.0}
    mask = np.random.default_rng(0).random((400, 3, 30)) < 0.7
    tokens = np.stack(
        [sample(draft[:, i], mask=mask[:, i], logit_bias=bias, rng=1, step=i) for i in range(2)], 1
    )
    p, q = target.copy(), draft.copy()
    for token, value in bias.items():
        p[..., token] += value
        q[..., token] += value
    p[~mask], q[~mask[:, :2]] = -np.inf, -np.inf
    for method in METHODS:
        beside = {"logit_bias": bias, "mask": mask, "method": method, "rng": 1}
        found = verify_tokens(tokens, target, *given(method, draft), **beside)
        want = verify_tokens(tokens, p, *given(method, q), method=method, rng=1)
        assert np.array_equal(found.tokens, want.tokens), method


@pytest.mark.parametrize("rules", [{}, {"top_k": 20}, {"temperature": 0.0}], ids=str)
def test_on_a_device(monkeypatch, rules):
    """By drawing: the same tokens as on the CPU with `method="scan"`, but for rounding."""
    target, draft = logits(8)
    tokens = drafted(draft, sample, 2, 4, **rules)
    lengths = np.array([5, 5, 5, 3, 0, 4])
    monkeypatch.setattr(_device, "PRETEND", True)
    found = verify_tokens(tokens, torch.tensor(target), lengths=lengths, rng=2, step=4, **rules)
    monkeypatch.setattr(_device, "PRETEND", False)
    plain = drafted(target, lambda *a, **k: sample(*a, method="scan", **k), 2, 4, **rules)
    for text, length in enumerate(lengths):
        same = int(np.cumprod(tokens[text, :length] == plain[text, :length]).sum())
        assert found.num_accepted[text] == same
        assert np.array_equal(found.tokens[text, : same + 1].numpy(), plain[text, : same + 1])
        assert (found.tokens[text, same + 1 :] == -1).all()


def refused(match, *arguments, error=ValueError, **keywords):
    with pytest.raises(error, match=match):
        verify_tokens(*arguments, **keywords)


def test_what_is_refused():
    target, draft = logits(9, shape=(2, 3, 8))
    tokens = drafted(draft, sample, 0, 0)
    block = {"method": "block", "rng": 0}
    refused(r"^draft_logits: must be given with method='token'", tokens, target, method="token")
    refused(r"^draft_logits: must not be given with method='draw'", tokens, target, draft)
    refused(
        r"^draft_logits: must not be given with method='race'", tokens, target, draft, method="race"
    )
    refused(
        r"^xtc_probability: must not be given", tokens, target, draft, xtc_probability=0.5, **block
    )
    refused(r"^draft_logits: must have the 8 tokens of target_logits, got 7", tokens, target,
            draft[..., :7].copy(), **block)  # fmt: skip
    refused(r"^draft_logits: must have shape \(2, 3, 8\), got \(2, 2, 8\)", tokens, target,
            draft[:, :2], **block)  # fmt: skip
    refused(r"^target_logits: must have \(2, 3\) rows, draft_tokens having shape \(2, 2\), got",
            tokens[:, :2], target)  # fmt: skip
    refused(r"^draft_tokens: must have as many axes", tokens[0], target)
    refused(r"^draft_tokens: must hold integers", tokens + 0.5, target, error=TypeError)
    refused(r"^target_logits: must have shape", tokens[0], target[0, 0])
    refused(r"^lengths: item 1 must be in \[0, 3\], got 4", tokens, target, lengths=[0, 4])
    refused(r"^rows: must have shape \(2,\)", tokens, target, rows=[1, 2, 3])
    refused(r"^step: 4294967294 and 2 more", tokens, target, rng=0, step=2**32 - 2)
    refused(r"^method: must be", tokens, target, method="greedy")
    bad = tokens.copy()
    bad[1, 2] = 8
    for method in METHODS:
        refused(r"^draft_tokens: item \(1, 2\) must be in \[0, 8\), got 8", bad, target,
                *given(method, draft), method=method)  # fmt: skip
    torn = target.copy()
    torn[1, 0, 3] = np.nan
    for method in METHODS:
        refused(r"^target_logits: row \(1, 0\): contains NaN or \+inf", tokens, torn,
                *given(method, draft), method=method)  # fmt: skip
    refused(r"^target_logits: row 0: contains NaN", tokens[1], torn[1])
    torn = draft.copy()
    torn[0, 0, 3] = np.inf
    refused(r"^draft_logits: row \(0, 0\): contains NaN or \+inf", tokens, target, torn, **block)
    torn[0, 0] = -np.inf
    refused(r"^draft_logits: row \(0, 0\): no finite logit", tokens, target, torn, **block)
    # The draft did not have the rules, or the token is none of its.
    off = draft.argmin(-1)
    for method in ("token", "block"):
        refused(r"^draft_tokens: item \(0, 0\) must be a draw of the draft, got .*", off, target,
                draft, method=method, rng=0, top_k=2)  # fmt: skip
    with pytest.raises(ValueError, match=r"^logits: row 1: contains NaN"):
        race_sample(np.array([[0, 1], [np.nan, 0]]), rng=0)
    with pytest.raises(ValueError, match=r"^logits: row 0: no finite logit"):
        race_sample(np.full((1, 2), -np.inf), rng=0)


def test_what_is_refused_on_a_device(monkeypatch):
    target, draft = (torch.tensor(part) for part in logits(9, shape=(2, 3, 8)))
    tokens = np.zeros((2, 3), int)
    monkeypatch.setattr(_device, "PRETEND", True)
    way_out = r"^target_logits: must be on the CPU with method='block'; give target_logits.cpu\(\)"
    refused(way_out, tokens, target, draft, method="block", error=TypeError)
    with pytest.raises(TypeError, match=r"^logits: must be on the CPU"):
        race_sample(target[0])
