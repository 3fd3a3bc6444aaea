"""Arithmetic sampling: values from independent references, state, reproducibility, bad input."""

import pickle

import numpy as np
import pytest
from sequences.models import TableModel
from sortes import Stream
from sortes.decode import Rules, distribution, keep_mask
from sortes.sequences import ArithmeticCodes, ArithmeticOutput, arithmetic_codes
from vectors import load

VECTORS = load("sequences/arithmetic.json")
FROZEN = load("sequences/arithmetic_stability.json")
CODEBOOKS = ["lattice", "stratified", "t5x"]
ORDERS = ["id", "probability", "random"]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (6, 5_000)).astype(np.float32)


@pytest.mark.parametrize("case", VECTORS["decode"], ids=lambda case: f"{case['lm']}-{case['n']}")
def test_codes_that_are_given(case):
    model = TableModel.of(VECTORS, case["lm"])
    codes = ArithmeticCodes(1, case["n"], codes=case["codes"], rng=0)
    assert codes.codebook == "explicit"
    assert codes.codes[0] == pytest.approx(case["codes"], abs=2**-52)
    drawn = model.draw(codes)
    assert [list(model.texts[i]) for i in drawn] == case["sequences"]
    # The probabilities are those of float32 logits.
    assert codes.codes[0] == pytest.approx(case["final_codes"], abs=1e-3)


@pytest.mark.parametrize("case", VECTORS["steps"])
def test_single_steps(case):
    with np.errstate(divide="ignore"):
        logits = np.log(case["probs"])
    codes = ArithmeticCodes(1, 1, codes=[case["code"]], rng=0)
    # Logits are read as float32, so a code right at a boundary may fall on either side.
    token = int(codes.step(logits[None])[0])
    at_boundary = case["code"] in (case["low"], case["high"]) and case["low"] > 0
    assert token == case["token"] or (at_boundary and abs(token - case["token"]) <= 2)
    if token == case["token"]:
        assert codes.codes[0, 0] == pytest.approx(case["new_code"], abs=1e-6)


@pytest.mark.parametrize("codebook", CODEBOOKS)
def test_codes_are_spread_as_their_codebook_says(codebook):
    n = 7
    many = np.array([arithmetic_codes(n, codebook=codebook, rng=seed) for seed in range(200)])
    assert many.min() >= 0
    assert many.max() < 1
    assert np.array_equal(many[3], ArithmeticCodes(1, n, codebook=codebook, rng=3).codes[0])
    if codebook == "t5x":
        gaps = np.sort(np.diff(np.sort(many, 1), axis=1), 1)
        ends = many.min(1) + 1 - many.max(1)  # the gap around the end
        widest = np.maximum(gaps[:, -1], ends)
        assert widest == pytest.approx(2 / (n + 1))
        assert np.minimum(gaps[:, 0], ends) == pytest.approx(1 / (n + 1))
        # In the order of the formula: i / (n + 1) + b, around the end.
        assert (np.diff(many, axis=1) % 1) == pytest.approx(1 / (n + 1))
        return
    places = (many * n).astype(int)
    assert np.array_equal(np.sort(places, 1), np.tile(np.arange(n), (200, 1)))
    assert np.all(np.diff(places, axis=1) % n == 1)
    assert set(places[:, 0]) == set(range(n))
    offsets = many * n % 1
    alike = np.ptp(offsets, axis=1) < 1e-9
    assert alike.all() if codebook == "lattice" else not alike.any()


def test_prompts_have_codes_of_their_own():
    codes = ArithmeticCodes(50, 4, rng=0).codes
    assert codes.shape == (50, 4)
    assert len(np.unique(codes[:, 0])) == 50
    one = ArithmeticCodes(1, 4, prompt_ids=[17], rng=0).codes
    assert np.array_equal(one[0], codes[17])
    assert not np.array_equal(ArithmeticCodes(1, 4, rng=0, step=1).codes[0], codes[0])
    assert np.array_equal(ArithmeticCodes(1, 4, rng=Stream(5).advance(2)).codes,
                          ArithmeticCodes(1, 4, rng=Stream(5), step=2).codes)  # fmt: skip


def steps(codes, logits, count=8, **arguments):
    return np.stack([codes.step(np.roll(logits, i, 1), **arguments) for i in range(count)])


@pytest.mark.parametrize("codebook", CODEBOOKS)
@pytest.mark.parametrize("order", ORDERS)
def test_frozen_draws(codebook, order):
    row = np.array(FROZEN["row"], np.float32)
    codes = ArithmeticCodes(2, 3, codebook=codebook, token_order=order, rng=0)
    tokens = steps(codes, np.tile(row, (6, 1)), 6, temperature=1.3, min_p=0.01)
    assert tokens.tolist() == FROZEN["tokens"][codebook][order]
    assert codes.codes.ravel().tolist() == FROZEN["codes"][codebook][order]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rules", [{}, {"top_p": 0.9}, {"top_k": 40, "xtc_probability": 0.5}])
def test_neither_threads_nor_batches_matter(order, rules):
    def whole(**arguments):
        codes = ArithmeticCodes(3, 2, token_order=order, prompt_ids=[5, 0, 9], rng=1)
        return steps(codes, LOGITS, num_threads=arguments.get("num_threads"), **rules), codes

    tokens, codes = whole(num_threads=1)
    for threads in (2, 7):
        again, same = whole(num_threads=threads)
        assert np.array_equal(again, tokens)
        assert same.to_bytes() == codes.to_bytes()
    for p, prompt in enumerate([5, 0, 9]):
        rows = slice(2 * p, 2 * p + 2)
        part = ArithmeticCodes(1, 2, token_order=order, prompt_ids=[prompt], rng=1)
        assert np.array_equal(steps(part, LOGITS[rows], **rules), tokens[:, rows])
        assert np.array_equal(part.codes[0], codes.codes[p])


def test_long_rows_on_several_threads():
    row = RNG.normal(0, 2, 300_000).astype(np.float32)
    logits = np.broadcast_to(row, (3, row.size))
    drawn = [
        steps(ArithmeticCodes(1, 3, token_order=order, rng=1), logits, 2, num_threads=threads)
        for order in ORDERS
        for threads in (1, 2, 7)
    ]
    assert all(np.array_equal(drawn[3 * i], drawn[3 * i + j]) for i in range(3) for j in (1, 2))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16"])
def test_kinds_of_arrays_agree(backend, order, dtype):
    """In one step: a device's sums differ in their last bits, which later digits come to show."""
    if dtype == "bfloat16" and backend.name == "numpy":
        pytest.skip("NumPy has no bfloat16")
    given = backend.convert(LOGITS, dtype)
    wide = given.astype(np.float32) if backend.name == "numpy" else given.float().cpu().numpy()
    for seed in range(20):
        codes, plain = (ArithmeticCodes(3, 2, token_order=order, rng=seed) for _ in range(2))
        finished = np.arange(6) == seed % 6
        asked = {"finished": finished, "logprobs": True, "temperature": 0.8, "top_p": 0.95}
        got = backend(codes.step, LOGITS, dtype=dtype, waits=True, **asked)
        want = plain.step(wide, **asked)
        assert np.array_equal(got.tokens, want.tokens)
        assert got.tokens[seed % 6] == -1
        assert got.logprob == pytest.approx(want.logprob, abs=1e-5)
        assert codes.codes == pytest.approx(plain.codes, abs=1e-2)
        assert codes.steps == plain.steps == 1


@pytest.mark.parametrize("order", ORDERS)
def test_log_probabilities_are_those_of_the_law(order):
    codes = ArithmeticCodes(2, 3, token_order=order, rng=4)
    rules = Rules(temperature=0.7, top_k=200, min_p=1e-3)
    law = distribution(LOGITS, rules)
    for _ in range(5):
        out = codes.step(LOGITS, rules, logprobs=True)
        assert isinstance(out, ArithmeticOutput)
        assert np.all(keep_mask(LOGITS, rules)[np.arange(6), out.tokens])
        assert out.logprob == pytest.approx(np.log(law[np.arange(6), out.tokens]), abs=1e-6)


def test_greedy_takes_no_digits():
    codes = ArithmeticCodes(2, 3, rng=4)
    before = codes.codes
    out = codes.step(LOGITS, temperature=0, logprobs=True)
    assert np.array_equal(out.tokens, LOGITS.argmax(1))
    assert np.array_equal(out.logprob, np.zeros(6))
    assert np.array_equal(codes.codes, before)


def test_bias_and_mask():
    codes = ArithmeticCodes(1, 6, rng=0)
    mask = np.zeros(5_000, bool)
    mask[[3, 8]] = True
    assert set(codes.step(LOGITS, mask=mask)) <= {3, 8}
    assert set(codes.step(LOGITS, logit_bias={11: 100.0})) == {11}


def test_finished_texts_keep_their_code():
    codes = ArithmeticCodes(2, 3, rng=0)
    before = codes.codes.ravel()
    finished = np.array([0, 1, 0, 0, 0, 1], bool)
    logits = LOGITS.copy()
    logits[finished] = np.nan  # nobody reads them
    out = codes.step(logits, finished=finished, pad_token_id=7, logprobs=True)
    assert np.array_equal(out.tokens[finished], [7, 7])
    assert np.array_equal(out.logprob[finished], [0, 0])
    assert np.array_equal(codes.codes.ravel() == before, finished)
    assert set(codes.step(logits, finished=np.ones(6, bool))) == {-1}


def test_state():
    codes = ArithmeticCodes(2, 3, codebook="t5x", token_order="random", rng=0)
    steps(codes, LOGITS)
    twins = [
        codes.copy(),
        pickle.loads(pickle.dumps(codes)),
        ArithmeticCodes.from_bytes(codes.to_bytes()),
    ]
    went_on = steps(codes, LOGITS, 3)
    for twin in twins:
        assert (twin.n_prompts, twin.n, twin.steps) == (2, 3, 8)
        assert (twin.codebook, twin.token_order, len(twin)) == ("t5x", "random", 6)
        assert np.array_equal(steps(twin, LOGITS, 3), went_on)
        assert twin.to_bytes() == codes.to_bytes()
    assert repr(codes) == (
        "ArithmeticCodes(n_prompts=2, n=3, codebook='t5x', token_order='random')"
    )
    for damaged in (codes.to_bytes()[:-8], codes.to_bytes().replace(b"SORTES", b"SORTED")):
        with pytest.raises(ValueError, match="data: "):
            ArithmeticCodes.from_bytes(damaged)


def test_out():
    codes, twin = (ArithmeticCodes(2, 3, rng=0) for _ in range(2))
    out = np.empty(6, np.int64)
    assert codes.step(LOGITS, out=out) is out
    assert np.array_equal(out, twin.step(LOGITS))
    assert codes.step(LOGITS, out=out, logprobs=True).tokens is out


def test_one_text_may_be_one_row():
    codes, twin = (ArithmeticCodes(1, 1, rng=0) for _ in range(2))
    token = codes.step(LOGITS[0])
    assert token.shape == ()
    assert token == twin.step(LOGITS[:1])[0]


def _bad(rows, value):
    logits = LOGITS.copy()
    logits[rows, 5] = value
    return logits


BAD_STEPS = {
    "NaN": ((_bad([3, 4], np.nan),), {}, r"logits: row 3: contains NaN or \+inf"),
    "infinity": ((_bad([5], np.inf),), {}, r"logits: row 5: contains NaN or \+inf"),
    "nothing": ((_bad([2, 4], np.nan) * 0 - np.inf,), {}, r"logits: row"),
    "rows": ((LOGITS[:5],), {}, "logits: has 5 rows for 6 codes"),
    "vocabulary": ((LOGITS[:, :9],), {}, "logits: has 9 columns, but the step before had 5000"),
    "rules twice": ((LOGITS, Rules(top_k=3)), {"top_k": 3}, "rules: already hold everything"),
    "temperature twice": (
        (LOGITS, Rules(temperature=0.5)), {"temperature": 0.7}, "rules: already hold everything"
    ),
    "pad": ((LOGITS,), {"pad_token_id": 3}, "pad_token_id: needs finished"),
    "finished": ((LOGITS,), {"finished": [True]}, r"finished: must have shape \(6,\)"),
    "numbers": ((LOGITS,), {"finished": [1] * 6}, "finished: must hold booleans"),
    "rule": ((LOGITS,), {"temprature": 1}, "temprature: is not a rule argument"),
    "values": ((LOGITS,), {"top_p": [0.5, 0.9]}, "top_p: has 2 values for 6 rows"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "keywords", "message"), BAD_STEPS.values(), ids=BAD_STEPS)
def test_a_refused_step_changes_nothing(backend, given, keywords, message):
    codes = ArithmeticCodes(2, 3, rng=0)
    codes.step(LOGITS)
    before = codes.to_bytes()
    with pytest.raises((ValueError, TypeError), match=message):
        backend(codes.step, *given, waits=True, **keywords)
    assert codes.to_bytes() == before


BAD_CODES = {
    "no prompt": ({"n_prompts": 0, "n": 3}, "n_prompts: must be at least 1"),
    "none": ({"n_prompts": 1, "n": 0}, r"n: must be in \[1, 2\*\*31\], got 0"),
    "too many": ({"n_prompts": 1, "n": 2**31 + 1}, r"n: must be in \[1, 2\*\*31\]"),
    "codebook": ({"n_prompts": 1, "n": 2, "codebook": "sobol"}, "codebook: must be"),
    "order": ({"n_prompts": 1, "n": 2, "token_order": "best"}, "token_order: must be"),
    "outside": ({"n_prompts": 1, "n": 2, "codes": [0.5, 1.0]}, r"codes: item 1 must be in \[0,"),
    "below": (
        {"n_prompts": 2, "n": 2, "codes": [[0, 0], [0, -1e-9]]}, r"codes: item \(1, 1\) must be in"
    ),
    "NaN": ({"n_prompts": 1, "n": 1, "codes": [np.nan]}, "codes: item 0 must be in"),
    "number": ({"n_prompts": 1, "n": 2, "codes": [0.5]}, r"codes: must have shape \(2,\)"),
    "both": (
        {"n_prompts": 1, "n": 1, "codes": [0.5], "codebook": "lattice"}, "codebook: must not be"
    ),
    "ids": ({"n_prompts": 2, "n": 1, "prompt_ids": [1]}, r"prompt_ids: must have shape \(2,\)"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), BAD_CODES.values(), ids=BAD_CODES)
def test_bad_codes(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ArithmeticCodes(**arguments)


def test_more_codes_than_memory():
    with pytest.raises(MemoryError):
        ArithmeticCodes(2**40, 2**31)
