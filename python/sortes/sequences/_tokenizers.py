"""What the tokens of foreign tokenizers stand for: the bytes that their decoders emit.

No tokenizer is imported here: each is known by what it offers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from sortes._check import shown

#: What the tokens stand for, and the one that ends a text.
Tokens: TypeAlias = tuple[list[bytes | None], int | None]
#: From a token to what the decoder makes of it: bytes once they are known.
Step: TypeAlias = Callable[[str], str | bytes]

#: The character before a word, in vocabularies of SentencePiece.
_SPACE = "\u2581"
#: A token that stands for one byte.
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")
#: What the decoder of WordPiece does to a token that it cleans up.
_CLEANUPS = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)


def tokens_of(tokenizer: Any) -> Tokens:
    """Return what the tokens of a tokenizer stand for, and the one that ends a text."""
    if hasattr(tokenizer, "decode_single_token_bytes"):
        return _of_tiktoken(tokenizer)
    if hasattr(tokenizer, "id_to_piece"):
        return _of_sentencepiece(tokenizer)
    if hasattr(tokenizer, "backend_tokenizer"):
        tokens, _ = _of_tokenizers(tokenizer.backend_tokenizer)
        return _without(tokens, tokenizer.all_special_ids), tokenizer.eos_token_id
    if hasattr(tokenizer, "get_added_tokens_decoder"):
        return _of_tokenizers(tokenizer)
    if hasattr(getattr(tokenizer, "sp_model", None), "id_to_piece"):  # of transformers, in Python
        tokens, _ = _of_sentencepiece(tokenizer.sp_model)
        return _without(tokens, tokenizer.all_special_ids), tokenizer.eos_token_id
    raise TypeError(
        "tokenizer: must be a tokenizer of transformers (a fast one), tokenizers, tiktoken or "
        f"sentencepiece, got {shown(tokenizer)}"
    )


def _of_tiktoken(encoding: Any) -> Tokens:
    tokens: list[bytes | None] = []
    for token in range(encoding.n_vocab):
        try:
            tokens.append(encoding.decode_single_token_bytes(token))
        except KeyError:  # ids may have gaps
            tokens.append(None)
    special = [encoding.encode_single_token(name) for name in encoding.special_tokens_set]
    try:
        end = encoding.eot_token
    except KeyError:
        end = None
    return _without(tokens, special), end


def _of_sentencepiece(processor: Any) -> Tokens:
    tokens: list[bytes | None] = []
    for token in range(processor.get_piece_size()):
        piece = processor.id_to_piece(token)
        if processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token):
            tokens.append(None)
        elif processor.is_byte(token):
            tokens.append(bytes.fromhex(piece[3:5]))
        else:
            tokens.append(piece.replace(_SPACE, " ").encode())
    end = processor.eos_id()
    return tokens, None if end < 0 else end


def _of_tokenizers(tokenizer: Any) -> Tokens:
    decoder = tokenizer.decoder
    step = _decoder(None if decoder is None else json.loads(decoder.__getstate__()))
    known = tokenizer.get_vocab(with_added_tokens=True)
    tokens: list[bytes | None] = [None] * (max(known.values(), default=-1) + 1)
    for text, token in known.items():
        made = step(text)
        tokens[token] = made if isinstance(made, bytes) else made.encode()
    added = tokenizer.get_added_tokens_decoder()
    special = [token for token, known_as in added.items() if known_as.special]
    unknown = known.get(getattr(tokenizer.model, "unk_token", None))
    return _without(tokens, special if unknown is None else [*special, unknown]), None


def _without(tokens: list[bytes | None], special: list[int]) -> list[bytes | None]:
    """Return the tokens; special ones stand for nothing."""
    for token in special:
        if 0 <= token < len(tokens):
            tokens[token] = None
    return tokens


def _decoder(said: dict[str, Any] | None) -> Step:
    """Return what a decoder of `tokenizers` does to a token in the middle of a text."""
    if said is None:  # tokens are joined by spaces
        return lambda text: f" {text}"
    kind = said["type"]
    if kind == "Sequence":
        return _sequence(said["decoders"])
    if kind == "ByteLevel":
        return _from_alphabet
    if kind == "ByteFallback":
        return _from_byte
    if kind == "Metaspace":
        return lambda text: text.replace(said["replacement"], " ")
    if kind == "Replace" and "String" in said["pattern"]:
        return lambda text: text.replace(said["pattern"]["String"], said["content"])
    if kind == "WordPiece":
        return lambda text: _from_word_piece(text, said["prefix"], said["cleanup"])
    if kind == "BPEDecoder":
        return lambda text: text.replace(said["suffix"], " ")
    if kind == "Strip":
        return lambda text: _stripped(text, said["content"], said["start"], said["stop"])
    if kind == "Fuse":
        return lambda text: text
    raise ValueError(
        "tokenizer: must have a decoder that takes tokens one by one to text, got one of the type "
        f"{kind!r}"
    )


def _sequence(decoders: list[dict[str, Any]]) -> Step:
    """Return what several decoders do, one after the other."""
    steps: list[Step] = []
    for said in decoders:
        if said["type"] == "Fuse":  # what follows sees the whole text, and acts at its ends
            later = [one["type"] for one in decoders[decoders.index(said) + 1 :]]
            if set(later) - {"Strip", "Fuse"}:
                raise ValueError(
                    "tokenizer: must have a decoder that takes tokens one by one to text, got "
                    f"{', '.join(later)} behind Fuse"
                )
            break
        steps.append(_decoder(said))

    def all_of_them(text: str) -> str | bytes:
        made: str | bytes = text
        for step in steps:
            if isinstance(made, bytes):
                break
            made = step(made)
        return made

    return all_of_them


def _alphabet() -> dict[str, int]:
    """Return the characters that stand for bytes in byte-level vocabularies."""
    shown_as_they_are = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown_as_they_are]
    alphabet = {chr(byte): byte for byte in shown_as_they_are}
    return alphabet | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


_ALPHABET = _alphabet()


def _from_alphabet(text: str) -> bytes:
    try:
        return bytes(_ALPHABET[character] for character in text)
    except KeyError:  # an added token, which is text
        return text.encode()


def _from_byte(text: str) -> str | bytes:
    byte = _BYTE.match(text)
    return text if byte is None else bytes.fromhex(byte[1])


def _from_word_piece(text: str, prefix: str, cleanup: bool) -> str:
    text = text[len(prefix) :] if text.startswith(prefix) else f" {text}"
    for old, new in _CLEANUPS if cleanup else ():
        text = text.replace(old, new)
    return text


def _stripped(text: str, content: str, start: int, stop: int) -> str:
    for _ in range(start):
        text = text.removeprefix(content)
    for _ in range(stop):
        text = text.removesuffix(content)
    return text
