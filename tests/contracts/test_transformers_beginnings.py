"""The logits behind beginnings: those of a forward of the whole text, whatever is kept."""

import copy

import numpy as np
import pytest
import tiny_model

torch = pytest.importorskip("torch")
hf = pytest.importorskip("transformers")
from sortes.integrations import transformers as ours  # noqa: E402
from sortes.integrations.transformers import _store  # noqa: E402
from sortes.integrations.transformers._beginnings import Beginnings  # noqa: E402
from sortes.integrations.transformers._slots import Slots  # noqa: E402
from transformers.generation.utils import GenerateDecoderOnlyOutput  # noqa: E402

CACHE = "cache" if hasattr(GenerateDecoderOnlyOutput, "cache") else "past_key_values"
SIZE, PROMPT = 24, 6
SMALL = {"vocab_size": SIZE, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA = {
    **{**SMALL, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2},
    **{"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.3},
}


def made(name, **settings):
    """A model of random weights, in double precision."""
    config = getattr(hf, f"{name}Config")(**settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = getattr(hf, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config)
    return model.double().eval()


#: Models whose caches hold each token: rotated keys and grouped heads, learned places, slopes.
PLAIN = {
    "rotated": lambda: made("Llama", **LLAMA),
    "learned": lambda: made("GPT2", **SMALL, n_embd=32, n_layer=2, n_head=2, n_positions=64),
    "slopes": lambda: made("Bloom", **SMALL, hidden_size=32, n_layer=2, n_head=2),
}
#: Models with other caches: windows, some windows, a state.
OTHERS = {
    "sliding": lambda: made("Mistral", **LLAMA, sliding_window=4),
    "alternating": lambda: made("Gemma2", **LLAMA, head_dim=16, sliding_window=4),
    "recurrent": lambda: made("Mamba", **SMALL, hidden_size=32, num_hidden_layers=2, state_size=4),
    "convolutions": lambda: made("Lfm2", **LLAMA, layer_types=["conv", "full_attention"]),
}
KINDS = {**PLAIN, **OTHERS}
BOUNDS = [None, 0, 1, 7]


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def model(request):
    return request.param()


@pytest.fixture(scope="module")
def llama():
    return PLAIN["rotated"]()


def prompt_of(*, padded=False):
    inputs = tiny_model.prompts([PROMPT, PROMPT + 2] if padded else [PROMPT], SIZE)
    return inputs["input_ids"][:1], inputs["attention_mask"][:1]


def beginnings(model, most=None, *, padded=False, **kwargs):
    prompt, mask = prompt_of(padded=padded)
    kwargs = {"attention_mask": mask, "use_cache": True, **kwargs}
    return Beginnings(model, prompt, [], hf.GenerationConfig(), kwargs, most)


def growing(rng, batches, longest=9):
    """Batches of beginnings in a random order, each a token longer than one that was before."""
    known = [()]
    yield known[:]
    for _ in range(batches):
        batch = set()
        for _ in range(rng.integers(1, 6)):
            above = known[rng.integers(len(known))]
            if len(above) < longest:
                batch.add((*above, int(rng.integers(3, 7))))
        batch = sorted(batch)
        if batch:
            yield [batch[i] for i in rng.permutation(len(batch))]
            known += batch


def arrays(batch):
    return [np.array(prefix, np.int64) for prefix in batch]


def whole(model, prefix):
    """The logits behind the text, in one forward of it alone."""
    text = torch.cat([prompt_of()[0], torch.tensor([prefix], dtype=torch.long)], 1)
    return model(text, use_cache=False).logits[0, -1]


@torch.no_grad()
@pytest.mark.parametrize("padded", [False, True], ids=["plain", "padded"])
@pytest.mark.parametrize("most", BOUNDS)
def test_logits_are_those_of_the_whole_text(model, most, padded):
    """Random trees of 40 batches; a bound drops what is asked for again later."""
    # Gemma normalises in single precision, so that what is almost the same is rounded to either
    # side, with a cache of transformers alone as well: 4e-7 on some processors.
    atol = 1e-5 if model.config.model_type == "gemma2" else 1e-9
    answer = beginnings(model, most, padded=padded)
    for batch in growing(np.random.default_rng(3), 40):
        got = answer(arrays(batch))
        for row, prefix in zip(got, batch, strict=True):
            assert torch.allclose(row, whole(model, prefix), atol=atol), prefix


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_precision(dtype):
    model = PLAIN["rotated"]().to(dtype)
    answer = beginnings(model)
    atol = 1e-4 if dtype == torch.float32 else 0.1
    for batch in growing(np.random.default_rng(5), 20):
        got = answer(arrays(batch))
        assert got.dtype == dtype
        for row, prefix in zip(got, batch, strict=True):
            assert torch.allclose(row, whole(model, prefix), atol=atol)


@torch.no_grad()
def test_each_token_is_computed_once(llama):
    answer = beginnings(llama)
    asked = list(growing(np.random.default_rng(0), 30))
    for batch in asked:
        answer(arrays(batch))
    distinct = {prefix for batch in asked for prefix in batch}
    again = sum(map(len, asked)) - len(distinct)
    assert answer.calls == len(asked)
    # The prompt, and one for each row: also for those that come again, whose logits are needed.
    assert answer.positions == PROMPT + len(distinct) - 1 + again


@torch.no_grad()
@pytest.mark.parametrize("name", KINDS)
def test_what_is_computed_again(name):
    """Chains of three that share their first token, one longer each time."""
    model = KINDS[name]()
    chains = [[(3, 4, 5)[:n], (3, 6, 7)[:n]] for n in (1, 2, 3)]
    chains[0] = chains[0][:1]
    counts = {}
    for most in (None, 0):
        answer = beginnings(model, most)
        for batch in [[()], *chains]:
            answer(arrays(batch))
        counts[most] = answer.positions
    if name in PLAIN:
        assert counts == {None: PROMPT + 1 + 2 + 2, 0: PROMPT + 1 + 2 * 2 + 2 * 3}
    elif name in ("sliding", "alternating"):
        assert counts == dict.fromkeys((None, 0), PROMPT + 1 + 2 * 2 + 2 * 3)
    else:
        texts = (PROMPT + 1) + 2 * (PROMPT + 2) + 2 * (PROMPT + 3)
        assert counts == dict.fromkeys((None, 0), PROMPT + texts)


@torch.no_grad()
def test_without_a_cache(llama):
    answer = beginnings(llama, use_cache=False, padded=True)
    for batch in growing(np.random.default_rng(1), 5):
        for row, prefix in zip(answer(arrays(batch)), batch, strict=True):
            assert torch.allclose(row, whole(llama, prefix), atol=1e-9)


def test_slots_are_those_of_the_latest():
    """Against the definition: the tokens by the time of their last use, and all above them."""
    rng = np.random.default_rng(2)
    slots, used, most = Slots(10), {}, 25
    for now in range(600):
        beginning = tuple(rng.integers(0, 3, rng.integers(1, 9)).tolist())
        kept = {prefix for prefix in used if slots_of(slots, prefix) is not None}
        path, new = slots.take(beginning)
        prefixes = [beginning[:n] for n in range(1, len(beginning) + 1)]
        assert new == len(set(prefixes) - kept)
        assert len(path) == len(beginning)
        used |= dict.fromkeys(prefixes, now)
        if now % 3:
            continue
        slots.keep(most)
        assert len(slots) <= most
        # No slot is that of two, and none is outside.
        held = {prefix: slots_of(slots, prefix) for prefix in used}
        held = {prefix: slot for prefix, slot in held.items() if slot is not None}
        assert len(set(held.values())) == len(held) == len(slots)
        assert all(10 <= slot < slots.end for slot in held.values())
        # What was dropped was used no later than what was kept.
        dropped = [used[prefix] for prefix in used if prefix not in held]
        assert max(dropped, default=-1) <= min(used[prefix] for prefix in held)
    assert slots.end < 10 + most + 3 * 9


def slots_of(slots, prefix):
    above = -1
    for token in prefix:
        above = slots._used.get((above, token))
        if above is None:
            return None
    return above


@torch.no_grad()
def test_the_bound_holds_between_calls(llama):
    for most in (0, 4, 30):
        answer = beginnings(llama, most)
        for batch in growing(np.random.default_rng(7), 30):
            answer(arrays(batch))
            assert len(answer._behind.args[0]._slots) <= most


@torch.no_grad()
def test_bytes_bound_the_store_by_default(llama, monkeypatch):
    token = 2 * 2 * 16 * 8  # layers, keys and values, numbers of one head, bytes
    monkeypatch.setattr(_store, "_BYTES", 5 * token + 1)
    answer = beginnings(llama)
    for batch in growing(np.random.default_rng(7), 30):
        answer(arrays(batch))
    assert len(answer._behind.args[0]._slots) == 5


@torch.no_grad()
@pytest.mark.parametrize("known", [1, PROMPT - 1, PROMPT])
def test_a_cache_that_the_caller_has_filled(llama, known):
    prompt, _ = prompt_of()
    given = llama(prompt[:, :known], use_cache=True)[CACHE]
    before = copy.deepcopy(given)
    answer = beginnings(llama, **{CACHE: given})
    for batch in growing(np.random.default_rng(4), 8):
        got = answer(arrays(batch))
        if batch == [()]:
            assert answer.positions == max(PROMPT - known, 1)
        for row, prefix in zip(got, batch, strict=True):
            assert torch.allclose(row, whole(llama, prefix), atol=1e-9)
    for layer, old in zip(given.layers, before.layers, strict=True):
        assert torch.equal(layer.keys, old.keys)
        assert torch.equal(layer.values, old.values)


@torch.no_grad()
@pytest.mark.parametrize("most", [None, 0])
def test_a_failed_call_leaves_nothing_behind(llama, most):
    """Ctrl-C amid the layers: texts that go on from there do not take it for computed."""
    fails = False

    def hook(*_):
        if fails:
            raise KeyboardInterrupt

    handle = llama.model.layers[1].register_forward_pre_hook(hook)
    try:
        answer = beginnings(llama, most)
        for n, batch in enumerate(growing(np.random.default_rng(6), 30)):
            fails = n % 3 == 1
            if fails:
                with pytest.raises(KeyboardInterrupt):
                    answer(arrays(batch))
                fails = False
                batch = [(*prefix, 3) for prefix in batch]
            for row, prefix in zip(answer(arrays(batch)), batch, strict=True):
                assert torch.allclose(row, whole(llama, prefix), atol=1e-9)
    finally:
        handle.remove()


SEARCHES = {
    "distinct": (ours.distinct_sample, {"do_sample": True, "rng": 0, "top_k": 0}),
    "beams": (ours.stochastic_beam_sample, {"do_sample": True, "rng": 0, "top_k": 0}),
    "token": (ours.priority_sample, {"do_sample": False}),
    "sequence": (ours.priority_sample, {"do_sample": False, "priority": "sequence"}),
}


@pytest.mark.parametrize("kind", ["rotated", "sliding"])
@pytest.mark.parametrize("name", SEARCHES)
def test_texts_do_not_depend_on_what_is_kept(kind, name):
    model, (function, asked) = KINDS[kind](), SEARCHES[name]
    asked = {**asked, "num_samples": 25, "max_new_tokens": 8, "return_dict_in_generate": True}
    sizes = [{}] if name == "beams" else [{"node_batch_size": n} for n in (1, 5, 40)]
    ids, mask = prompt_of()
    found, positions = [], []
    for size in sizes:
        for most in (None, 0, 3, 20):
            given = {**asked, **size, "max_cached_tokens": most}
            out = model.generate(ids, attention_mask=mask, custom_generate=function, **given)
            found.append(out.sequences)
            positions.append(out.model_positions)
            assert 1 <= out.model_calls <= out.model_positions
    assert all(torch.equal(one, found[0]) for one in found)
    if kind == "rotated":
        assert positions[0] < positions[1]


def test_what_a_search_cannot_pass_on(llama):
    asked = {"custom_generate": ours.distinct_sample, "do_sample": True, "max_new_tokens": 3}
    ids, mask = prompt_of()
    with pytest.raises(ValueError, match=r"^max_cached_tokens: must be at least 0, got -1"):
        llama.generate(ids, **asked, max_cached_tokens=-1)
    with pytest.raises(ValueError, match=r"^inputs_embeds: is not supported by a search"):
        llama.generate(inputs_embeds=llama.get_input_embeddings()(ids), **asked)
    given = llama(ids[:, :4], use_cache=True)[CACHE]
    with pytest.raises(ValueError, match=r"^input_ids: must hold all 6 tokens of the prompt"):
        llama.generate(ids[:, 4:], attention_mask=mask, **{CACHE: given}, **asked)


@pytest.mark.cuda
@pytest.mark.parametrize("name", SEARCHES)
def test_cuda(llama, name):
    """The texts are those of the CPU, of double precision, in whose roundings no token changes."""
    function, asked = SEARCHES[name]
    asked = {**asked, "num_samples": 25, "max_new_tokens": 8, "max_cached_tokens": 20}
    ids, mask = prompt_of()
    want = llama.generate(ids, attention_mask=mask, custom_generate=function, **asked)
    model = copy.deepcopy(llama).cuda()
    got = model.generate(ids.cuda(), attention_mask=mask.cuda(), custom_generate=function, **asked)
    assert got.device.type == "cuda"
    assert torch.equal(got.cpu(), want)
