"""The tokens of a model as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, final

import numpy as np

from sortes import _core
from sortes._arrays import host, integers_of
from sortes._check import WORD, several, shown
from sortes._device import to_host
from sortes.sequences._tokenizers import tokens_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A token of the vocabulary.
TokenId: TypeAlias = Annotated[int, WORD]


@final
class Vocabulary:
    """The tokens of a model as the bytes that they stand for, and those that end a text.

    Parameters
    ----------
    tokens : sequence of bytes or None, length V
        What each token stands for; None, or no bytes at all, for one that stands for no text.
    eos_token_id : int or sequence of int
        Tokens that end a text; what they stand for does not matter.

    Attributes
    ----------
    eos_token_ids : tuple of int
        The tokens that end a text, in order.

    Raises
    ------
    ValueError
        If there are more than 2**20 tokens, one has 2**16 bytes or more, or one that ends a text is
        none of them.
    TypeError
        If a token is neither bytes nor None.

    Notes
    -----
    It is made once for a model, and shared by any number of `TokenAutomaton`. Tokens that stand for
    the same bytes are told apart by their ids alone, and may all follow where one of them may.

    Examples
    --------
    >>> vocabulary = Vocabulary([b"a", b"b", b"ab", None], eos_token_id=3)
    >>> len(vocabulary), vocabulary.token(2), vocabulary.eos_token_ids
    (4, b'ab', (3,))
    """

    def __init__(
        self, tokens: Sequence[bytes | None], *, eos_token_id: TokenId | Sequence[int]
    ) -> None:
        pieces = several(tokens, "tokens", "bytes or None")
        for i, piece in enumerate(pieces):
            if piece is not None and type(piece) is not bytes:
                raise TypeError(f"tokens: item {i} must be bytes or None, got {shown(piece)}")
        ends = ids_of(eos_token_id, "eos_token_id").reshape(-1).tolist()
        if not ends:
            raise ValueError(f"eos_token_id: must hold a token, got {shown(eos_token_id)}")
        texts = [piece or b"" for piece in pieces]
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._hold(b"".join(texts), lengths.clip(max=2**32 - 1).astype(np.uint32), ends)

    def _hold(self, text: bytes, lengths: NDArray[np.uint32], ends: list[int]) -> None:
        self._native = _core.sequences.automaton.Vocabulary(
            np.frombuffer(text, np.uint8), lengths, ends
        )

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, *, eos_token_id: TokenId | Sequence[int] | None = None
    ) -> Vocabulary:
        """Return the vocabulary of a tokenizer.

        Parameters
        ----------
        tokenizer
            A tokenizer of transformers or tokenizers, a ``tiktoken.Encoding`` or a
            ``sentencepiece.SentencePieceProcessor``.
        eos_token_id : int or sequence of int, optional
            Tokens that end a text; by default the one that the tokenizer names. Generation
            configurations may name more.

        Returns
        -------
        Vocabulary
            Tokens stand for what the decoder makes of them in the middle of a text; special ones,
            and the unknown token, for nothing.

        Raises
        ------
        ValueError
            If the tokenizer names no token that ends a text and none is given; if its decoder is
            not one that takes tokens one by one to bytes.
        TypeError
            If it is no tokenizer of these kinds.

        Notes
        -----
        Some decoders strip a space in front of the first token of a text, or put one between words
        only. What is generated goes on a prompt, so that its first token stands in the middle of a
        text and has its space: a regular expression begins with ``" ?"`` where that is to be left
        open.

        Examples
        --------
        >>> class Letters:  # what tiktoken.Encoding has
        ...     n_vocab, eot_token, special_tokens_set = 3, 2, set()
        ...
        ...     def decode_single_token_bytes(self, token):
        ...         return [b"a", b"b", b""][token]
        >>> Vocabulary.from_tokenizer(Letters()).token(1)
        b'b'
        """
        tokens, named = tokens_of(tokenizer)
        ends = named if eos_token_id is None else eos_token_id
        if ends is None:
            raise ValueError(
                "eos_token_id: must be given where the tokenizer names no token that ends a text, "
                "got None"
            )
        return cls(tokens, eos_token_id=ends)

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The tokens that end a text, in order."""
        return tuple(self._native.ends_of_text)

    def token(self, token_id: TokenId) -> bytes | None:
        """Return the bytes that a token stands for.

        Parameters
        ----------
        token_id : int
            The token.

        Returns
        -------
        bytes or None
            None if it stands for no text.

        Raises
        ------
        ValueError
            If there is no such token.
        TypeError
            If it is no integer.

        Examples
        --------
        >>> Vocabulary([b"a", None], eos_token_id=1).token(0)
        b'a'
        """
        found = self._native.token(WORD.check(token_id, "token_id"))
        if found is None:
            raise ValueError(f"token_id: must be below {len(self)}, got {shown(token_id)}")
        return found or None

    def __len__(self) -> int:
        """Return how many tokens there are, with those that stand for no text."""
        return len(self._native)

    def __repr__(self) -> str:
        """Show its size."""
        return f"<Vocabulary of {len(self)} tokens, eos_token_ids={self.eos_token_ids}>"

    def __copy__(self) -> Vocabulary:
        """Return itself: it never changes."""
        return self

    def __deepcopy__(self, memo: object) -> Vocabulary:
        """Return itself: it never changes."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Vocabulary], tuple[Any, ...]]:
        return _restored, (*self._native.parts(), list(self.eos_token_ids))


def _restored(text: bytes, lengths: NDArray[np.uint32], ends: list[int]) -> Vocabulary:
    vocabulary = Vocabulary.__new__(Vocabulary)
    vocabulary._hold(text, lengths, ends)
    return vocabulary


def ids_of(x: Any, name: str) -> NDArray[np.int64]:
    """Return an id, or several, as an array of no axis or of one."""
    given = to_host(x)
    if host(given, name, None).ndim == 0:
        return np.array(WORD.check(given, name), np.int64)
    return integers_of(given, name, WORD)
